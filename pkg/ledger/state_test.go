package ledger

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// A loaded shard equals the saved one in every field, not only in what it will
// emit.
func TestShardRoundTrip(t *testing.T) {
	records := randomLog(1, 2000)
	fold := straight(records).fold
	loaded := New(randomConfig())
	if err := loaded.LoadHeader(fold.AppendHeader(nil)); err != nil {
		t.Fatal(err)
	}
	opts := cmp.Options{
		cmp.AllowUnexported(conversation{}, hold{}, held{}),
		cmp.Comparer(sameObject),
	}
	for i := range machine.Shards {
		prefix := []byte("prefix")
		data := fold.AppendShard(prefix, i)
		if !bytes.HasPrefix(data, prefix) {
			t.Fatal("AppendShard does not append")
		}
		if err := loaded.LoadShard(i, data[len(prefix):]); err != nil {
			t.Fatal(err)
		}
		want, got := &fold.shards[i], &loaded.shards[i]
		if want.now != got.now {
			t.Errorf("shard %d: record time %d, want %d", i, got.now, want.now)
		}
		for name, diff := range map[string]string{
			"conversations": cmp.Diff(want.conversations, got.conversations, opts),
			"holds":         cmp.Diff(want.holds, got.holds, opts),
			"objects":       cmp.Diff(want.objects, got.objects, opts),
		} {
			if diff != "" {
				t.Errorf("shard %d: %s (-want +got):\n%s", i, name, diff)
			}
		}
		if again := loaded.AppendShard(nil, i); !bytes.Equal(again, data[len(prefix):]) {
			t.Errorf("shard %d: saved again, it differs", i)
		}
	}
	if loaded.W() != fold.W() || !bytes.Equal(loaded.AppendHeader(nil), fold.AppendHeader(nil)) {
		t.Error("headers differ")
	}
}

// sameObject compares all fields but the scratch ones; names are a set.
func sameObject(a, b *object) bool {
	return cmp.Equal(a.encode(), b.encode(), cmp.Comparer(func(x, y *goodhartv1.LedgerObject) bool {
		return bytes.Equal(appendMessage(nil, x), appendMessage(nil, y))
	})) && a.undoneAt == b.undoneAt && a.survive == b.survive && a.sealed == b.sealed && a.due == b.due &&
		a.keepUntil == b.keepUntil && a.failed == b.failed && a.succeeded == b.succeeded && a.transitions == b.transitions
}

func TestEmptyState(t *testing.T) {
	fold := New(Default())
	for i := range machine.Shards {
		if data := fold.AppendShard(nil, i); len(data) != 0 {
			t.Fatalf("an empty shard takes %d bytes", len(data))
		}
	}
	full := straight(randomLog(2, 300)).fold
	for i := range machine.Shards {
		if err := full.LoadShard(i, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := full.LoadHeader(fold.AppendHeader(nil)); err != nil {
		t.Fatal(err)
	}
	if st := full.Stats(); full.W() != math.MinInt64 || st.SeenIDs+st.Conversations+st.Holds+st.ObjectNames != 0 {
		t.Errorf("not empty: %+v", st)
	}
}

// During a replay a shard changes only past its position, and the header not at
// all.
func TestReplayMovesOnlyWhatItMust(t *testing.T) {
	fold := New(Default())
	var out machine.Outputs
	at := func(seq uint64, ms int64, ev *goodhartv1.Event) {
		ev.TimeMs = ms
		fold.Step(&machine.Record{
			Position: machine.Position{Seq: seq}, Time: ms, Key: []byte(eventKey(ev)), Value: marshal(ev),
		}, &out)
	}
	at(1, t0, usageEvent(sigLog, "conv", "a"))
	at(2, t0+10*minute, usageEvent(sigLog, "conv", "b"))
	header, w := fold.AppendHeader(nil), fold.W()
	shard := machine.Shard([]byte("acme|conv"))
	before := fold.AppendShard(nil, shard)

	positions := make([]machine.Position, machine.Shards)
	positions[shard] = machine.Position{Seq: 10}
	fold.Rewind(math.MinInt64, positions)
	positions[shard] = machine.Position{} // the fold must have its own copy
	out.Reset()
	if got := fold.W(); got != math.MinInt64 {
		t.Errorf("W after Rewind: %d", got)
	}
	at(9, t0+minute, usageEvent(sigLog, "conv", "c"))
	at(10, t0+2*minute, usageEvent(sigLog, "conv", "d"))
	if got := fold.W(); got != t0+2*minute-30*second {
		t.Errorf("W in the replay: t0%+d", got-t0)
	}
	if !bytes.Equal(before, fold.AppendShard(nil, shard)) {
		t.Error("a record up to the shard's position changed it")
	}
	at(11, t0+3*minute, usageEvent(sigLog, "conv", "e"))
	if bytes.Equal(before, fold.AppendShard(nil, shard)) {
		t.Error("a record past the shard's position did not change it")
	}
	other := usageEvent(sigLog, "elsewhere", "f")
	otherShard := machine.Shard([]byte(eventKey(other)))
	at(5, t0+3*minute, other)
	if len(fold.AppendShard(nil, otherShard)) == 0 {
		t.Error("another shard's position held the record back")
	}
	at(12, t0+dayLen, tickEvent("c", 1, t0+dayLen, rejectedAt(t0, 5)))
	at(13, t0+dayLen, &goodhartv1.Event{Kind: 99, Tenant: "acme"})
	if !bytes.Equal(header, fold.AppendHeader(nil)) {
		t.Error("the replay changed the header")
	}
	if n := len(out.Records()); n != 0 {
		t.Errorf("the replay emitted %d records", n)
	}
	if st := fold.Stats(); st.Counted != 2 || st.Dead != 0 {
		t.Errorf("the replay counted: %+v", st)
	}
	fold.Resume()
	if fold.W() != w {
		t.Errorf("W after Resume: %d, want %d", fold.W(), w)
	}
}

// A timer set before a snapshot and due after it fires in the restored fold, in
// the replay or later.
func TestTimersSurviveRestore(t *testing.T) {
	for _, replayTo := range []int64{0, 5 * minute} {
		r := newRig(t)
		r.send(t0, usageEvent(sigSpan, "conv", "a"))
		shards := make([][]byte, machine.Shards)
		at := make([]machine.Position, machine.Shards)
		w := r.fold.W()
		for i := range shards {
			shards[i], at[i] = r.fold.AppendShard(nil, i), machine.Position{Seq: r.offset}
		}
		tick := &machine.Record{
			Position: machine.Position{Seq: 2}, Time: t0 + replayTo, Value: marshal(tickEvent("c", 1, t0+replayTo)),
		}
		var out machine.Outputs
		if replayTo > 0 {
			r.fold.Step(tick, &out)
		}
		restored := New(r.fold.cfg)
		if err := restored.LoadHeader(r.fold.AppendHeader(nil)); err != nil {
			t.Fatal(err)
		}
		for i := range shards {
			if err := restored.LoadShard(i, shards[i]); err != nil {
				t.Fatal(err)
			}
		}
		restored.Rewind(w, at)
		if replayTo > 0 {
			restored.Step(tick, &machine.Outputs{Silent: true})
		}
		restored.Resume()
		last := &machine.Record{Position: machine.Position{Seq: 3}, Time: t0 + hour, Value: marshal(tickEvent("c", 2, t0+hour))}
		var want, got machine.Outputs
		r.fold.Step(last, &want)
		restored.Step(last, &got)
		if !bytes.Equal(flatten(&want), flatten(&got)) {
			t.Errorf("replay to %d: outputs differ", replayTo)
		}
		if held := restored.Stats().HeldRecords; held != 0 {
			t.Errorf("replay to %d: %d records still held", replayTo, held)
		}
	}
}

func TestEffectiveHorizon(t *testing.T) {
	r := newRig(t, func(c *Config) { c.IDsPerShard = 4 })
	if got := r.fold.Stats().EffectiveHorizon; got != 72*time.Hour {
		t.Errorf("at first: %v", got)
	}
	send := func(ms int64, n int) {
		for i := range n {
			r.send(ms, usageEvent(sigMetric, "conv", string(id16(ms, i))))
		}
	}
	send(t0+10*minute, 3)
	send(t0+hour+10*minute, 2) // the fifth: the first hour goes
	if got := r.fold.Stats().EffectiveHorizon; got != 10*time.Minute {
		t.Errorf("after the first hour went: %v", got)
	}
	r.send(t0+80*hour, usageEvent(sigMetric, "conv", "x"))
	if got := r.fold.Stats().EffectiveHorizon; got != 72*time.Hour {
		t.Errorf("much later: %v", got)
	}
}

func TestBudgetForgetsOldest(t *testing.T) {
	r := newRig(t, func(c *Config) { c.IDsPerShard = 4 })
	name := func(i int) *goodhartv1.Event {
		ev := usageEvent(sigLog, "conv", "")
		ev.EventId = id16("n", i)
		return ev
	}
	for i := range 3 {
		r.send(t0, name(i))
	}
	r.send(t0+hour, name(3))
	r.send(t0+hour, name(4)) // over the budget
	r.take(kindUsage)
	r.send(t0+hour, name(4))
	r.send(t0+hour, name(3))
	if got := r.take(kindUsage); len(got) != 0 {
		t.Errorf("ids of the newest hour were forgotten: %v", got)
	}
	r.send(t0+hour, name(0))
	if got := r.take(kindUsage); len(got) != 1 {
		t.Errorf("an id of the oldest hour was kept")
	}
}

// Damaged state is refused, never half loaded, and never a panic.
func FuzzLoadShard(f *testing.F) {
	fold := straight(randomLog(3, 800)).fold
	for i := range 20 {
		f.Add(fold.AppendShard(nil, i*7))
	}
	f.Add([]byte{0x12, 0x02, 0x20, 0x01})
	f.Fuzz(func(t *testing.T, data []byte) {
		loaded := New(randomConfig())
		if err := loaded.LoadShard(0, data); err != nil {
			if n := len(loaded.AppendShard(nil, 0)); n != 0 {
				t.Errorf("%d bytes of refused state", n)
			}
			return
		}
		rnd := rand.New(rand.NewPCG(1, 1))
		records := randomLog(rnd.Uint64N(5), 40)
		var out machine.Outputs
		for i := range records {
			loaded.event(&loaded.shards[0], &records[i], decoded(&records[i]), &out)
		}
		if err := New(randomConfig()).LoadShard(0, loaded.AppendShard(nil, 0)); err != nil {
			t.Errorf("its own state is refused: %v", err)
		}
	})
}

// decoded is the view of a record, or of a good one in its place.
func decoded(r *machine.Record) *view {
	sh := newShapes()
	v := &view{}
	if err := v.decode(&sh, r.Value); err != nil || v.fault() != nil || v.tick {
		ev := usageEvent(sigLog, "conv", "req")
		ev.TimeMs = r.Time
		if err := v.decode(&sh, marshal(ev)); err != nil {
			panic(err)
		}
	}
	return v
}

func TestConfigValidate(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
	bad := Config{Partition: -1, Horizon: 90 * time.Minute, OutOfOrderness: -1}
	err := bad.Validate()
	for _, key := range []string{
		"partition:", "partitions:", "out_of_orderness:", "horizon:", "ids_per_shard:", "span_hold:", "metric_hold:",
		"object_ttl:", "finalise_after:", "late_after:",
	} {
		if err == nil || !bytes.Contains([]byte(err.Error()), []byte(key)) {
			t.Errorf("no word about %s in %v", key, err)
		}
	}
}
