-- Can the figures be trusted? What became of every record, by source.
SELECT
    source,
    sum(accepted) AS accepted,
    sum(stored) AS stored,
    sum(merged) AS merged,
    sum(duplicates) AS duplicates,
    sum(late) AS late,
    sum(rejected) AS rejected,
    sum(held) AS held
FROM goodhart.data_quality
GROUP BY source
ORDER BY accepted DESC
