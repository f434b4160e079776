-- The same by day, over all teams, through the public view.
SELECT
    toString(day) AS d,
    sum(requests),
    ifNull(sum(input_uncached_tokens), 0),
    ifNull(sum(cache_read_tokens), 0),
    ifNull(sum(cache_write_tokens), 0),
    ifNull(sum(output_tokens), 0),
    ifNull(sum(reasoning_tokens), 0),
    toInt64(ifNull(sum(cost_usd), 0) * 1000000000)
FROM goodhart.usage_daily
GROUP BY d
ORDER BY d
FORMAT TSV
