-- Rows over the whole period, by what they are. Each must be exact.
SELECT name, n FROM
(
    SELECT 'activity' AS name, toInt64(count()) AS n FROM core.activity
    UNION ALL
    SELECT 'clock_skew', toInt64(
        (SELECT countIf(has(quality, 'clock_skew')) FROM core.usage)
        + (SELECT countIf(has(quality, 'clock_skew')) FROM core.activity)
        + (SELECT countIf(has(quality, 'clock_skew')) FROM core.outcomes WHERE record = 'announced'))
    UNION ALL
    SELECT 'late', toInt64(
        (SELECT countIf(late = 1) FROM core.usage)
        + (SELECT countIf(late = 1) FROM core.activity)
        + (SELECT countIf(late = 1) FROM core.outcomes WHERE record = 'announced'))
    UNION ALL
    SELECT 'merged', toInt64(countIf(observational = 1)) FROM core.usage
    UNION ALL
    SELECT 'outcomes_announced', toInt64(countIf(record = 'announced')) FROM core.outcomes
    UNION ALL
    SELECT 'usage', toInt64(countIf(observational = 0)) FROM core.usage
)
ORDER BY name
FORMAT TSV
