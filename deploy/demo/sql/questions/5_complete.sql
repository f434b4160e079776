-- Are the figures of the newest day complete: what became of every record, by source, and how far behind is it?
SELECT
    q.source AS source,
    sum(q.accepted) AS accepted,
    sum(q.stored) AS stored,
    sum(q.merged) AS merged,
    sum(q.duplicates) AS duplicates,
    sum(q.held) AS held,
    sum(q.dead) AS dead,
    sum(q.rejected) AS rejected,
    sum(q.late) AS late,
    round((sum(q.stored) + sum(q.merged) + sum(q.duplicates) + sum(q.dead)) / nullIf(sum(q.accepted), 0), 4) AS accounted_for,
    max(f.lag_seconds) AS lag_seconds
FROM goodhart.data_quality AS q
LEFT JOIN goodhart.freshness AS f ON f.tenant = q.tenant AND f.stream = q.source
WHERE toDate(q.hour) = (SELECT max(toDate(hour)) FROM goodhart.data_quality)
GROUP BY q.tenant, q.source
ORDER BY accepted DESC NULLS LAST, source
