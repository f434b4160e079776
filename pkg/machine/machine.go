// Package machine is the contract between a deterministic fold (packages
// ledger, subject, tenant) and the runtime that drives it (package fold):
// records go in one at a time, outputs come out, and state is split into shards
// that can be saved and restored one by one.
//
// A machine is a pure function of (starting state, records): no clock, no
// randomness, no iteration over maps in anything that reaches an output, and
// nothing that depends on batches, restarts or rebalances. It is used by one
// goroutine.
package machine

import (
	"cmp"

	"github.com/cespare/xxhash/v2"
)

// Shards is how many shards the state of a fold with independent keys has.
const Shards = 256

// Shard returns the shard, 0 to Shards-1, that holds the state of a Kafka key.
func Shard(key []byte) int { return int(xxhash.Sum64(key) >> 56) }

// Position is a place in the order in which a partition's records are applied.
// In the ledger fold only Seq is set, to the record's offset plus one; in the folds that
// merge it is the record's stamp. The zero Position lies before every record.
type Position struct {
	// W is the upstream watermark at emission, in ms since the epoch;
	// math.MinInt64 before there was one.
	W int64
	// P is the upstream partition.
	P uint32
	// Seq is the number of the record among those from P to this partition, from 1.
	Seq uint64
}

// Compare orders positions by (W, P, Seq): -1, 0 or 1.
func (a Position) Compare(b Position) int {
	if a.Seq == 0 || b.Seq == 0 {
		return cmp.Compare(a.Seq, b.Seq)
	}
	return cmp.Or(cmp.Compare(a.W, b.W), cmp.Compare(a.P, b.P), cmp.Compare(a.Seq, b.Seq))
}

// Record is one input record. Its byte slices are valid during Step only.
type Record struct {
	Position Position
	// Time is the record's timestamp in Kafka, in ms since the epoch.
	Time int64
	// Partition and Offset say where the record lies, for dead letters only:
	// offsets of transactional topics must not reach any other output.
	Partition int32
	Offset    int64
	Key       []byte
	Value     []byte
}

// Machine is one partition's fold.
//
// Its state is in two parts. Shard state belongs to one of Shards() shards and
// changes only through records and timers of that shard. Header state belongs
// to the partition as a whole (the watermark, tallies); it is saved with every
// transaction and stands still during a replay.
//
// A timer is always due after the watermark at which it is set. This makes a
// replay exact: a shard restored at some position holds no timer that the
// replay of an earlier record could fire.
type Machine interface {
	// Step applies one record: if the watermark moves, due timers fire first,
	// in order of due time, each output stamped with its due time; then the
	// record itself takes effect. Bad input yields a dead letter, never an error.
	Step(r *Record, out *Outputs)
	// W is the watermark after the last Step, in ms; math.MinInt64 before any.
	W() int64

	// Shards is Shards for folds whose keys are independent of each other, 1
	// for a fold that is saved as a whole.
	Shards() int
	// AppendShard appends the state of a shard, in a deterministic encoding.
	AppendShard(dst []byte, shard int) []byte
	// LoadShard replaces the state of a shard. An empty data is the empty state.
	LoadShard(shard int, data []byte) error
	// AppendHeader appends the header state, the watermark among it.
	AppendHeader(dst []byte) []byte
	// LoadHeader replaces the header state.
	LoadHeader(data []byte) error

	// Rewind begins a replay: until Resume, the watermark restarts at w, header
	// state stands still, and a record changes its shard only if its position
	// is past at[shard].
	Rewind(w int64, at []Position)
	// Resume ends a replay; the watermark is that of the header again.
	Resume()
}
