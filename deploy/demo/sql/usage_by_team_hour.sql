-- Usage that counts, by hour, team and model: records, requests, tokens by
-- class, nano-USD.
SELECT
    toString(toDateTime(toStartOfHour(event_time), 'UTC')) AS hour,
    toString(team) AS team_name,
    toString(model) AS model_name,
    count(),
    countIf(granularity = 'request'),
    ifNull(sum(input_uncached_tokens), 0),
    ifNull(sum(cache_read_tokens), 0),
    sum(ifNull(cache_write_tokens, 0) + ifNull(cache_write_5m_tokens, 0) + ifNull(cache_write_1h_tokens, 0)),
    ifNull(sum(output_tokens), 0),
    ifNull(sum(reasoning_tokens), 0),
    ifNull(sum(cost_nanos), 0)
FROM core.usage
WHERE observational = 0
GROUP BY hour, team_name, model_name
ORDER BY hour, team_name, model_name
FORMAT TSV
