package fold

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/machine"
)

// Expired group offsets must not make the folds start over: the state topic
// knows where they were.
func TestGroupOffsetsGone(t *testing.T) {
	const n = 2000
	_, want := clean(t, input(5, n), machine.Shards)
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b, records := newBed(t, c), input(5, n)
		p := b.start(t, "a", machine.Shards, nil)
		b.send(t, records[:1500])
		b.read(t, "out", func(m map[int32][]string) bool { return running(m) > 1000 })
		p.stop(t)
		for _, group := range []string{"first", "second"} {
			b.empty(t, group)
			if _, err := b.adm.DeleteGroup(t.Context(), group); err != nil {
				t.Fatal(err)
			}
		}
		p = b.start(t, "a", machine.Shards, nil)
		b.send(t, records[1500:])
		_, got := b.finish(t)
		p.stop(t)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("out differs from the undisturbed run (-want +got):\n%s", diff)
		}
	})
}

// empty removes the static members that a stopped process leaves behind.
func (b *bed) empty(t *testing.T, group string) {
	t.Helper()
	described, err := b.adm.DescribeGroups(t.Context(), group)
	if err != nil {
		t.Fatal(err)
	}
	leave := kadm.LeaveGroup(group)
	for _, m := range described[group].Members {
		if m.InstanceID != nil {
			leave = leave.InstanceIDs(*m.InstanceID)
		}
	}
	if _, err := b.adm.LeaveGroup(t.Context(), leave); err != nil {
		t.Fatal(err)
	}
}

// A group offset that somebody moved contradicts the state: going on would lose
// or double records.
func TestMovedGroupOffsetIsRefused(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b, records := newBed(t, c), input(5, 500)
		p := b.start(t, "a", machine.Shards, nil)
		b.send(t, records)
		b.finish(t)
		p.stop(t)
		b.empty(t, "first")
		var offsets kadm.Offsets
		offsets.AddOffset("in", 0, 3, -1)
		if err := b.adm.CommitAllOffsets(t.Context(), "first", offsets); err != nil {
			t.Fatal(err)
		}
		p = b.start(t, "a", machine.Shards, nil)
		p.ends(t, "somebody moved the group's offset")
	})
}

// A state topic that was lost while the group remembers its offset is an error,
// never a silent start from nothing.
func TestLostStateIsRefused(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b := newBed(t, c)
		var offsets kadm.Offsets
		offsets.AddOffset("in", 2, 7, -1)
		if err := b.adm.CommitAllOffsets(t.Context(), "first", offsets); err != nil {
			t.Fatal(err)
		}
		p := b.start(t, "a", machine.Shards, nil)
		p.ends(t, "its state is lost")
	})
}
