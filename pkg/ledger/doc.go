// Package ledger decides what counts. It is the first fold of the pipeline, a
// pure function from the records of one partition of goodhart.events.v1 to facts
// (goodhart.facts.v1): each event once, each model request once, outcomes as
// additive changes of credit, and tallies by which every record can be accounted
// for. What it once decided stands; nothing is corrected later.
//
// It implements machine.Machine and keeps its contract: no I/O, no clock, no
// randomness, one goroutine.
//
// Two clocks drive it, both made of records. The watermark W is the greatest
// min(event time, record timestamp) seen, less B; it moves holds and outcome
// objects. The record time of a shard is the greatest record timestamp applied
// to it; it moves what says how long a re-send is recognised: the seen ids and
// the conversations. Both make the same sense whether the log is read live or
// again.
package ledger
