-- Rollups, kept up to date by materialized views at insert. Every view reads a
-- raw table, never another rollup: one hop, one failure to think about. Every
-- target has a deduplication window, or a repeated insert would count twice in
-- it. View expressions are total functions: a view that throws would leave the
-- raw rows stored and the rollup without them.
--
-- Order keys begin with what is filtered by equality and has few values (tenant,
-- team, model), then time: the month partition has narrowed time already. The
-- small granules keep a filter on one team and model to a few thousand rows.
-- Sums of what a source may leave out are Nullable: NULL means that no row knew.
-- Labels that views show are Nullable for the same reason, in the key too: a view
-- that made NULL of '' would hide the key from filters.
-- Additive columns are SimpleAggregateFunction, so that sum() works on them.
-- Counts are of rows that count (observational = 0) unless they say otherwise.

CREATE TABLE IF NOT EXISTS core.usage_minute {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    team LowCardinality(Nullable(String)) COMMENT 'Team; NULL where unknown',
    model LowCardinality(Nullable(String)) COMMENT 'Canonical model; NULL where unknown',
    provider LowCardinality(Nullable(String)) COMMENT 'Provider; NULL where unknown',
    tool LowCardinality(Nullable(String)) COMMENT 'Tool; NULL where unknown',
    source LowCardinality(String) COMMENT 'Adapter',
    minute DateTime('UTC') COMMENT 'Start of the minute of event time',
    requests SimpleAggregateFunction(sum, Int64) COMMENT 'Model requests',
    records SimpleAggregateFunction(sum, Int64) COMMENT 'Usage records of any granularity',
    errors SimpleAggregateFunction(sum, Int64) COMMENT 'Requests that failed',
    input_uncached_tokens SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Tokens',
    cache_read_tokens SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Tokens',
    cache_write_tokens SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Tokens, of any time to live',
    output_tokens SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Tokens',
    cost_nanos SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Known cost, nano-USD',
    unpriced_records SimpleAggregateFunction(sum, Int64) COMMENT 'Records without a price'
)
ENGINE = {{engine "AggregatingMergeTree"}}
PARTITION BY toYYYYMM(minute)
ORDER BY (tenant, team, model, minute, provider, tool, source)
SETTINGS {{settings 1}}, index_granularity = 1024, allow_nullable_key = 1
COMMENT 'Usage per minute, for operations; no person is counted in it';

CREATE MATERIALIZED VIEW IF NOT EXISTS core.mv_usage_minute {{onCluster}} TO core.usage_minute AS
SELECT
    u.tenant AS tenant,
    nullIf(u.team, '') AS team,
    nullIf(nullIf(u.model, ''), 'unknown') AS model,
    nullIf(u.provider, '') AS provider,
    nullIf(u.tool, '') AS tool,
    u.source AS source,
    toStartOfMinute(toDateTime(u.event_time, 'UTC')) AS minute,
    toInt64(countIf(u.granularity = 'request')) AS requests,
    toInt64(count()) AS records,
    toInt64(countIf(u.granularity = 'request' AND u.status = 'error')) AS errors,
    sum(u.input_uncached_tokens) AS input_uncached_tokens,
    sum(u.cache_read_tokens) AS cache_read_tokens,
    sum({{cacheWrite "u"}}) AS cache_write_tokens,
    sum(u.output_tokens) AS output_tokens,
    sum(u.cost_nanos) AS cost_nanos,
    toInt64(countIf(u.cost_basis = 'unpriced')) AS unpriced_records
FROM core.usage AS u
WHERE u.observational = 0
GROUP BY tenant, team, model, provider, tool, source, minute;
{{range $r := rollups}}
CREATE TABLE IF NOT EXISTS core.usage_{{$r.Name}} {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    team LowCardinality(Nullable(String)) COMMENT 'Team; NULL where unknown',
    model LowCardinality(Nullable(String)) COMMENT 'Canonical model; NULL where unknown',
    provider LowCardinality(Nullable(String)) COMMENT 'Provider; NULL where unknown',
    tool LowCardinality(Nullable(String)) COMMENT 'Tool; NULL where unknown',
    source LowCardinality(String) COMMENT 'Adapter',
    {{$r.Name}} {{$r.Type}} COMMENT 'Start of the {{$r.Name}} of event time, UTC',
    requests SimpleAggregateFunction(sum, Int64) COMMENT 'Model requests',
    records SimpleAggregateFunction(sum, Int64) COMMENT 'Usage records of any granularity',
    errors SimpleAggregateFunction(sum, Int64) COMMENT 'Requests that failed',
    late SimpleAggregateFunction(sum, Int64) COMMENT 'Records that came more than 48 h behind the watermark',
    input_uncached_tokens SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Tokens',
    cache_read_tokens SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Tokens',
    cache_write_tokens SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Tokens, of any time to live',
    output_tokens SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Tokens',
    reasoning_tokens SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Tokens, part of output',
    cost_nanos SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Known cost, nano-USD',
    cost_billed_nanos SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Part of cost_nanos with basis billed',
    cost_reported_nanos SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Part of cost_nanos with basis reported',
    cost_estimated_nanos SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Part of cost_nanos with basis estimated',
    source_cost_nanos SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'What the sources said it cost, nano-USD; in no total',
    unpriced_requests SimpleAggregateFunction(sum, Int64) COMMENT 'Requests without a price',
    unpriced_records SimpleAggregateFunction(sum, Int64) COMMENT 'Records of any granularity without a price',
    unknown_token_requests SimpleAggregateFunction(sum, Int64) COMMENT 'Requests without an input or an output count',
    latency_ms AggregateFunction(quantilesTDigest(0.5, 0.95, 0.99), Float32) COMMENT 'Durations of requests, ms',
    people AggregateFunction(uniqCombined64(12), String) COMMENT 'Distinct persons and raw accounts'
)
ENGINE = {{engine "AggregatingMergeTree"}}
PARTITION BY toYYYYMM({{$r.Name}})
ORDER BY (tenant, team, model, {{$r.Name}}, provider, tool, source)
SETTINGS {{settings 1}}, index_granularity = 1024, allow_nullable_key = 1
COMMENT 'Usage per {{$r.Name}}';

CREATE MATERIALIZED VIEW IF NOT EXISTS core.mv_usage_{{$r.Name}} {{onCluster}} TO core.usage_{{$r.Name}} AS
SELECT
    u.tenant AS tenant,
    nullIf(u.team, '') AS team,
    nullIf(nullIf(u.model, ''), 'unknown') AS model,
    nullIf(u.provider, '') AS provider,
    nullIf(u.tool, '') AS tool,
    u.source AS source,
    {{$r.Start}} AS {{$r.Name}},
    toInt64(countIf(u.granularity = 'request')) AS requests,
    toInt64(count()) AS records,
    toInt64(countIf(u.granularity = 'request' AND u.status = 'error')) AS errors,
    toInt64(countIf(u.late = 1)) AS late,
    sum(u.input_uncached_tokens) AS input_uncached_tokens,
    sum(u.cache_read_tokens) AS cache_read_tokens,
    sum({{cacheWrite "u"}}) AS cache_write_tokens,
    sum(u.output_tokens) AS output_tokens,
    sum(u.reasoning_tokens) AS reasoning_tokens,
    sum(u.cost_nanos) AS cost_nanos,
    sum(if(u.cost_basis = 'billed', u.cost_nanos, NULL)) AS cost_billed_nanos,
    sum(if(u.cost_basis = 'reported', u.cost_nanos, NULL)) AS cost_reported_nanos,
    sum(if(u.cost_basis = 'estimated', u.cost_nanos, NULL)) AS cost_estimated_nanos,
    sum(u.reported_cost_nanos) AS source_cost_nanos,
    toInt64(countIf(u.granularity = 'request' AND u.cost_basis = 'unpriced')) AS unpriced_requests,
    toInt64(countIf(u.cost_basis = 'unpriced')) AS unpriced_records,
    toInt64(countIf(u.granularity = 'request' AND (isNull(u.input_uncached_tokens) OR isNull(u.output_tokens)))) AS unknown_token_requests,
    quantilesTDigestStateIf(0.5, 0.95, 0.99)(toFloat32(ifNull(u.duration_ms, 0)), u.granularity = 'request' AND isNotNull(u.duration_ms)) AS latency_ms,
    uniqCombined64StateIf(12)(u.subject, startsWith(u.subject, 'p_') OR startsWith(u.subject, 'a_')) AS people
FROM core.usage AS u
WHERE u.observational = 0
GROUP BY tenant, team, model, provider, tool, source, {{$r.Name}};
{{end}}

-- The day is the object's day for credit and the event's day for announcements.
CREATE TABLE IF NOT EXISTS core.outcomes_day {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    team LowCardinality(Nullable(String)) COMMENT 'Team of the author; NULL where unknown',
    kind LowCardinality(String) COMMENT 'What happened to the object',
    repository_class LowCardinality(Nullable(String)) COMMENT 'Class of the repository; NULL where none is configured',
    day Date COMMENT 'UTC day',
    provisional SimpleAggregateFunction(sum, Int64) COMMENT 'Provisional credit of objects of that day',
    final SimpleAggregateFunction(sum, Int64) COMMENT 'Final credit of objects of that day',
    reverted SimpleAggregateFunction(sum, Int64) COMMENT 'Reverted objects of that day',
    value_millipoints SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Value of the credit that stands, thousandths of a point',
    verified SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Events of that day that outcome sources announced',
    claimed SimpleAggregateFunction(sum, Nullable(Int64)) COMMENT 'Events of that day that AI tools reported about themselves',
    transitions SimpleAggregateFunction(sum, Int64) COMMENT 'Changes of credit'
)
ENGINE = {{engine "AggregatingMergeTree"}}
PARTITION BY toYYYYMM(day)
ORDER BY (tenant, team, kind, day, repository_class)
SETTINGS {{settings 2}}, index_granularity = 1024, allow_nullable_key = 1
COMMENT 'Outcomes per day';

CREATE MATERIALIZED VIEW IF NOT EXISTS core.mv_outcomes_day {{onCluster}} TO core.outcomes_day AS
SELECT
    o.tenant AS tenant,
    nullIf(o.team, '') AS team,
    o.kind AS kind,
    nullIf(o.repository_class, '') AS repository_class,
    o.object_day AS day,
    sum(toInt64(o.provisional_delta)) AS provisional,
    sum(toInt64(o.final_delta)) AS final,
    sum(toInt64(o.reverted_delta)) AS reverted,
    sum(if(o.record = 'transition', o.value_millipoints * (toInt64(o.provisional_delta) + toInt64(o.final_delta)), NULL)) AS value_millipoints,
    sum(if(o.record = 'announced', toNullable(toInt64(1)), NULL)) AS verified,
    toInt64(countIf(o.record = 'transition')) AS transitions
FROM core.outcomes AS o
WHERE o.observational = 0
GROUP BY tenant, team, kind, repository_class, day;

-- What AI tools count about themselves: commits and pull requests they made.
CREATE MATERIALIZED VIEW IF NOT EXISTS core.mv_claims_day {{onCluster}} TO core.outcomes_day AS
SELECT
    a.tenant AS tenant,
    nullIf(a.team, '') AS team,
    if(endsWith(a.name, 'pull_request.count'), 'pr_opened', 'commit_landed') AS kind,
    CAST(NULL AS LowCardinality(Nullable(String))) AS repository_class,
    toDate(toDateTime(a.event_time, 'UTC'), 'UTC') AS day,
    sum(accurateCastOrNull(arraySum(mapValues(a.numbers)), 'Int64')) AS claimed
FROM core.activity AS a
WHERE a.observational = 0 AND (endsWith(a.name, 'pull_request.count') OR endsWith(a.name, 'commit.count'))
GROUP BY tenant, team, kind, repository_class, day;

-- Conservation and last-seen by hour of acceptance at the collector. Five tables
-- feed it, so its window is five times as long.
CREATE TABLE IF NOT EXISTS core.quality_hour {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant; empty where it could not be read',
    source LowCardinality(String) COMMENT 'Adapter; empty where it could not be read',
    hour DateTime('UTC') COMMENT 'Start of the hour of acceptance at the collector',
    accepted SimpleAggregateFunction(sum, Int64) COMMENT 'Records accepted, by the tallies of the ledger',
    duplicate SimpleAggregateFunction(sum, Int64) COMMENT 'Records whose event id was known, by the tallies',
    held SimpleAggregateFunction(sum, Int64) COMMENT 'Records still held back, by the tallies',
    rejected SimpleAggregateFunction(sum, Int64) COMMENT 'Records that the collector refused, by the tallies',
    rejected_lost SimpleAggregateFunction(max, UInt8) COMMENT '1: a tally of rejected records was lost',
    stored SimpleAggregateFunction(sum, Int64) COMMENT 'Rows stored that count',
    merged SimpleAggregateFunction(sum, Int64) COMMENT 'Rows stored as observational',
    late SimpleAggregateFunction(sum, Int64) COMMENT 'Part of stored that came more than 48 h behind the watermark',
    dead AggregateFunction(uniqExact, String, Int32, Int64) COMMENT 'Distinct (topic, partition, offset) of dead letters of the folds and the sink',
    last_event_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'Newest event time stored',
    last_accepted_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'Newest broker time stored',
    last_stored_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'Newest server time of an insert'
)
ENGINE = {{engine "AggregatingMergeTree"}}
PARTITION BY toYYYYMM(hour)
ORDER BY (tenant, source, hour)
SETTINGS {{settings 5}}, index_granularity = 1024, allow_nullable_key = 1
COMMENT 'What became of the records of each hour of acceptance';
{{range $t := list "usage" "activity" "outcomes"}}
CREATE MATERIALIZED VIEW IF NOT EXISTS core.mv_quality_{{$t}} {{onCluster}} TO core.quality_hour AS
SELECT
    r.tenant AS tenant,
    r.source AS source,
    toStartOfHour(toDateTime(r.received_at, 'UTC')) AS hour,
    toInt64(countIf(r.observational = 0)) AS stored,
    toInt64(countIf(r.observational != 0)) AS merged,
    toInt64(countIf(r.observational = 0 AND r.late = 1)) AS late,
    max(r.event_time) AS last_event_at,
    max(r.accepted_at) AS last_accepted_at,
    max(r.stored_at) AS last_stored_at
FROM core.{{$t}} AS r{{if eq $t "outcomes"}}
WHERE r.record = 'announced'{{end}}
GROUP BY tenant, source, hour;
{{end}}
CREATE MATERIALIZED VIEW IF NOT EXISTS core.mv_quality_tallies {{onCluster}} TO core.quality_hour AS
SELECT
    t.tenant AS tenant,
    t.source AS source,
    t.hour AS hour,
    sum(t.accepted) AS accepted,
    sum(t.duplicate) AS duplicate,
    sum(t.held) AS held,
    sum(t.rejected) AS rejected,
    max(t.rejected_lost) AS rejected_lost
FROM core.tallies AS t
GROUP BY tenant, source, hour;

-- What the collector dead-letters is counted as rejected, by the tallies.
CREATE MATERIALIZED VIEW IF NOT EXISTS core.mv_quality_dead {{onCluster}} TO core.quality_hour AS
SELECT
    d.tenant AS tenant,
    d.source AS source,
    toStartOfHour(toDateTime(d.event_time, 'UTC')) AS hour,
    uniqExactState(toString(d.topic), d.partition, d.offset) AS dead
FROM core.dead AS d
WHERE d.stage != 'collector'
GROUP BY tenant, source, hour;

CREATE TABLE IF NOT EXISTS core.ticks_minute {{onCluster}}
(
    p UInt16 COMMENT 'Partition of goodhart.events.v1',
    minute DateTime('UTC') COMMENT 'Start of the minute of broker time',
    ticks SimpleAggregateFunction(sum, Int64) COMMENT 'Ticks stored',
    last_event_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'Newest wall clock of a collector',
    last_accepted_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'Newest broker time',
    last_stored_at SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'Newest server time of an insert',
    lag_ms AggregateFunction(quantilesTDigest(0.5, 0.95, 0.99), Float32) COMMENT 'Time from accepted to stored, ms'
)
ENGINE = {{engine "AggregatingMergeTree"}}
PARTITION BY toYYYYMM(minute)
ORDER BY (p, minute)
SETTINGS {{settings 1}}, index_granularity = 1024, allow_nullable_key = 1
COMMENT 'Ticks per minute: the time from accepted to queryable';

CREATE MATERIALIZED VIEW IF NOT EXISTS core.mv_ticks_minute {{onCluster}} TO core.ticks_minute AS
SELECT
    t.p AS p,
    toStartOfMinute(toDateTime(t.accepted_at, 'UTC')) AS minute,
    toInt64(count()) AS ticks,
    max(t.event_time) AS last_event_at,
    max(t.accepted_at) AS last_accepted_at,
    max(t.stored_at) AS last_stored_at,
    quantilesTDigestState(0.5, 0.95, 0.99)(toFloat32(toUnixTimestamp64Milli(t.stored_at) - toUnixTimestamp64Milli(t.accepted_at))) AS lag_ms
FROM core.ticks AS t
GROUP BY p, minute;
{{if cluster}}
-- In a cluster views read all shards through these. Inserts never do: a
-- Distributed table splits a block again, and its token would not name it.
{{range $t := list "usage_minute" "usage_hour" "usage_day" "outcomes_day" "quality_hour" "ticks_minute" "scores" "group_size" "signals" "signal_evidence" "kpi_health" "prices" "suspect_months"}}
CREATE TABLE IF NOT EXISTS core.{{$t}}_all {{onCluster}} AS core.{{$t}}
ENGINE = Distributed(`{{$.Cluster}}`, core, {{$t}});
{{end}}{{end}}