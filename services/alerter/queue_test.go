package alerter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Whatever is pushed, taken and dropped: a group holds what belongs together and
// not too much of it, nothing is lost or comes twice, the revisions of a signal
// come in order, and nothing comes later than it is due.
func TestQueue(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 0))
		q := newQueue(1 + r.IntN(4))
		now := began
		parts := []*partition{newPartition(0, 0, ""), newPartition(1, 0, "")}
		waiting := map[*notice]bool{}
		newest := map[string]uint32{}
		revs := map[string]uint32{}
		take := func() {
			g := q.take()
			if g == nil {
				if len(waiting) > 0 {
					t.Fatalf("seed %d: %d are lost", seed, len(waiting))
				}
				return
			}
			if len(g.notices) > q.most {
				t.Fatalf("seed %d: a group of %d", seed, len(g.notices))
			}
			for _, n := range g.notices {
				if !waiting[n] {
					t.Fatalf("seed %d: %s comes twice, or from a partition that is gone", seed, n.sig.key())
				}
				delete(waiting, n)
				if n.due.Before(g.due) {
					t.Fatalf("seed %d: %s is late", seed, n.sig.key())
				}
				if n.sig.Rev < newest[n.sig.ID] {
					t.Fatalf("seed %d: %s comes after %d", seed, n.sig.key(), newest[n.sig.ID])
				}
				newest[n.sig.ID] = n.sig.Rev
				if first := g.notices[0].sig; n.sig.Tenant != first.Tenant || n.sig.Code != first.Code {
					t.Fatalf("seed %d: %+v and %+v", seed, first, n.sig)
				}
			}
			for n := range waiting {
				if n.due.Before(g.due) {
					t.Fatalf("seed %d: %s is due before what came", seed, n.sig.key())
				}
			}
		}
		for range 60 {
			switch r.IntN(8) {
			case 0:
				take()
			case 1:
				p := parts[r.IntN(2)]
				for _, n := range q.drop(p) {
					delete(waiting, n)
				}
				for n := range waiting {
					if n.from == p {
						t.Fatalf("seed %d: %s is left", seed, n.sig.key())
					}
				}
			default:
				i := r.IntN(6)
				id := fmt.Sprintf("s%d", i)
				s := &signal{ID: id, Rev: revs[id], Tenant: fmt.Sprintf("t%d", i%2), Code: "S1", Team: fmt.Sprintf("team%d", r.IntN(2))}
				revs[id]++
				n := &notice{from: parts[i%2], sig: s, due: now.Add(time.Second)}
				if r.IntN(3) == 0 {
					n.held = now.Add(time.Hour).Truncate(time.Hour)
					n.due = n.held
				}
				waiting[n] = true
				q.push(n)
			}
			now = now.Add(time.Duration(r.IntN(900)) * time.Second)
		}
		for len(waiting) > 0 {
			take()
		}
		if len(q.open) != 0 || len(q.signals) != 0 || q.take() != nil {
			t.Fatalf("seed %d: the empty queue holds %v %v", seed, q.open, q.signals)
		}
	}
}

// Progress says exactly what was told, whatever waits.
func TestProgress(t *testing.T) {
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 0))
		next := 1 + r.Int64N(60)
		var waiting []int64
		for o := range next {
			if r.IntN(4) == 0 {
				waiting = append(waiting, o)
			}
		}
		offset, ahead := progress(next, waiting)
		p := newPartition(0, offset, ahead.String())
		for o := range next {
			if p.history(o) == slices.Contains(waiting, o) {
				t.Fatalf("seed %d: %d is told: %t; waiting %v, next %d: %d %q", seed, o, p.history(o), waiting, next, offset, ahead)
			}
		}
		if p.history(next) || p.known() > next {
			t.Fatalf("seed %d: what comes next is told", seed)
		}
	}
}

// What finds no room in the metadata is told again, never lost.
func TestProgressIsBounded(t *testing.T) {
	var waiting []int64
	for o := int64(1_000_000); o < 1_004_000; o += 2 {
		waiting = append(waiting, o)
	}
	offset, ahead := progress(1_004_000, waiting)
	metadata := ahead.String()
	if len(metadata) > maxMetadata || len(metadata) < maxMetadata-40 {
		t.Errorf("%d bytes", len(metadata))
	}
	p := newPartition(0, offset, metadata)
	for _, o := range waiting {
		if p.history(o) {
			t.Fatalf("%d waits, and counts as told", o)
		}
	}
}

func TestParseSpans(t *testing.T) {
	for _, bad := range []string{"", "told", "tell 1-2", "told 1", "told 2-1", "told x-y", "1-2", strings.Repeat("told ", 9)} {
		if diff := cmp.Diff(spans(nil), parseSpans(bad)); diff != "" {
			t.Errorf("%q: %s", bad, diff)
		}
	}
	if diff := cmp.Diff(spans{{3, 7}, {9, 40}}, parseSpans("told 3-7 9-40")); diff != "" {
		t.Error(diff)
	}
}

// A partition forgets the signals that its topic has forgotten, and no others.
func TestSweep(t *testing.T) {
	p := newPartition(0, 0, "")
	p.newest = began
	for i := range 1000 {
		p.signals[fmt.Sprint("old", i)] = &standing{seen: began.Add(-retention() - time.Second)}
	}
	p.signals["open"] = &standing{seen: began.Add(-2 * retention()), open: true}
	p.signals["recent"] = &standing{seen: began.Add(-retention())}
	p.sweep()
	if len(p.signals) != 2 || p.signals["open"] == nil || p.signals["recent"] == nil {
		t.Errorf("%d are left", len(p.signals))
	}
}
