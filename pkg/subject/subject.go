// Package subject is the second fold of the pipeline, pure: facts in, features
// out. It adds up what each subject (a person, a service, a key) did in each
// minute and says so once the watermark has passed that minute; it keeps the
// habit of each subject (package habit), states its weeks once they have settled,
// and a crossing of its rate guards or a change of its credit at once.
//
// A pane is one minute of one subject, cut by (team, model, tool), in integers
// that only ever add. It is emitted once when the watermark reaches its end; a
// fact that comes for a minute already closed starts an additive delta, which is
// emitted at the next full minute of the watermark. Facts flagged late or
// observational enter no pane and no week. A subject is known until it has been
// silent for 13 weeks; there is no state outside the shards but the watermark.
//
// Delivery: every fact reaches exactly one feature, in the same order and bytes
// for the same log, whatever the batches, restarts and rebalances.
package subject

import (
	"bytes"
	"crypto/sha256"
	"math"

	"github.com/goodhartlabs/goodhart/pkg/habit"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Config places a fold among its peers.
type Config struct {
	// Partition is the partition of facts.v1 that this fold reads.
	Partition int32
	// Partitions is how many partitions facts.v1 has.
	Partitions int32
}

// Stats counts what a fold did since it was made, replays included. It is for
// metrics and no part of the state.
type Stats struct {
	// Facts is how many records were applied, of any kind.
	Facts int64
	// Late and Observational facts entered no pane.
	Late, Observational int64
	// Panes and Deltas were emitted, and so were Weeks, crossings of Guards and
	// changes of Credits.
	Panes, Deltas, Weeks, Guards, Credits int64
	// Configs were passed on.
	Configs int64
	// Dead records could not be used.
	Dead int64
	// Subjects are known now; OpenPanes is how many panes they have open.
	Subjects, OpenPanes int64
}

// Fold is a machine.Machine. Use New; it is for one goroutine.
type Fold struct {
	cfg     Config
	w       int64
	headerW int64
	// at is the position of each shard, during a replay.
	replaying bool
	at        []machine.Position

	shards [machine.Shards]map[string]*subject
	queue  queue[*pane]
	// calendar holds when each subject's habit has something due, or had: an entry
	// that is not subject.due is stale.
	calendar queue[*subject]
	names    names

	in        fact
	use       habit.Use
	feature   goodhartv1.Feature
	key       []byte
	crossings []*goodhartv1.Guard
	stats     Stats
	warmth    byte // keeps what reads ahead from being left out
}

var _ machine.Machine = (*Fold)(nil)

// New returns the fold of a partition, in its empty state.
func New(cfg Config) *Fold {
	f := &Fold{cfg: cfg, w: math.MinInt64, headerW: math.MinInt64}
	for i := range f.shards {
		f.shards[i] = map[string]*subject{}
	}
	return f
}

// W is the watermark: that of the last record applied.
func (f *Fold) W() int64 { return f.w }

// Shards is machine.Shards: subjects do not depend on each other.
func (f *Fold) Shards() int { return machine.Shards }

// Stats returns the counters.
func (f *Fold) Stats() Stats { return f.stats }

// Step applies one record: it fires what is due at the record's watermark and adds
// the fact to its pane and its week. A record that cannot be used becomes a dead
// letter.
func (f *Fold) Step(r *machine.Record, out *machine.Outputs) {
	f.stats.Facts++
	if r.Position.W > f.w {
		f.w = r.Position.W
		f.fire(out)
	}
	shard := machine.Shard(r.Key)
	if f.replaying && r.Position.Compare(f.at[shard]) <= 0 {
		return
	}
	if reason := f.apply(r, shard, out); reason != "" {
		f.bury(r, reason, out)
	}
}

// apply lets a fact take effect and returns why it cannot, a code.
func (f *Fold) apply(r *machine.Record, shard int, out *machine.Outputs) (reason string) {
	// Its memory is on its way while the fact is decoded.
	s := f.shards[shard][string(r.Key)]
	if s != nil {
		f.warmth += s.warm()
	}
	in := &f.in
	if !in.decode(r.Value) {
		return "undecodable"
	}
	switch in.kind {
	case goodhartv1.FactKind_FACT_KIND_USAGE, goodhartv1.FactKind_FACT_KIND_ACTIVITY:
		if !in.hasEvent {
			return "no_event"
		}
	case goodhartv1.FactKind_FACT_KIND_TRANSITION:
		if in.transition == nil {
			return "no_transition"
		}
		in.timeMs = in.transition.GetTimeMs()
	case goodhartv1.FactKind_FACT_KIND_CONFIG:
		return f.passOn(r, out)
	case goodhartv1.FactKind_FACT_KIND_WATERMARK:
		return "" // it moved time
	case goodhartv1.FactKind_FACT_KIND_OUTCOME, goodhartv1.FactKind_FACT_KIND_TICK, goodhartv1.FactKind_FACT_KIND_TALLY:
		return "" // the sink's; credit comes as transitions
	default:
		return "bad_kind"
	}
	if in.observational {
		f.stats.Observational++
		return ""
	}
	if in.late {
		f.stats.Late++
		return ""
	}
	if bytes.IndexByte(r.Key, '|') < 0 {
		return "bad_key"
	}
	if in.timeMs < 0 || in.timeMs > maxTime {
		return "bad_time"
	}
	if s == nil {
		s = f.newSubject(r.Key, shard)
	}
	f.add(s, in)
	return f.live(s, in, out)
}

// maxTime is the end of the year 9999.
const maxTime = 253402300799999

// passOn emits a configuration, which every partition receives, from the one
// that owns the tenant.
func (f *Fold) passOn(r *machine.Record, out *machine.Outputs) (reason string) {
	var fact goodhartv1.Fact
	if err := fact.UnmarshalVT(r.Value); err != nil {
		return "undecodable"
	}
	event := fact.GetEvent()
	if event.GetConfig() == nil || event.GetTenant() == "" {
		return "no_config"
	}
	tenant := []byte(event.GetTenant())
	if schemas.Partition(tenant, f.cfg.Partitions) != f.cfg.Partition {
		return ""
	}
	f.stats.Configs++
	out.Emit(schemas.TopicFeatures, machine.ByKey, tenant, f.w, &goodhartv1.Feature{
		Kind:   goodhartv1.FeatureKind_FEATURE_KIND_CONFIG,
		Tenant: event.GetTenant(),
		Config: event.GetConfig(),
	})
	return ""
}

// bury emits a dead letter for a record that cannot be used.
func (f *Fold) bury(r *machine.Record, reason string, out *machine.Outputs) {
	f.stats.Dead++
	tenant, _, _ := bytes.Cut(r.Key, []byte{'|'})
	hash := sha256.Sum256(r.Value)
	letter := &goodhartv1.DeadLetter{
		Stage:     goodhartv1.Stage_STAGE_SUBJECT,
		Tenant:    string(bytes.ToValidUTF8(tenant, nil)),
		Reason:    reason,
		TimeMs:    f.w,
		Hash:      hash[:],
		SizeBytes: int64(len(r.Value)),
		Topic:     schemas.TopicFacts,
		Partition: r.Partition,
		Offset:    r.Offset,
		Key:       r.Key,
	}
	if len(r.Value) <= maxBuried {
		letter.Value = r.Value
	}
	out.Emit(schemas.TopicDead, machine.ByKey, r.Key, f.w, letter)
}

// maxBuried is the longest value that a dead letter quotes.
const maxBuried = 256 << 10

// Rewind begins a replay: see machine.Machine.
func (f *Fold) Rewind(w int64, at []machine.Position) { f.w, f.at, f.replaying = w, at, true }

// Resume ends a replay.
func (f *Fold) Resume() { f.w, f.at, f.replaying = f.headerW, nil, false }
