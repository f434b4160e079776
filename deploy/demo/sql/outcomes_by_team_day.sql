-- Credit by team and the object's day: provisional, final and reverted, net.
SELECT
    toString(team) AS team_name,
    toString(object_day) AS d,
    sum(toInt64(provisional_delta)),
    sum(toInt64(final_delta)),
    sum(toInt64(reverted_delta))
FROM core.outcomes
WHERE record = 'transition'
GROUP BY team_name, d
ORDER BY team_name, d
FORMAT TSV
