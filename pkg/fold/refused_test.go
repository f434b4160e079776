package fold

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/machine"
)

// picky is a counter of a version that refuses a key which later ones accept.
type picky struct{ *counter }

func (m picky) Step(r *machine.Record, out *machine.Outputs) {
	if string(r.Key) == "odd" {
		out.EmitBytes("dead", machine.ByKey, r.Key, m.w, []byte("letter"), nil)
		return
	}
	m.counter.Step(r, out)
}

// What died is dead for the program that restores, too; sent again, it counts.
func TestReplayPassesWhatWasRefused(t *testing.T) {
	record := func(offset int64, key string) *kgo.Record {
		return &kgo.Record{Topic: "in", Offset: offset, Key: []byte(key), Value: binary.BigEndian.AppendUint64(nil, 1_000_000+uint64(offset))}
	}
	log := []*kgo.Record{record(0, "odd"), record(1, "even"), record(2, "odd"), record(3, "even"), record(4, "odd")}
	old := newTestPartition()
	old.machine = picky{newCounter(true, "mid", machine.Shards)}
	old.snapshots.begin(0)
	if err := old.fold(log); err != nil {
		t.Fatal(err)
	}
	h := old.header()
	if diff := cmp.Diff([]int64{0, 2, 4}, h.RefusedOffsets); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}

	p := newTestPartition()
	c := p.machine.(*counter)
	p.refused = slices.Clone(h.RefusedOffsets)
	if err := c.LoadHeader(h.Machine); err != nil {
		t.Fatal(err)
	}
	p.machine.Rewind(math.MinInt64, make([]machine.Position, machine.Shards))
	p.out.Silent = true
	if err := p.fold(log); err != nil {
		t.Fatal(err)
	}
	p.out.Silent = false
	p.machine.Resume()
	count := func(key string) uint64 {
		if n := c.shards[c.shard([]byte(key))][key]; n != nil {
			return n.Count
		}
		return 0
	}
	if count("even") != 2 || count("odd") != 0 {
		t.Errorf("the replay counts %d even and %d odd records, want 2 and 0", count("even"), count("odd"))
	}
	if p.position.Seq != 5 {
		t.Errorf("the replay ends at %+v", p.position)
	}
	if err := p.fold([]*kgo.Record{record(5, "odd")}); err != nil {
		t.Fatal(err)
	}
	if count("odd") != 1 {
		t.Errorf("%d odd records, want the one sent again", count("odd"))
	}
}

// The header names what a restore reads again, and no more than it can bear.
func TestRefusedIsBounded(t *testing.T) {
	p := newTestPartition()
	for offset := range int64(3 * mostRefused) {
		p.refuse(offset)
		p.refuse(offset)
	}
	if got := p.refusedFrom(5); len(got) != mostRefused || got[0] != 2*mostRefused {
		t.Errorf("%d offsets from %d", len(got), got[0])
	}
	if got := p.refusedFrom(3*mostRefused - 1); !slices.Equal(got, []int64{3*mostRefused - 1}) {
		t.Errorf("got %v, want the last", got)
	}
	if got := p.refusedFrom(3 * mostRefused); len(got) != 0 {
		t.Errorf("got %v, want none", got)
	}
	p.merge = newMerge(1, 1<<20, t.TempDir())
	if p.refuse(7); len(p.refused) != 0 {
		t.Error("a fold that merges notes what it refused")
	}
}
