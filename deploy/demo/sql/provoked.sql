-- What the simulation provoked: none of these may be zero if it did.
SELECT name, n FROM
(
    SELECT 'clock_skew' AS name, toInt64(
        (SELECT countIf(has(quality, 'clock_skew')) FROM core.usage)
        + (SELECT countIf(has(quality, 'clock_skew')) FROM core.activity)
        + (SELECT countIf(has(quality, 'clock_skew')) FROM core.outcomes WHERE record = 'announced')) AS n
    UNION ALL
    SELECT 'dead', toInt64(sum(records)) FROM core.dead
    UNION ALL
    SELECT 'duplicates', sum(duplicate) FROM core.tallies
    UNION ALL
    SELECT 'late', toInt64(
        (SELECT countIf(late = 1) FROM core.usage)
        + (SELECT countIf(late = 1) FROM core.activity)
        + (SELECT countIf(late = 1) FROM core.outcomes WHERE record = 'announced'))
    UNION ALL
    SELECT 'merged', toInt64(countIf(observational = 1)) FROM core.usage
    UNION ALL
    SELECT 'rejected', sum(rejected) FROM core.tallies
    UNION ALL
    SELECT 'reverted', sum(toInt64(reverted_delta)) FROM core.outcomes
    UNION ALL
    SELECT 'revisions', toInt64(countIf(rev > 0)) FROM core.scores
    UNION ALL
    SELECT 'unpriced', toInt64(countIf(has(quality, 'unpriced_model') AND observational = 0)) FROM core.usage
)
ORDER BY name
FORMAT TSV
