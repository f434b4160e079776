-- What the tenant fold concludes, one row per record of scores.v1, signals.v1,
-- kpi.v1 and self.v1, and the price list. A higher rev replaces the row it
-- corrects; readers take argMax(x, rev), because a merge may not have run.
-- Partition keys are constant over the revisions of a row, or replacing would
-- never see them together.

CREATE TABLE IF NOT EXISTS core.scores {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    scope_kind LowCardinality(String) COMMENT 'tenant, team, model, tool',
    scope LowCardinality(String) COMMENT 'Member of the scope; empty for the tenant',
    window LowCardinality(String) COMMENT 'Size: 5m, 1h, 24h, 7d, 28d',
    window_start DateTime64(3, 'UTC') COMMENT 'Start, inclusive' CODEC(Delta, LZ4),
    window_end DateTime64(3, 'UTC') COMMENT 'End, exclusive' CODEC(Delta, LZ4),
    rev UInt32 COMMENT 'Revision, from 0; the highest holds',
    w DateTime64(3, 'UTC') COMMENT 'Watermark at emission' CODEC(Delta, LZ4),
    requests Int64 COMMENT 'Model requests',
    records Int64 COMMENT 'Usage records of any granularity',
    errors Int64 COMMENT 'Requests that failed',
    input_uncached_tokens Nullable(Int64) COMMENT 'Tokens; NULL where unknown',
    cache_read_tokens Nullable(Int64) COMMENT 'Tokens; NULL where unknown',
    cache_write_tokens Nullable(Int64) COMMENT 'Tokens; NULL where unknown',
    output_tokens Nullable(Int64) COMMENT 'Tokens; NULL where unknown',
    reasoning_tokens Nullable(Int64) COMMENT 'Tokens, part of output; NULL where unknown',
    cost_nanos Nullable(Int64) COMMENT 'Known cost, nano-USD; NULL where unknown',
    unpriced_requests Int64 COMMENT 'Usage records without a price',
    unknown_token_requests Int64 COMMENT 'Requests without an input or an output count',
    outcomes_provisional Nullable(Int64) COMMENT 'Net change of provisional credit in the window; NULL where unknown',
    outcomes_final Nullable(Int64) COMMENT 'Net change of final credit in the window; NULL where unknown',
    outcomes_reverted Nullable(Int64) COMMENT 'Net change of reverted credit in the window; NULL where unknown',
    activities Int64 COMMENT 'Activity records',
    people Nullable(Int64) COMMENT 'Distinct persons; NULL where unknown',
    cost_per_outcome_nanos Nullable(Int64) COMMENT 'Cost per verified outcome, nano-USD; NULL without outcomes',
    outcomes_per_million_tokens Nullable(Float64) COMMENT 'Verified outcomes per million tokens; NULL without tokens',
    cache_read_share Nullable(Float64) COMMENT 'Share of input tokens read from a cache, 0..1; NULL without input',
    error_share Nullable(Float64) COMMENT 'Share of requests that failed, 0..1; NULL without requests',
    status LowCardinality(String) COMMENT 'rolling, provisional, final, insufficient data',
    formula LowCardinality(String) COMMENT 'Version of the formulae',
    config_version UInt64 COMMENT 'Version of the configuration in force; 0 for none',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from' CODEC(Delta, LZ4)
)
ENGINE = {{engine "ReplacingMergeTree" "rev"}}
PARTITION BY toYYYYMM(window_end)
ORDER BY (tenant, window, scope_kind, scope, window_end)
SETTINGS {{settings 1}}
COMMENT 'Rolling figures: integer sums per scope and window, and the ratios made of them';

CREATE TABLE IF NOT EXISTS core.group_size {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    team LowCardinality(String) COMMENT 'Team; empty for persons without one',
    week_start Date COMMENT 'Monday of the ISO week, UTC',
    iso_week LowCardinality(String) COMMENT 'ISO week, e.g. 2026-W40',
    rev UInt32 COMMENT 'Revision, from 0; the highest holds',
    people Int64 COMMENT 'Distinct persons of the team in the week',
    top1_share Nullable(Float64) COMMENT 'Share of the largest person, 0..1',
    top2_share Nullable(Float64) COMMENT 'Share of the two largest persons, 0..1',
    publishable UInt8 COMMENT '1: the team-week may be shown',
    reason LowCardinality(String) COMMENT 'Why not: group_size, dominance, complementary, unknown; empty if publishable',
    w DateTime64(3, 'UTC') COMMENT 'Watermark at emission',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from' CODEC(Delta, LZ4)
)
ENGINE = {{engine "ReplacingMergeTree" "rev"}}
PARTITION BY toYYYYMM(week_start)
ORDER BY (tenant, team, week_start)
SETTINGS {{settings 1}}
COMMENT 'Which team-weeks may be shown; a team-week without a row may not';

CREATE TABLE IF NOT EXISTS core.signals {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    signal_id String COMMENT 'Stable id of the signal',
    rev UInt32 COMMENT 'Revision, from 0; the highest holds',
    code LowCardinality(String) COMMENT 'Code of the catalogue',
    title String COMMENT 'Title of the catalogue entry',
    scope_kind LowCardinality(String) COMMENT 'metric, tenant, team, model, tool, service',
    scope LowCardinality(String) COMMENT 'Member of the scope',
    team LowCardinality(String) COMMENT 'Team that the scope resolves to; empty for none',
    label LowCardinality(String) COMMENT 'tooling, runaway, possible gaming',
    severity LowCardinality(String) COMMENT 'info, warning, critical',
    status LowCardinality(String) COMMENT 'opened, updated, resolved, disputed',
    opened_at DateTime64(3, 'UTC') COMMENT 'When it opened; the same in every revision',
    updated_at DateTime64(3, 'UTC') COMMENT 'Time of this revision',
    resolved_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was resolved; NULL while open',
    question String COMMENT 'The question that the signal asks',
    cost_at_stake_nanos Nullable(Int64) COMMENT 'Cost at stake, nano-USD; NULL where unknown',
    formula LowCardinality(String) COMMENT 'Version of the formulae',
    config_version UInt64 COMMENT 'Version of the configuration in force; 0 for none',
    w DateTime64(3, 'UTC') COMMENT 'Watermark at emission',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from' CODEC(Delta, LZ4)
)
ENGINE = {{engine "ReplacingMergeTree" "rev"}}
PARTITION BY toYYYYMM(opened_at)
ORDER BY (tenant, signal_id)
SETTINGS {{settings 1}}
COMMENT 'Signals about metrics, teams, tools and service keys; never about a person';

CREATE TABLE IF NOT EXISTS core.signal_evidence {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    signal_id String COMMENT 'Signal it belongs to',
    rev UInt32 COMMENT 'Revision of the signal it belongs to',
    fact LowCardinality(String) COMMENT 'Name of the fact within the revision',
    team LowCardinality(String) COMMENT 'Team that the scope of the signal resolves to; empty for none',
    statistic LowCardinality(String) COMMENT 'What was measured',
    value Nullable(Float64) COMMENT 'Measured value, in unit',
    unit LowCardinality(String) COMMENT 'Unit of value and threshold',
    threshold Nullable(Float64) COMMENT 'Threshold it was compared with, in unit',
    n Int64 COMMENT 'Sample size',
    window LowCardinality(String) COMMENT 'Window it was measured over',
    look_alike_checked Array(String) COMMENT 'Innocent explanations that were checked, each with its finding',
    opened_at DateTime64(3, 'UTC') COMMENT 'When the signal opened; the same in every revision',
    w DateTime64(3, 'UTC') COMMENT 'Watermark at emission',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from' CODEC(Delta, LZ4)
)
ENGINE = {{engine "ReplacingMergeTree"}}
PARTITION BY toYYYYMM(opened_at)
ORDER BY (tenant, signal_id, rev, fact)
SETTINGS {{settings 1}}
COMMENT 'The facts that a revision of a signal rests on';

-- Order by subject first within the tenant: the only lawful question is what a
-- person may see about themselves.
CREATE TABLE IF NOT EXISTS core.self {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    subject String COMMENT 'Pseudonym of the person it is about',
    signal_id String COMMENT 'Stable id of the signal',
    rev UInt32 COMMENT 'Revision, from 0; the highest holds',
    code LowCardinality(String) COMMENT 'Code of the catalogue',
    title String COMMENT 'Title of the catalogue entry',
    label LowCardinality(String) COMMENT 'tooling, runaway, possible gaming',
    severity LowCardinality(String) COMMENT 'info, warning, critical',
    status LowCardinality(String) COMMENT 'opened, updated, resolved, disputed',
    opened_at DateTime64(3, 'UTC') COMMENT 'When it opened; the same in every revision',
    updated_at DateTime64(3, 'UTC') COMMENT 'Time of this revision',
    resolved_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When it was resolved; NULL while open',
    question String COMMENT 'The question that the signal asks the person',
    cost_at_stake_nanos Nullable(Int64) COMMENT 'Cost at stake, nano-USD; NULL where unknown',
    evidence String COMMENT 'Facts it rests on, JSON array' CODEC(ZSTD(1)),
    formula LowCardinality(String) COMMENT 'Version of the formulae',
    config_version UInt64 COMMENT 'Version of the configuration in force; 0 for none',
    w DateTime64(3, 'UTC') COMMENT 'Watermark at emission',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from' CODEC(Delta, LZ4)
)
ENGINE = {{engine "ReplacingMergeTree" "rev"}}
PARTITION BY toYYYYMM(opened_at)
ORDER BY (tenant, subject, signal_id)
SETTINGS {{settings 1}}
COMMENT 'Questions to a person, for that person alone; no public view reads it';

CREATE TABLE IF NOT EXISTS core.kpi_health {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    target LowCardinality(String) COMMENT 'Id of the usage target',
    scope_kind LowCardinality(String) COMMENT 'tenant, team',
    scope LowCardinality(String) COMMENT 'Member of the scope; empty for the tenant',
    week_start Date COMMENT 'Monday of the ISO week, UTC',
    rev UInt32 COMMENT 'Revision, from 0; the highest holds',
    elasticity Nullable(Float64) COMMENT 'Within-person elasticity of outcomes on tokens',
    elasticity_lo Nullable(Float64) COMMENT 'Lower bound of its interval',
    elasticity_hi Nullable(Float64) COMMENT 'Upper bound of its interval',
    bunching Nullable(Float64) COMMENT 'Excess mass just above the target, relative to the counterfactual',
    concentration Nullable(Float64) COMMENT 'Gini coefficient of tokens over persons, 0..1',
    signalled_share Nullable(Float64) COMMENT 'Share of tokens in signalled sessions, 0..1',
    excess_share Nullable(Float64) COMMENT 'Share of tokens since the announcement that bought nothing, 0..1',
    excess_share_lo Nullable(Float64) COMMENT 'Lower bound of its interval',
    excess_share_hi Nullable(Float64) COMMENT 'Upper bound of its interval',
    excess_cost_nanos Nullable(Int64) COMMENT 'Cost of the excess, nano-USD',
    placebo_excess Nullable(Float64) COMMENT 'The same estimate between two periods before the announcement',
    verdict LowCardinality(String) COMMENT 'healthy, watch, losing meaning, insufficient data',
    reasons Array(String) COMMENT 'What the verdict rests on',
    formula LowCardinality(String) COMMENT 'Version of the formulae',
    config_version UInt64 COMMENT 'Version of the configuration in force; 0 for none',
    w DateTime64(3, 'UTC') COMMENT 'Watermark at emission',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from' CODEC(Delta, LZ4)
)
ENGINE = {{engine "ReplacingMergeTree" "rev"}}
PARTITION BY toYYYYMM(week_start)
ORDER BY (tenant, target, scope_kind, scope, week_start)
SETTINGS {{settings 1}}
COMMENT 'Health of each usage target per week and scope';

-- Small, read whole: no partitions.
CREATE TABLE IF NOT EXISTS core.prices {{onCluster}}
(
    provider LowCardinality(String) COMMENT 'Provider the price holds for; empty: every provider without its own',
    model LowCardinality(String) COMMENT 'Canonical model name',
    token_class LowCardinality(String) COMMENT 'input_uncached, cache_read, cache_write_5m, cache_write_1h, output',
    tier LowCardinality(String) COMMENT 'standard, batch, priority, fast, and each with _long_context; long_context is that of standard',
    valid_from Date COMMENT 'First day of validity',
    valid_to Nullable(Date) COMMENT 'First day it no longer holds; NULL while in force',
    nanos_per_million Int64 COMMENT 'Price of a million tokens, nano-USD',
    source String COMMENT 'Where the price was published',
    book_version LowCardinality(String) COMMENT 'Version of the price book',
    loaded_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'When it was loaded; the newest holds'
)
ENGINE = {{engine "ReplacingMergeTree" "loaded_at"}}
ORDER BY (model, provider, token_class, tier, valid_from)
SETTINGS {{settings 1}}
COMMENT 'The price book in force, for the view prices; costs are stamped by the collector';
