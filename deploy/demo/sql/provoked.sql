-- What the simulation provoked: none of these may be zero.
SELECT name, n FROM
(
    SELECT 'clock_skew' AS name, toInt64(countIf(has(quality, 'clock_skew'))) AS n FROM core.usage
    UNION ALL
    SELECT 'dead', toInt64(sum(records)) FROM core.dead
    UNION ALL
    SELECT 'duplicates', sum(duplicate) FROM core.tallies
    UNION ALL
    SELECT 'late', toInt64(countIf(late = 1)) FROM core.usage
    UNION ALL
    SELECT 'merged', toInt64(countIf(observational = 1)) FROM core.usage
    UNION ALL
    SELECT 'rejected', sum(rejected) FROM core.tallies
    UNION ALL
    SELECT 'reverted', sum(toInt64(reverted_delta)) FROM core.outcomes
    UNION ALL
    SELECT 'revisions', toInt64(countIf(rev > 0)) FROM core.scores
    UNION ALL
    SELECT 'unpriced', toInt64(countIf(cost_basis = 'unpriced')) FROM core.usage
)
ORDER BY name
FORMAT TSV
