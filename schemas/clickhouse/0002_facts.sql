-- Raw facts, one row per record of goodhart.facts.v1 (or .dead.v1).
--
-- Common rules. Partitions are months of event time, so that a backfill of the
-- 400 accepted days stays below the limit of partitions per insert and a month
-- can be rebuilt and swapped alone. The order key is short on purpose: sorting
-- is the price of every insert, and raw rows are read by reconcile (whole
-- months) and by drill-downs into one team and time range; everything else
-- reads rollups. Retention (always/10_retention.sql) counts from the insert, not
-- from event time, so a backfill is kept as long as fresh data.
--
-- k_topic is the topic's name, '@' and the first eight hex digits of its id, so
-- that a topic made anew does not share offsets with its predecessor.
-- stored_at is the server's clock at insert: the sink never sends it.
-- Labels that a source did not send are ''; numbers are NULL; an absent
-- request_key is sixteen zero bytes.

CREATE TABLE IF NOT EXISTS core.usage {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant of the credential',
    team LowCardinality(String) COMMENT 'Team of the subject at the time of the event; empty where unknown',
    event_time DateTime64(3, 'UTC') COMMENT 'When it happened' CODEC(Delta, LZ4),
    received_at DateTime64(3, 'UTC') COMMENT 'Acceptance time at the collector' CODEC(Delta, LZ4),
    accepted_at DateTime64(3, 'UTC') COMMENT 'Broker time of the event record' CODEC(Delta, LZ4),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink' CODEC(Delta, LZ4),
    source LowCardinality(String) COMMENT 'Adapter that decoded it',
    signal LowCardinality(String) COMMENT 'Form of the announcement: log, span, metric, transcript, cloudevent, webhook, poll',
    event_id FixedString(16) COMMENT 'Names the announcement',
    request_key FixedString(16) COMMENT 'Names the model request; sixteen zero bytes where unknown',
    conversation String COMMENT 'Keyed hash of the conversation, hex; empty where none',
    parent_conversation String COMMENT 'Keyed hash, hex; empty where none',
    prompt String COMMENT 'Keyed hash, hex; empty where none',
    accounting LowCardinality(String) COMMENT 'Class of the credential: billable, observational, backfill, reconcile',
    observational UInt8 COMMENT '1: another announcement of the same request counts, this row is in no total',
    late UInt8 COMMENT '1: event time lay more than 48 h behind the watermark; in the rollups, in no score',
    subject String COMMENT 'Pseudonym of the actor: p_ person, a_ raw account, s_ service, k_ credential',
    role LowCardinality(String) COMMENT 'Role of the subject; empty where unknown',
    identity_type LowCardinality(String) COMMENT 'human, service, agent; empty where unknown',
    identity_method LowCardinality(String) COMMENT 'How the subject was found: credential, login, email, declared, raw',
    credential LowCardinality(String) COMMENT 'Id of the API key, never the secret',
    tool LowCardinality(String) COMMENT 'Tool that made the request',
    tool_version LowCardinality(String) COMMENT 'Version of the tool',
    transport LowCardinality(String) COMMENT 'otlp_http, otlp_grpc, http, webhook, poll, file',
    adapter_version LowCardinality(String) COMMENT 'Version of the adapter mapping',
    quality Array(LowCardinality(String)) COMMENT 'What the collector found wrong or had to mend',
    tz_offset_min Nullable(Int16) COMMENT 'Offset of the subject from UTC, minutes',
    repository LowCardinality(String) COMMENT 'Allow-listed label or keyed hash; empty where unknown',
    sequence Nullable(UInt64) COMMENT 'Sequence number in the conversation',
    schema_version UInt16 COMMENT 'Version of the event schema',
    operation_name LowCardinality(String) COMMENT 'OTel GenAI operation: chat, embeddings, ...',
    provider LowCardinality(String) COMMENT 'OTel GenAI provider: anthropic, openai, ...',
    request_model LowCardinality(String) COMMENT 'Model as requested',
    response_model LowCardinality(String) COMMENT 'Model as answered',
    model LowCardinality(String) COMMENT 'Canonical model, the one that is priced; unknown where absent',
    input_uncached_tokens Nullable(Int64) COMMENT 'Input tokens that no cache served or stored',
    cache_read_tokens Nullable(Int64) COMMENT 'Input tokens read from a cache',
    cache_write_5m_tokens Nullable(Int64) COMMENT 'Input tokens written to a cache for 5 minutes',
    cache_write_1h_tokens Nullable(Int64) COMMENT 'Input tokens written to a cache for 1 hour',
    cache_write_tokens Nullable(Int64) COMMENT 'Input tokens written to a cache, time to live unknown',
    output_tokens Nullable(Int64) COMMENT 'Output tokens, reasoning included',
    reasoning_tokens Nullable(Int64) COMMENT 'Part of output_tokens',
    cost_nanos Nullable(Int64) COMMENT 'Cost by cost_basis, nano-USD; NULL where unpriced or carried by other records',
    cost_basis LowCardinality(String) COMMENT 'billed, reported, estimated, unpriced; empty where other records carry the cost',
    price_version LowCardinality(String) COMMENT 'Version of the price book',
    reported_cost_nanos Nullable(Int64) COMMENT 'What the source itself said it cost, nano-USD; in no total',
    price_tier LowCardinality(String) COMMENT 'Tier that was priced',
    duration_ms Nullable(Int64) COMMENT 'Duration of the request, ms',
    ttft_ms Nullable(Int64) COMMENT 'Time to first token, ms',
    status LowCardinality(String) COMMENT 'ok, error; empty where unknown',
    error_type LowCardinality(String) COMMENT 'Class of the error; empty where none',
    attempt Nullable(UInt32) COMMENT 'Attempt number, from 1',
    finish_reason LowCardinality(String) COMMENT 'Why the model stopped; empty where unknown',
    granularity LowCardinality(String) COMMENT 'request, delta, bucket; only request rows count as requests',
    query_source LowCardinality(String) COMMENT 'Part of the tool that asked',
    agent_name LowCardinality(String) COMMENT 'Agent that asked; empty where none',
    turn Nullable(UInt32) COMMENT 'Turn of the conversation',
    new_turn_tokens Nullable(Int64) COMMENT 'Tokens of the new turn alone',
    h64 Nullable(UInt64) COMMENT 'Keyed hash of the normalised new turn',
    target_h64 Nullable(UInt64) COMMENT 'Keyed hash of what it acted on',
    kappa_ppm Nullable(Int32) COMMENT 'Compression ratio of the new turn, parts per million',
    side_effects Nullable(Int32) COMMENT 'Actions with a side effect',
    w DateTime64(3, 'UTC') COMMENT 'Watermark of the ledger at emission' CODEC(Delta, LZ4),
    p UInt16 COMMENT 'Partition of goodhart.events.v1 it came from',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from' CODEC(Delta, LZ4),
    INDEX ix_offset (k_partition, k_offset) TYPE minmax GRANULARITY 1,
    INDEX ix_subject subject TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = {{engine "MergeTree"}}
PARTITION BY toYYYYMM(event_time)
ORDER BY (tenant, team, event_time)
SETTINGS {{settings 1}}
COMMENT 'One row per usage fact: what one model request, or one delta of a counter, consumed';

CREATE TABLE IF NOT EXISTS core.activity {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant of the credential',
    team LowCardinality(String) COMMENT 'Team of the subject; empty where unknown',
    event_time DateTime64(3, 'UTC') COMMENT 'When it happened' CODEC(Delta, LZ4),
    received_at DateTime64(3, 'UTC') COMMENT 'Acceptance time at the collector' CODEC(Delta, LZ4),
    accepted_at DateTime64(3, 'UTC') COMMENT 'Broker time of the event record' CODEC(Delta, LZ4),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink' CODEC(Delta, LZ4),
    source LowCardinality(String) COMMENT 'Adapter that decoded it',
    signal LowCardinality(String) COMMENT 'Form of the announcement',
    event_id FixedString(16) COMMENT 'Names the announcement',
    request_key FixedString(16) COMMENT 'Names the model request; sixteen zero bytes where unknown',
    conversation String COMMENT 'Keyed hash of the conversation, hex; empty where none',
    parent_conversation String COMMENT 'Keyed hash, hex; empty where none',
    prompt String COMMENT 'Keyed hash, hex; empty where none',
    accounting LowCardinality(String) COMMENT 'Class of the credential',
    observational UInt8 COMMENT '1: in no total',
    late UInt8 COMMENT '1: event time lay more than 48 h behind the watermark',
    subject String COMMENT 'Pseudonym of the actor',
    role LowCardinality(String) COMMENT 'Role of the subject',
    identity_type LowCardinality(String) COMMENT 'human, service, agent; empty where unknown',
    identity_method LowCardinality(String) COMMENT 'How the subject was found',
    credential LowCardinality(String) COMMENT 'Id of the API key',
    tool LowCardinality(String) COMMENT 'Tool that reported it',
    tool_version LowCardinality(String) COMMENT 'Version of the tool',
    transport LowCardinality(String) COMMENT 'How it reached the collector',
    adapter_version LowCardinality(String) COMMENT 'Version of the adapter mapping',
    quality Array(LowCardinality(String)) COMMENT 'What the collector found wrong or had to mend',
    tz_offset_min Nullable(Int16) COMMENT 'Offset of the subject from UTC, minutes',
    repository LowCardinality(String) COMMENT 'Allow-listed label or keyed hash; empty where unknown',
    sequence Nullable(UInt64) COMMENT 'Sequence number in the conversation',
    schema_version UInt16 COMMENT 'Version of the event schema',
    name LowCardinality(String) COMMENT 'Name of the event',
    numbers Map(LowCardinality(String), Float64) COMMENT 'Allow-listed numeric attributes',
    labels Map(LowCardinality(String), LowCardinality(String)) COMMENT 'Allow-listed enumerated attributes',
    w DateTime64(3, 'UTC') COMMENT 'Watermark of the ledger at emission' CODEC(Delta, LZ4),
    p UInt16 COMMENT 'Partition of goodhart.events.v1 it came from',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from' CODEC(Delta, LZ4),
    INDEX ix_offset (k_partition, k_offset) TYPE minmax GRANULARITY 1,
    INDEX ix_subject subject TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = {{engine "MergeTree"}}
PARTITION BY toYYYYMM(event_time)
ORDER BY (tenant, team, event_time)
SETTINGS {{settings 1}}
COMMENT 'One row per activity fact: an event of a tool that is not usage, as numbers and labels only';

CREATE TABLE IF NOT EXISTS core.outcomes {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    team LowCardinality(String) COMMENT 'Team of the author of the object; empty where unknown',
    record LowCardinality(String) COMMENT 'announced: an outcome event as published; transition: a change of credit',
    kind LowCardinality(String) COMMENT 'What happened to the object: pr_opened, pr_merged, ...',
    event_time DateTime64(3, 'UTC') COMMENT 'Time of the event or of the transition' CODEC(Delta, LZ4),
    received_at DateTime64(3, 'UTC') COMMENT 'Acceptance time at the collector; of a transition by a timer: its own time' CODEC(Delta, LZ4),
    accepted_at DateTime64(3, 'UTC') COMMENT 'Broker time of the record that caused it; 1970 where a timer did' CODEC(Delta, LZ4),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink' CODEC(Delta, LZ4),
    source LowCardinality(String) COMMENT 'Adapter that decoded it',
    signal LowCardinality(String) COMMENT 'Form of the announcement; empty for transitions',
    event_id FixedString(16) COMMENT 'Names the announcement, or the transition',
    accounting LowCardinality(String) COMMENT 'Class of the credential; empty for transitions',
    observational UInt8 COMMENT '1: in no total',
    late UInt8 COMMENT '1: event time lay more than 48 h behind the watermark',
    subject String COMMENT 'Pseudonym of the author of the object',
    role LowCardinality(String) COMMENT 'Role of the author',
    identity_type LowCardinality(String) COMMENT 'human, service, agent; empty where unknown',
    identity_method LowCardinality(String) COMMENT 'How the author was found; empty for transitions',
    credential LowCardinality(String) COMMENT 'Id of the API key; empty for transitions',
    tool LowCardinality(String) COMMENT 'Tool that reported it; empty for transitions',
    transport LowCardinality(String) COMMENT 'How it reached the collector; empty for transitions',
    adapter_version LowCardinality(String) COMMENT 'Version of the adapter mapping; empty for transitions',
    quality Array(LowCardinality(String)) COMMENT 'What the collector found wrong or had to mend',
    repository LowCardinality(String) COMMENT 'Allow-listed label or keyed hash; empty where unknown',
    repository_class LowCardinality(String) COMMENT 'Class of the repository; empty where none is configured',
    schema_version UInt16 COMMENT 'Version of the event schema; 0 for transitions',
    object String COMMENT 'Keyed hash of the object, hex',
    object_day Date COMMENT 'UTC day the object was merged, done or deployed; of an announced event: its own day',
    transition LowCardinality(String) COMMENT 'merged, finalised, reverted_provisional, reverted_final, restored; empty for announced',
    provisional_delta Int8 COMMENT 'Change of provisional credit; 0 for announced',
    final_delta Int8 COMMENT 'Change of final credit; 0 for announced',
    reverted_delta Int8 COMMENT 'Change of reverted credit; 0 for announced',
    value_millipoints Nullable(Int64) COMMENT 'Value of the object in thousandths of a point; NULL where the source states none',
    merge_sha String COMMENT 'Keyed hash, hex; empty where unknown',
    head_sha String COMMENT 'Keyed hash, hex; empty where unknown',
    merged_by String COMMENT 'Pseudonym; empty where unknown',
    reviewers Array(String) COMMENT 'Pseudonyms',
    is_bot Nullable(Bool) COMMENT 'The author is a bot',
    self_merged Nullable(Bool) COMMENT 'The author merged it',
    independent_approvals Nullable(UInt32) COMMENT 'Approvals by others',
    additions Nullable(Int64) COMMENT 'Lines added; context, never a score',
    deletions Nullable(Int64) COMMENT 'Lines deleted; context, never a score',
    files Nullable(Int64) COMMENT 'Files changed; context, never a score',
    commits Nullable(Int64) COMMENT 'Commits; context, never a score',
    closes Array(String) COMMENT 'Keyed hashes of objects it closes',
    reverts Array(String) COMMENT 'Keyed hashes of what it reverts',
    cherry_picks Array(String) COMMENT 'Keyed hashes of what it repeats',
    evidence_of_ai Nullable(Bool) COMMENT 'The source says that AI took part',
    finalises_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When the credit becomes final; NULL: by default rule',
    conclusion LowCardinality(String) COMMENT 'success, failure, approved, changes_requested, commented, completed',
    environment LowCardinality(String) COMMENT 'Environment of a deployment',
    run_attempt Nullable(UInt32) COMMENT 'Attempt of a CI run',
    w DateTime64(3, 'UTC') COMMENT 'Watermark of the ledger at emission' CODEC(Delta, LZ4),
    p UInt16 COMMENT 'Partition of goodhart.events.v1 it came from',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from' CODEC(Delta, LZ4),
    INDEX ix_offset (k_partition, k_offset) TYPE minmax GRANULARITY 1,
    INDEX ix_subject subject TYPE bloom_filter(0.01) GRANULARITY 4
)
ENGINE = {{engine "MergeTree"}}
PARTITION BY toYYYYMM(event_time)
ORDER BY (tenant, team, kind, event_time)
SETTINGS {{settings 1}}
COMMENT 'One row per announced outcome and per change of credit of an outcome object';

-- Ticks order by partition first: freshness asks for the newest of each.
CREATE TABLE IF NOT EXISTS core.ticks {{onCluster}}
(
    p UInt16 COMMENT 'Partition of goodhart.events.v1 it came through',
    event_time DateTime64(3, 'UTC') COMMENT 'Wall clock of the collector' CODEC(Delta, LZ4),
    received_at DateTime64(3, 'UTC') COMMENT 'Acceptance time at the collector' CODEC(Delta, LZ4),
    accepted_at DateTime64(3, 'UTC') COMMENT 'Broker time of the tick' CODEC(Delta, LZ4),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink' CODEC(Delta, LZ4),
    collector LowCardinality(String) COMMENT 'Stable id of the collector process',
    sequence UInt64 COMMENT 'Number of the round of ticks',
    w DateTime64(3, 'UTC') COMMENT 'Watermark of the ledger at emission' CODEC(Delta, LZ4),
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from' CODEC(Delta, LZ4)
)
ENGINE = {{engine "MergeTree"}}
PARTITION BY toYYYYMM(accepted_at)
ORDER BY (p, accepted_at)
SETTINGS {{settings 1}}
COMMENT 'One row per tick: it measures the time from accepted to queryable';

CREATE TABLE IF NOT EXISTS core.tallies {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    source LowCardinality(String) COMMENT 'Adapter',
    hour DateTime('UTC') COMMENT 'Hour of acceptance at the collector',
    accepted Int64 COMMENT 'Change of the count of accepted records',
    duplicate Int64 COMMENT 'Change of the count of records whose event id was known',
    held Int64 COMMENT 'Change of the count of records held back; falls when they are released',
    rejected Int64 COMMENT 'Change of the count of records that the collector refused',
    rejected_lost UInt8 COMMENT '1: ticks are missing, so the rejected of this hour are unknown',
    dead Int64 COMMENT 'Change of the count of records that the ledger dead-lettered',
    accepted_at DateTime64(3, 'UTC') COMMENT 'Broker time of the record that caused it; 1970 for none' CODEC(Delta, LZ4),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink' CODEC(Delta, LZ4),
    w DateTime64(3, 'UTC') COMMENT 'Watermark of the ledger at emission' CODEC(Delta, LZ4),
    p UInt16 COMMENT 'Partition of goodhart.events.v1 it came from',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from' CODEC(Delta, LZ4)
)
ENGINE = {{engine "MergeTree"}}
PARTITION BY toYYYYMM(hour)
ORDER BY (tenant, source, hour)
SETTINGS {{settings 1}}
COMMENT 'Additive counts of the ledger by source and hour of acceptance';

CREATE TABLE IF NOT EXISTS core.dead {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant; empty where it could not be read',
    source LowCardinality(String) COMMENT 'Adapter; empty where it could not be read',
    stage LowCardinality(String) COMMENT 'Who gave up: collector, ledger, subject, tenant, sink',
    reason LowCardinality(String) COMMENT 'Code from a fixed list',
    field String COMMENT 'Path of the field at fault',
    detail String COMMENT 'What was wrong, without the value',
    event_time DateTime64(3, 'UTC') COMMENT 'Acceptance time of the record (DeadLetter.time_ms)' CODEC(Delta, LZ4),
    accepted_at DateTime64(3, 'UTC') COMMENT 'Broker time of the dead letter' CODEC(Delta, LZ4),
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink' CODEC(Delta, LZ4),
    records Int64 DEFAULT 1 COMMENT 'How many refused records this letter stands for',
    hash FixedString(32) COMMENT 'SHA-256 of the bytes at fault; zero bytes where unknown',
    size_bytes Int64 COMMENT 'Length of the bytes at fault',
    shape String COMMENT 'Key names and value types, no values',
    topic LowCardinality(String) COMMENT 'Topic where the record lay; empty for the collector',
    partition Int32 COMMENT 'Partition where the record lay',
    offset Int64 COMMENT 'Offset where the record lay',
    credential LowCardinality(String) COMMENT 'Id of the API key',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id of the dead letter',
    k_partition UInt16 COMMENT 'Partition of the dead letter',
    k_offset UInt64 COMMENT 'Offset of the dead letter' CODEC(Delta, LZ4)
)
ENGINE = {{engine "MergeTree"}}
PARTITION BY toYYYYMM(event_time)
ORDER BY (tenant, source, event_time)
SETTINGS {{settings 1}}
COMMENT 'One row per dead letter; the bytes stay in goodhart.dead.v1';

-- The ledger writes a configuration to every partition: the newest row of a
-- version replaces the others.
CREATE TABLE IF NOT EXISTS core.config {{onCluster}}
(
    tenant LowCardinality(String) COMMENT 'Tenant',
    version UInt64 COMMENT 'Version; grows by one with each apply',
    document String COMMENT 'The configuration, JSON' CODEC(ZSTD(1)),
    event_time DateTime64(3, 'UTC') COMMENT 'When it was applied',
    accepted_at DateTime64(3, 'UTC') COMMENT 'Broker time of the event record',
    stored_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC') COMMENT 'Server time of the insert; not sent by the sink',
    k_topic LowCardinality(String) COMMENT 'Topic and topic id it was read from',
    k_partition UInt16 COMMENT 'Partition it was read from',
    k_offset UInt64 COMMENT 'Offset it was read from'
)
ENGINE = {{engine "ReplacingMergeTree"}}
ORDER BY (tenant, version)
SETTINGS {{settings 1}}
COMMENT 'Versioned team facts as published by goodhart apply';

-- Written by the sink when it recovered an insert whose fate it could not know;
-- `goodhart reconcile --repair` writes the row again with repaired_at.
CREATE TABLE IF NOT EXISTS core.suspect_months {{onCluster}}
(
    month UInt32 COMMENT 'Partition of event time, e.g. 202610',
    base_table LowCardinality(String) COMMENT 'Raw table that was inserted to',
    reason String COMMENT 'What happened, with the range of offsets',
    marked_at DateTime64(3, 'UTC') COMMENT 'When it was marked',
    repaired_at Nullable(DateTime64(3, 'UTC')) COMMENT 'When its rollups were checked or rebuilt; NULL until then'
)
ENGINE = {{engine "MergeTree"}}
ORDER BY (month, base_table, marked_at)
SETTINGS {{settings 1}}
COMMENT 'Months whose rollups may differ from raw; the newest row of a month and table holds'
