-- The public interface: views in the database goodhart. Names and meanings are
-- stable, changes only add. Each column has its type and its COMMENT here;
-- docs/tables.md is generated from them.
--
-- A team-week is shown under its name only if the newest row of core.group_size
-- says so; all others are merged into '(small groups)'. The two kinds are two
-- branches of a UNION ALL, not one computed column, so that a filter on team
-- reaches the primary key of the first branch and empties the second. The types
-- of the branches and of the header are exactly those of the rollups: a cast
-- between them would hide the key. No output name repeats inside an aggregate
-- without its table.
{{range $v := usageViews}}
CREATE OR REPLACE VIEW goodhart.{{$v.View}} {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    {{$v.Time}} {{$v.Type}} COMMENT '{{$v.Comment}}',
    team LowCardinality(Nullable(String)) COMMENT 'Team of the person or service at the time; (small groups) for team-weeks too small to show; NULL where unknown',
    model LowCardinality(Nullable(String)) COMMENT 'Model that answered, canonical name; NULL where unknown',
    provider LowCardinality(Nullable(String)) COMMENT 'Provider of the model, e.g. anthropic; NULL where unknown',
    tool LowCardinality(Nullable(String)) COMMENT 'AI tool that asked, e.g. claude-code; NULL where unknown',
    source LowCardinality(String) COMMENT 'Adapter that decoded the announcement',
    requests Int64 COMMENT 'Model requests, failed ones included. Additive. Counters that state no requests add none',
    errors Int64 COMMENT 'Part of requests that failed. Additive',
    input_uncached_tokens Nullable(Int64) COMMENT 'Input tokens that no cache served or stored. Additive; adds up with the cache classes and output',
    cache_read_tokens Nullable(Int64) COMMENT 'Input tokens read from a prompt cache. Additive',
    cache_write_tokens Nullable(Int64) COMMENT 'Input tokens written to a prompt cache. Additive',
    output_tokens Nullable(Int64) COMMENT 'Output tokens, reasoning included. Additive',
    input_tokens Nullable(Int64) COMMENT 'All input tokens as OpenTelemetry counts them: uncached, cache read and cache write together. Additive over rows, not to be added to its parts',
    reasoning_tokens Nullable(Int64) COMMENT 'Part of output_tokens spent on reasoning. Additive; NULL where no source says',
    cost_usd Nullable(Decimal(18, 9)) COMMENT 'Known cost in USD, of all bases. Additive; unpriced usage adds nothing, see unpriced_requests',
    cost_billed_usd Nullable(Decimal(18, 9)) COMMENT 'Part of cost_usd that a provider billed, USD. Additive',
    cost_reported_usd Nullable(Decimal(18, 9)) COMMENT 'Part of cost_usd that only the source reported, USD. Additive',
    cost_estimated_usd Nullable(Decimal(18, 9)) COMMENT 'Part of cost_usd estimated with the price list in the view prices, USD. Additive',
    unpriced_requests Int64 COMMENT 'Part of requests whose model has no price: their cost is unknown, not zero. Additive',
    unpriced_records Int64 COMMENT 'Records of any granularity whose model has no price. Additive',
    unknown_token_requests Int64 COMMENT 'Part of requests that state no input or no output count: their tokens are known in part or not at all. Additive',
    late_records Int64 COMMENT 'Records that came more than 48 h late: counted here, in no score. Additive',
    latency_ms_p50 Nullable(Float32) COMMENT 'Median duration of requests, ms. Approximate, not additive',
    latency_ms_p95 Nullable(Float32) COMMENT '95th percentile of the duration of requests, ms. Approximate, not additive',
    latency_ms_p99 Nullable(Float32) COMMENT '99th percentile of the duration of requests, ms. Approximate, not additive',
    people UInt64 COMMENT 'Distinct persons and raw accounts. Approximate (about 1 %), not additive'
)
{{definer}} AS
{{range $i, $named := bools}}{{if $i}}UNION ALL
{{end}}SELECT
    u.tenant AS tenant,
    u.{{$v.Column}} AS {{$v.Time}},
    {{if $named}}u.team{{else}}CAST('(small groups)' AS LowCardinality(Nullable(String))){{end}} AS team,
    u.model AS model,
    u.provider AS provider,
    u.tool AS tool,
    u.source AS source,
    sum(u.requests) AS requests,
    sum(u.errors) AS errors,
    sum(u.input_uncached_tokens) AS input_uncached_tokens,
    sum(u.cache_read_tokens) AS cache_read_tokens,
    sum(u.cache_write_tokens) AS cache_write_tokens,
    sum(u.output_tokens) AS output_tokens,
    if(isNull(coalesce(sum(u.input_uncached_tokens), sum(u.cache_read_tokens), sum(u.cache_write_tokens))), NULL,
        ifNull(sum(u.input_uncached_tokens), 0) + ifNull(sum(u.cache_read_tokens), 0) + ifNull(sum(u.cache_write_tokens), 0)) AS input_tokens,
    sum(u.reasoning_tokens) AS reasoning_tokens,
    {{usd "sum(u.cost_nanos)"}} AS cost_usd,
    {{usd "sum(u.cost_billed_nanos)"}} AS cost_billed_usd,
    {{usd "sum(u.cost_reported_nanos)"}} AS cost_reported_usd,
    {{usd "sum(u.cost_estimated_nanos)"}} AS cost_estimated_usd,
    sum(u.unpriced_requests) AS unpriced_requests,
    sum(u.unpriced_records) AS unpriced_records,
    sum(u.unknown_token_requests) AS unknown_token_requests,
    sum(u.late) AS late_records,
    ifNotFinite(quantilesTDigestMerge(0.5, 0.95, 0.99)(u.latency_ms)[1], NULL) AS latency_ms_p50,
    ifNotFinite(quantilesTDigestMerge(0.5, 0.95, 0.99)(u.latency_ms)[2], NULL) AS latency_ms_p95,
    ifNotFinite(quantilesTDigestMerge(0.5, 0.95, 0.99)(u.latency_ms)[3], NULL) AS latency_ms_p99,
    uniqCombined64Merge(12)(u.people) AS people
FROM {{from $v.Table}} AS u
WHERE {{if $named}}{{published "u.tenant" "u.team" (monday "u" $v.Column)}}{{else}}{{unpublished "u.tenant" "u.team" (monday "u" $v.Column)}}{{end}}
GROUP BY tenant, {{$v.Time}}, {{if $named}}team, {{end}}model, provider, tool, source
{{end}}COMMENT 'What did we use and spend, per {{$v.Per}}, team, model, provider, tool and source';
{{end}}
CREATE OR REPLACE VIEW goodhart.outcomes_daily {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    day Date COMMENT 'UTC day on which the object was merged, done or deployed; for verified and claimed the day of the event',
    team LowCardinality(Nullable(String)) COMMENT 'Team of the author; (small groups) for team-weeks too small to show; NULL where unknown',
    kind LowCardinality(String) COMMENT 'What happened: pr_merged, ticket_done, deployment_succeeded, ...',
    repository_class LowCardinality(Nullable(String)) COMMENT 'Class of the repository, from the configuration; NULL where none',
    provisional Int64 COMMENT 'Outcomes of that day whose credit is still provisional. Additive',
    final Int64 COMMENT 'Outcomes of that day whose credit is final. Additive',
    reverted Int64 COMMENT 'Outcomes of that day that were reverted. Additive',
    value_points Nullable(Float64) COMMENT 'Value of the provisional and final outcomes, points; NULL where no source states any. Additive',
    claimed Nullable(Int64) COMMENT 'Events of that day that AI tools reported about themselves: a claim, in no score. Additive; NULL where no tool reports',
    verified Nullable(Int64) COMMENT 'Events of that day that outcome sources announced. Additive; NULL where none did'
)
{{definer}} AS
{{range $i, $named := bools}}{{if $i}}UNION ALL
{{end}}SELECT
    o.tenant AS tenant,
    o.day AS day,
    {{if $named}}o.team{{else}}CAST('(small groups)' AS LowCardinality(Nullable(String))){{end}} AS team,
    o.kind AS kind,
    o.repository_class AS repository_class,
    sum(o.provisional) AS provisional,
    sum(o.final) AS final,
    sum(o.reverted) AS reverted,
    sum(o.value_millipoints) / 1000 AS value_points,
    sum(o.claimed) AS claimed,
    sum(o.verified) AS verified
FROM {{from "outcomes_day"}} AS o
WHERE {{if $named}}{{published "o.tenant" "o.team" "toMonday(o.day)"}}{{else}}{{unpublished "o.tenant" "o.team" "toMonday(o.day)"}}{{end}}
GROUP BY tenant, day, {{if $named}}team, {{end}}kind, repository_class
{{end}}COMMENT 'What came of it, per day, team, kind and repository class';
