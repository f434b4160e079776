// Package chsink writes Kafka topics into ClickHouse tables, each record's rows
// exactly once, through crashes, rebalances, retries and re-reads.
//
// # How
//
// Each topic-partition collects decoded rows in columns until a batch is full or
// old. A batch is a range of offsets, first to last. Three steps store it:
//
//   - intent: the range and the time of its first attempt become durable as
//     metadata of the group's committed offset, which still is first;
//   - insert: one block per table under the token
//     "<topic id>:<partition>:<first>-<last>", so that the server recognises the
//     same insert sent again, in the table and in the targets of its
//     materialized views;
//   - done: the next intent commits last+1; when no batch follows, a trailing
//     commit does.
//
// A range, once attempted, is never cut or extended: a token names its exact
// records. The token says nothing about tables, because the server remembers
// tokens per table. Whoever gets a partition reads the intent first, reads first to
// last again and sends it under the same token. That is exact while the server
// remembers the token; its memory counts parts and spans minutes. So an intent
// older than Config.CheckAfter, or one since which half of a deduplication window
// was used up, is compared with the table by offsets: what is there stays, whole
// months that are missing are inserted under tokens of their own (a split
// intent), once nobody can be inserting them any more, and the months are
// reported as suspect, because rollups may have missed what the table holds.
//
// Before it acts on an intent older than Config.RecommitAfter a sink commits it
// again: a process that was stopped and replaced meanwhile is refused, and
// inserts nothing.
//
// # What is required of the tables
//
// MergeTree tables with a deduplication window, also on every target of a
// materialized view; columns k_topic, k_partition and k_offset; views whose
// expressions cannot fail. A row that the server refuses stalls its
// partition: decoders find bad records, the server never should.
//
// # Failure
//
// A bad record goes to the dead-letter topic, acknowledged before its range is
// done. Everything else is retried with the same bytes for ever; the partition
// stands still meanwhile and says so (goodhart_sink_stalled), the others go on. Nothing
// is skipped, and no range is bisected.
package chsink
