package tenant

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// The oracle states the rules of emission over single facts, without panes,
// tiers, schedules or skips:
//
//   - a fact takes effect when its pane is emitted: at the end of its minute, or
//     at the next full minute of the watermark if that has passed;
//   - a window that ends at E is emitted at E with what took effect until then;
//   - at every later slide until the deadline it is emitted again if something
//     of it took effect since the slide before.

// emission is one rolling record that must come.
type emission struct {
	at, end int64
	window  int
	tenant  string
	kind    string
	name    string
	rev     uint32
	sum     score.Totals
	people  int
}

// effect is a deed with the time at which it takes effect.
type effect struct {
	deed
	at int64
}

func effects(deeds []deed) []effect {
	var all []effect
	for _, d := range deeds {
		if d.late {
			continue
		}
		at := window.Floor(d.t, window.Minute) + window.Minute
		if at <= d.w {
			at = window.Floor(d.w, window.Minute) + window.Minute
		}
		all = append(all, effect{d, at})
	}
	return all
}

// oracle returns what must be emitted up to a watermark of end, in order.
func oracle(deeds []deed, end int64) []emission {
	type slot struct {
		window       int
		end          int64
		tenant, kind string
		name         string
	}
	slots := map[slot][]effect{}
	windows := window.Windows()
	first := deeds[0].w
	for _, e := range effects(deeds) {
		for i, w := range windows {
			for to := window.After(e.t, w.Slide); to <= window.Floor(e.t, window.Minute)+w.Size; to += w.Slide {
				add := func(kind, name string) {
					if name != "" || kind == "1 tenant" {
						key := slot{i, to, e.tenant, kind, name}
						slots[key] = append(slots[key], e)
					}
				}
				add("1 tenant", "")
				add("2 team", e.team)
				if e.provisional == 0 {
					add("3 model", e.model)
					add("4 tool", e.tool)
				}
			}
		}
	}
	var all []emission
	for key, effects := range slots {
		w := windows[key.window]
		rev := uint32(0)
		for at := key.end; at <= key.end+w.Correct && at < end; at += w.Slide {
			if at < first { // no watermark had been seen
				continue
			}
			em := emission{at: at, end: key.end, window: key.window, tenant: key.tenant, kind: key.kind, name: key.name}
			people := map[string]bool{}
			news := false
			for _, e := range effects {
				if e.at > at {
					continue
				}
				news = news || at == key.end || e.at > at-w.Slide
				if e.provisional != 0 {
					em.sum.OutcomesProvisional += e.provisional
					continue
				}
				em.sum.Requests++
				em.sum.OutputTokens += e.tokens
				em.sum.CostNanos += e.cost
				if strings.HasPrefix(e.subject, "p_") {
					people[e.subject] = true
				}
			}
			if !news {
				continue
			}
			if at > key.end {
				rev++
			}
			em.rev, em.people = rev, len(people)
			all = append(all, em)
		}
	}
	sort.Slice(all, func(i, j int) bool { return compareEmissions(all[i], all[j]) < 0 })
	return all
}

func compareEmissions(a, b emission) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.end, b.end), cmp.Compare(a.window, b.window),
		cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
}

// asRecords turns emissions into the records that state them. W is that of the
// first record of the log past the slide.
func asRecords(emissions []emission, log []machine.Record) []record {
	ws := make([]int64, len(log))
	for i := range log {
		ws[i] = log[i].Position.W
	}
	records := make([]record, 0, len(emissions))
	for _, e := range emissions {
		w := window.Windows()[e.window]
		i, _ := slices.BinarySearch(ws, e.at+1)
		kind := e.kind[2:]
		r := record{
			Kind: score.KindRolling, Tenant: e.tenant, ScopeKind: kind, Scope: e.name, Window: w.Name,
			Start: e.end - w.Size, End: e.end, Rev: e.rev, W: ws[i],
			Requests: e.sum.Requests, Output: &e.sum.OutputTokens, Cost: &e.sum.CostNanos, Status: score.StatusRolling,
		}
		if kind == score.ScopeTenant || kind == score.ScopeTeam {
			r.Provisional = &e.sum.OutcomesProvisional
		}
		if w.Pane > window.Minute {
			n := int64(e.people)
			r.People = &n
		}
		if w.Pane == window.Day {
			r.Status = score.StatusInsufficient
		}
		records = append(records, r)
	}
	return records
}

// Random logs give exactly the records that the rules ask for, in their order.
func TestRollingAgainstOracle(t *testing.T) {
	seen := map[bool]int{}
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 1))
		deeds := randomDeeds(rng, 20+rng.IntN(150))
		end := deeds[len(deeds)-1].w + rng.Int64N(35*window.Day)
		log := deedLog(t, deeds, end)
		got := scores(t, New(Default()), log, score.KindRolling)
		want := asRecords(oracle(deeds, end), log)
		for i := range max(len(got), len(want)) {
			if i >= len(got) || i >= len(want) {
				t.Fatalf("seed %d: %d records, want %d; the first %d agree", seed, len(got), len(want), i)
			}
			if diff := gocmp.Diff(want[i], got[i]); diff != "" {
				t.Fatalf("seed %d, record %d of %d: (-want +got)\n%s", seed, i, len(want), diff)
			}
			seen[got[i].Rev > 0]++
		}
	}
	if seen[false] < 5_000 || seen[true] < 5_000 {
		t.Errorf("%d first records and %d corrections: too few to mean anything", seen[false], seen[true])
	}
}
