-- Views of the pipeline itself, and the dimensions to filter by.

CREATE OR REPLACE VIEW goodhart.data_quality {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant; empty for records whose tenant could not be read',
    hour DateTime('UTC') COMMENT 'Hour of acceptance at the collector, UTC',
    source LowCardinality(String) COMMENT 'Adapter that decoded the announcement',
    accepted Int64 COMMENT 'Records that the pipeline accepted. Additive',
    stored Int64 COMMENT 'Rows stored that count. Additive',
    late Int64 COMMENT 'Part of stored that came more than 48 h late: in the totals, in no score. Additive',
    duplicates Int64 COMMENT 'Records that had been accepted before. Additive',
    merged Int64 COMMENT 'Rows stored that do not count, because another announcement of the same request does. Additive',
    held Int64 COMMENT 'Records still held back until it is known whether they count. Additive',
    dead Int64 COMMENT 'Records accepted and found unusable later. Additive',
    rejected Nullable(Int64) COMMENT 'Records that the collector refused: part of none of the other counts. Additive; NULL where a tally was lost',
    coverage Nullable(Float64) COMMENT 'Share of accepted records whose fate is known, 0 to 1: 1 is complete; NULL before the tallies arrive. Not additive',
    suspect UInt8 COMMENT '1: rollups of this month wait for a check after an interrupted insert'
)
{{definer}} AS
SELECT
    q.tenant AS tenant,
    q.hour AS hour,
    q.source AS source,
    sum(q.accepted) AS accepted,
    sum(q.stored) AS stored,
    sum(q.late) AS late,
    sum(q.duplicate) AS duplicates,
    sum(q.merged) AS merged,
    sum(q.held) AS held,
    toInt64(uniqExactMerge(q.dead)) AS dead,
    if(max(q.rejected_lost) = 1, NULL, sum(q.rejected)) AS rejected,
    if(sum(q.accepted) = 0, NULL, (sum(q.stored) + sum(q.merged) + sum(q.duplicate) + toInt64(uniqExactMerge(q.dead))) / sum(q.accepted)) AS coverage,
    toUInt8(toYYYYMM(q.hour) {{in}} (
        SELECT m.month FROM {{from "suspect_months"}} AS m
        GROUP BY m.month, m.base_table
        HAVING max(m.marked_at) > max(ifNull(m.repaired_at, toDateTime64(0, 3, 'UTC')))
    )) AS suspect
FROM {{from "quality_hour"}} AS q
GROUP BY tenant, hour, source
COMMENT 'Can I trust this hour: accepted = duplicates + held + stored + merged + dead';

-- Ticks cross every partition every five seconds, so what was accepted before the
-- oldest of the partitions' newest stored ticks is queryable. A partition that
-- has been silent for a day longer than the others is gone.
CREATE OR REPLACE VIEW goodhart.freshness {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant; * for the pipeline itself',
    stream LowCardinality(String) COMMENT 'Source of the records; (pipeline) for the ticks that measure it',
    last_event_at Nullable(DateTime('UTC')) COMMENT 'Newest event time stored, UTC',
    last_stored_at Nullable(DateTime('UTC')) COMMENT 'When the newest row became queryable, UTC',
    lag_seconds Nullable(Float64) COMMENT 'Everything accepted before now minus this is queryable; NULL before the first tick. Not additive',
    latency_p50_seconds Nullable(Float64) COMMENT 'Time from accepted to stored of the ticks of the last hour, median; NULL without ticks. Not additive',
    latency_p99_seconds Nullable(Float64) COMMENT 'The same, 99th percentile. Not additive'
)
{{definer}} AS
WITH
    (
        SELECT if(count() = 0, NULL, dateDiff('millisecond', min(n.newest), now64(3, 'UTC')) / 1000)
        FROM
        (
            SELECT max(t.last_accepted_at) AS newest, max(newest) OVER () AS newest_of_all
            FROM {{from "ticks_minute"}} AS t
            GROUP BY t.p
        ) AS n
        WHERE n.newest > n.newest_of_all - toIntervalDay(1)
    ) AS lag,
    (
        SELECT arrayMap(q -> if(isNaN(q), NULL, toFloat64(q) / 1000), quantilesTDigestMerge(0.5, 0.95, 0.99)(t.lag_ms))
        FROM {{from "ticks_minute"}} AS t
        WHERE t.minute > now('UTC') - toIntervalHour(1)
    ) AS latency
SELECT
    q.tenant AS tenant,
    q.source AS stream,
    toNullable(toDateTime(max(q.last_event_at), 'UTC')) AS last_event_at,
    toNullable(toDateTime(max(q.last_stored_at), 'UTC')) AS last_stored_at,
    lag AS lag_seconds,
    latency[1] AS latency_p50_seconds,
    latency[3] AS latency_p99_seconds
FROM {{from "quality_hour"}} AS q
GROUP BY tenant, stream
HAVING sum(q.stored) + sum(q.merged) > 0
UNION ALL
SELECT
    '*' AS tenant,
    '(pipeline)' AS stream,
    if(count() = 0, NULL, toDateTime(max(t.last_event_at), 'UTC')) AS last_event_at,
    if(count() = 0, NULL, toDateTime(max(t.last_stored_at), 'UTC')) AS last_stored_at,
    lag AS lag_seconds,
    latency[1] AS latency_p50_seconds,
    latency[3] AS latency_p99_seconds
FROM {{from "ticks_minute"}} AS t
COMMENT 'Is it up to date';

CREATE OR REPLACE VIEW goodhart.prices {{onCluster}}
(
    tenant LowCardinality(String) COMMENT '*: the price list is the same for every tenant',
    model LowCardinality(String) COMMENT 'Canonical model name',
    provider LowCardinality(Nullable(String)) COMMENT 'Provider the price holds for; NULL: every provider without its own',
    token_class LowCardinality(String) COMMENT 'input_uncached, cache_read, cache_write_5m, cache_write_1h, output',
    tier LowCardinality(String) COMMENT 'standard, batch, priority, fast, and each with _long_context; long_context is that of standard',
    valid_from Date COMMENT 'First day of validity, UTC',
    valid_to Nullable(Date) COMMENT 'First day it no longer holds; NULL while in force',
    usd_per_million Decimal(18, 9) COMMENT 'Price of a million tokens, USD',
    source String COMMENT 'Where the price was published'
)
{{definer}} AS
SELECT
    '*' AS tenant,
    p.model AS model,
    CAST(nullIf(p.of_provider, '') AS LowCardinality(Nullable(String))) AS provider,
    p.token_class AS token_class,
    p.tier AS tier,
    p.valid_from AS valid_from,
    tupleElement(p.newest, 1) AS valid_to,
    {{usd "tupleElement(p.newest, 2)"}} AS usd_per_million,
    tupleElement(p.newest, 3) AS source
FROM
(
    SELECT
        r.model AS model,
        r.provider AS of_provider,
        r.token_class AS token_class,
        r.tier AS tier,
        r.valid_from AS valid_from,
        argMax((r.valid_to, r.nanos_per_million, r.source, r.book_version), r.loaded_at) AS newest
    FROM {{from "prices"}} AS r
    GROUP BY model, of_provider, token_class, tier, valid_from
) AS p
WHERE tupleElement(p.newest, 4) = (SELECT argMax(b.book_version, b.loaded_at) FROM {{from "prices"}} AS b)
COMMENT 'What did we price with: the price list in force, by date';

CREATE OR REPLACE VIEW goodhart.teams {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    team LowCardinality(String) COMMENT 'Team that was large enough to show in at least one week',
    size_band LowCardinality(String) COMMENT 'Persons in the newest week that may be shown: under 10, 10-19, 20-49, 50-99, 100+',
    first_week Date COMMENT 'First week that may be shown, Monday, UTC',
    last_week Date COMMENT 'Last week that may be shown, Monday, UTC'
)
{{definer}} AS
SELECT
    g.tenant AS tenant,
    g.team AS team,
    multiIf(argMax(g.newest_people, g.week_start) < 10, 'under 10', argMax(g.newest_people, g.week_start) < 20, '10-19',
        argMax(g.newest_people, g.week_start) < 50, '20-49', argMax(g.newest_people, g.week_start) < 100, '50-99', '100+') AS size_band,
    min(g.week_start) AS first_week,
    max(g.week_start) AS last_week
FROM
(
    SELECT
        r.tenant AS tenant,
        r.team AS team,
        r.week_start AS week_start,
        argMax(r.people, r.rev) AS newest_people
    FROM {{from "group_size"}} AS r
    WHERE r.team != ''
    GROUP BY tenant, team, week_start
    HAVING argMax(r.publishable, r.rev) = 1
) AS g
GROUP BY tenant, team
COMMENT 'Teams to filter by; never names of people';

CREATE OR REPLACE VIEW goodhart.models {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    model LowCardinality(String) COMMENT 'Canonical model name',
    provider LowCardinality(Nullable(String)) COMMENT 'Provider of the model; NULL where unknown',
    priced UInt8 COMMENT '1: the price list in the view prices knows the model',
    first_day Date COMMENT 'First day of use, UTC',
    last_day Date COMMENT 'Last day of use, UTC'
)
{{definer}} AS
SELECT
    u.tenant AS tenant,
    assumeNotNull(u.model) AS model,
    u.provider AS provider,
    toUInt8(model {{in}} (SELECT p.model FROM {{from "prices"}} AS p)) AS priced,
    min(u.day) AS first_day,
    max(u.day) AS last_day
FROM {{from "usage_day"}} AS u
WHERE isNotNull(u.model)
GROUP BY tenant, model, provider
COMMENT 'Models to filter by';
