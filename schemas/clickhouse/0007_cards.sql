-- What a card was compared over and all of its checks, and what each signal could
-- look at.

ALTER TABLE core.kpi_health {{onCluster}}
    ADD COLUMN IF NOT EXISTS compared_from Nullable(DateTime64(3, 'UTC')) COMMENT 'Start of the weeks since the announcement that are compared with those before it; NULL if there are too few' AFTER config_version,
    ADD COLUMN IF NOT EXISTS compared_to Nullable(DateTime64(3, 'UTC')) COMMENT 'End of those weeks, exclusive' AFTER compared_from;
{{if cluster}}
ALTER TABLE core.kpi_health_all {{onCluster}}
    ADD COLUMN IF NOT EXISTS compared_from Nullable(DateTime64(3, 'UTC')) COMMENT 'Start of the weeks since the announcement that are compared with those before it; NULL if there are too few' AFTER config_version,
    ADD COLUMN IF NOT EXISTS compared_to Nullable(DateTime64(3, 'UTC')) COMMENT 'End of those weeks, exclusive' AFTER compared_from;
{{end}}
CREATE TABLE IF NOT EXISTS core.kpi_checks {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    target LowCardinality(String) COMMENT 'Id of the usage target',
    scope_kind LowCardinality(String) COMMENT 'tenant, team',
    scope LowCardinality(String) COMMENT 'Member of the scope; empty for the tenant',
    week_start Date COMMENT 'Monday of the ISO week, UTC',
    check_name LowCardinality(String) COMMENT 'Name of the check, e.g. elasticity',
    rev UInt32 COMMENT 'Revision of the card, from 0; the highest holds',
    place UInt16 COMMENT 'Place on the card, from 0',
    value Nullable(Float64) COMMENT 'The estimate; NULL where unknown',
    lo Nullable(Float64) COMMENT 'Lower end of its 90 % interval',
    hi Nullable(Float64) COMMENT 'Upper end of it',
    n Int64 COMMENT 'Size of the sample it rests on, or would',
    placebo Nullable(Float64) COMMENT 'The same estimate where the target can have had no effect',
    z Nullable(Float64) COMMENT 'Distance in standard errors from what is expected without gaming',
    alarm UInt8 COMMENT '1: it counts against the target',
    contribution LowCardinality(String) COMMENT 'none, watch, adversarial, decoupling',
    reason LowCardinality(String) COMMENT 'Why the estimate is NULL or cannot raise an alarm, or which series raised it',
    verdict LowCardinality(String) COMMENT 'Verdict of the card',
    formula LowCardinality(String) COMMENT 'Version of its arithmetic',
    w DateTime64(3, 'UTC') COMMENT 'Watermark at emission',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from' CODEC(Delta, LZ4)
)
ENGINE = {{engine "ReplacingMergeTree" "rev"}}
PARTITION BY toYYYYMM(week_start)
ORDER BY (tenant, target, scope_kind, scope, week_start, check_name)
SETTINGS {{settings 1}}
COMMENT 'The checks of each health card';

CREATE TABLE IF NOT EXISTS core.signal_coverage {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    code LowCardinality(String) COMMENT 'Code of the catalogue',
    week_start Date COMMENT 'Monday of the ISO week, UTC',
    rev UInt32 COMMENT 'Revision, from 0; the highest holds',
    title String COMMENT 'Title of the catalogue entry',
    subjects Int64 COMMENT 'Subjects that the signal is meant for',
    known Int64 COMMENT 'Part of subjects with a record that says what it needs',
    measured Int64 COMMENT 'Part of known with a large enough sample and a known habit',
    records Int64 COMMENT 'Records that it would look at',
    known_records Int64 COMMENT 'Part of records that say what it needs',
    formula LowCardinality(String) COMMENT 'Version of its arithmetic',
    config_version UInt64 COMMENT 'Version of the configuration in force; 0 for none',
    w DateTime64(3, 'UTC') COMMENT 'Watermark at emission',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from' CODEC(Delta, LZ4)
)
ENGINE = {{engine "ReplacingMergeTree" "rev"}}
PARTITION BY toYYYYMM(week_start)
ORDER BY (tenant, code, week_start)
SETTINGS {{settings 1}}
COMMENT 'How much of each week each signal could look at';
{{if cluster}}{{range $t := list "kpi_checks" "signal_coverage"}}
CREATE TABLE IF NOT EXISTS core.{{$t}}_all {{onCluster}} AS core.{{$t}}
ENGINE = Distributed(`{{$.Cluster}}`, core, {{$t}});
{{end}}{{end}}
