-- The rolling figures: windows of 24 h that end at midnight, the tenant's and the
-- teams', in their last revision. They come out of all three folds, and leave
-- late events out.
SELECT
    toString(toDateTime(window_end, 'UTC')) AS ends,
    toString(scope_kind) AS kind,
    if(scope_kind = 'team', toString(scope), '') AS team,
    argMax(records, rev),
    argMax(requests, rev),
    argMax(ifNull(input_uncached_tokens, 0), rev),
    argMax(ifNull(cache_read_tokens, 0), rev),
    argMax(ifNull(cache_write_tokens, 0), rev),
    argMax(ifNull(output_tokens, 0), rev),
    argMax(ifNull(reasoning_tokens, 0), rev),
    argMax(ifNull(cost_nanos, 0), rev)
FROM core.scores
WHERE window = '24h' AND window_end = toStartOfDay(window_end, 'UTC')
    AND (scope_kind = 'tenant' OR scope_kind = 'team' AND scope != '')
GROUP BY ends, kind, team
HAVING argMax(records, rev) > 0
ORDER BY ends, team
FORMAT TSV
