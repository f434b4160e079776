-- Counts that grow when a client has to repeat itself more often than planned.
SELECT name, n FROM
(
    SELECT 'accepted' AS name, sum(accepted) AS n FROM core.tallies
    UNION ALL
    SELECT 'dead', toInt64(sum(records)) FROM core.dead
    UNION ALL
    SELECT 'duplicates', sum(duplicate) FROM core.tallies
)
ORDER BY name
FORMAT TSV
