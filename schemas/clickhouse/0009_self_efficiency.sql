-- The efficiency of one person, as self.v1 tells it to that person. Order by subject
-- first within the tenant, as core.self.
CREATE TABLE IF NOT EXISTS core.self_efficiency {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    subject String COMMENT 'Pseudonym of the person it is about',
    window LowCardinality(String) COMMENT 'Size: 28d',
    window_start DateTime64(3, 'UTC') COMMENT 'Start, inclusive' CODEC(Delta, LZ4),
    window_end DateTime64(3, 'UTC') COMMENT 'End, exclusive' CODEC(Delta, LZ4),
    rev UInt32 COMMENT 'Revision, always 0',
    w DateTime64(3, 'UTC') COMMENT 'Watermark at emission' CODEC(Delta, LZ4),
    role LowCardinality(String) COMMENT 'Role with whose curve the person is compared; empty where unknown',
    weeks Int64 COMMENT 'Weeks of the window in which the person worked',
    outcomes_needed Nullable(Float64) COMMENT 'Outcomes that must be expected for a score',
    outcomes_credited Nullable(Float64) COMMENT 'Outcomes credited, of mean worth; NULL unless they can be compared',
    outcomes_expected Nullable(Float64) COMMENT 'Outcomes expected of peers at the same spend, of mean worth; NULL unless they can be compared',
    score Nullable(Float64) COMMENT 'Efficiency index, 100 is what the role achieves at the same spend; NULL with insufficient data',
    score_lo Nullable(Float64) COMMENT 'Lower end of the 90 % interval of score',
    score_hi Nullable(Float64) COMMENT 'Upper end of the 90 % interval of score',
    aligned_cost_nanos Nullable(Int64) COMMENT 'Cost at constant price that counts towards the outcomes of the window, nano-USD',
    unit_cost_nanos Nullable(Int64) COMMENT 'Cost of an outcome of mean worth, nano-USD; NULL without a score',
    unit_cost_lo_nanos Nullable(Int64) COMMENT 'Lower end of the 90 % interval of unit_cost_nanos',
    unit_cost_hi_nanos Nullable(Int64) COMMENT 'Upper end of the 90 % interval of unit_cost_nanos',
    coverage Nullable(Float64) COMMENT 'Share of the standing worth that is linked to usage, 0..1; NULL where links are unknown',
    unpriced_share Nullable(Float64) COMMENT 'Share of usage records without a price, 0..1',
    dispersion Nullable(Float64) COMMENT 'Variance of a count by its mean',
    reason LowCardinality(String) COMMENT 'Why there is no score; empty if there is one',
    status LowCardinality(String) COMMENT 'final, insufficient data',
    formula LowCardinality(String) COMMENT 'Version of the formulae',
    config_version UInt64 COMMENT 'Version of the configuration in force; 0 for none',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from' CODEC(Delta, LZ4)
)
ENGINE = {{engine "ReplacingMergeTree" "rev"}}
PARTITION BY toYYYYMM(window_end)
ORDER BY (tenant, subject, window, window_end)
SETTINGS {{settings 1}}
COMMENT 'The efficiency of a person, for that person alone; no public view reads it';
