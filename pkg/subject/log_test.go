package subject

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// base is 2026-01-01, 00:00 UTC.
const base int64 = 1_767_225_600_000

const (
	sec = int64(1000)
	mnt = 60 * sec
)

type vtMessage interface{ MarshalVT() ([]byte, error) }

func encode(tb testing.TB, m vtMessage) []byte {
	tb.Helper()
	b, err := m.MarshalVT()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// factLog builds what a fold reads, w in ms after base.
type factLog struct {
	tb      testing.TB
	records []machine.Record
}

func (l *factLog) add(w int64, key string, fact *goodhartv1.Fact) {
	l.tb.Helper()
	seq := uint64(len(l.records))
	fact.W, fact.Seq = base+w, seq
	l.records = append(l.records, machine.Record{
		Position: machine.Position{W: base + w, Seq: seq}, Offset: int64(seq), Key: []byte(key), Value: encode(l.tb, fact),
	})
}

func (l *factLog) watermark(w int64) {
	l.tb.Helper()
	l.add(w, "", &goodhartv1.Fact{Kind: goodhartv1.FactKind_FACT_KIND_WATERMARK})
}

// usageFact is one request of 10 uncached and 5 output tokens at base + t.
func usageFact(subject string, t int64) *goodhartv1.Fact {
	in, out, cost := int64(10), int64(5), int64(100)
	return &goodhartv1.Fact{
		Kind: goodhartv1.FactKind_FACT_KIND_USAGE,
		Event: &goodhartv1.Event{
			Tenant: "acme", Subject: subject, Team: "web", Role: "engineer", Tool: "claude-code", TimeMs: base + t,
			IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN,
			Usage: &goodhartv1.Usage{
				Model: "opus", InputUncachedTokens: &in, OutputTokens: &out, CostNanos: &cost,
				CostBasis:   goodhartv1.CostBasis_COST_BASIS_ESTIMATED,
				Status:      goodhartv1.Status_STATUS_OK,
				Granularity: goodhartv1.Granularity_GRANULARITY_REQUEST,
			},
		},
	}
}

// emitted is a feature with the watermark it was emitted at, after base.
type emitted struct {
	w       int64
	key     string
	feature *goodhartv1.Feature
}

// step folds one record and returns its features.
func step(tb testing.TB, f *Fold, r *machine.Record) []emitted {
	tb.Helper()
	var out machine.Outputs
	f.Step(r, &out)
	var all []emitted
	for _, o := range out.Records() {
		if o.Topic != schemas.TopicFeatures || o.Partition != machine.ByKey {
			tb.Fatalf("record in %s, partition %d", o.Topic, o.Partition)
		}
		var m goodhartv1.Feature
		if err := m.UnmarshalVT(o.Body()); err != nil {
			tb.Fatal(err)
		}
		all = append(all, emitted{w: o.W - base, key: string(o.Key), feature: &m})
	}
	return all
}

// fold folds a log with one partition and returns its features.
func fold(tb testing.TB, records []machine.Record) []emitted {
	tb.Helper()
	f := New(Config{Partitions: 1})
	var all []emitted
	for i := range records {
		all = append(all, step(tb, f, &records[i])...)
	}
	return all
}

// line is a feature as the hand-computed tests write it.
func line(e emitted) string {
	m := e.feature
	kind := "pane"
	if m.Delta {
		kind = "delta"
	}
	requests, cost := int64(0), int64(0)
	for _, c := range m.Cells {
		requests += c.Requests
		cost += c.CostNanos
	}
	return fmt.Sprintf("at %ds %s %s of %ds: %d cells, %d requests, cost %d",
		e.w/sec, m.Subject, kind, (m.PaneStartMs-base)/sec, len(m.Cells), requests, cost)
}

func lines(all []emitted) []string {
	s := make([]string, 0, len(all))
	for _, e := range all {
		s = append(s, line(e))
	}
	return s
}

// randomFacts makes a log in order of w with bursts, jumps, closed minutes and
// every kind of fact, bad ones among them.
func randomFacts(tb testing.TB, rng *rand.Rand, n int) []machine.Record {
	tb.Helper()
	ws := make([]int64, n)
	w := rng.Int64N(mnt)
	for i := range ws {
		switch rng.IntN(15) {
		case 0:
			w += rng.Int64N(70 * mnt)
		case 1:
			w = (w/mnt + 1) * mnt // exactly a full minute
		case 2:
			w += rng.Int64N(5 * 24 * 60 * mnt)
		default:
			w += rng.Int64N(20 * sec)
		}
		ws[i] = w
	}
	slices.SortFunc(ws, cmp.Compare[int64])
	l := factLog{tb: tb}
	for _, w := range ws {
		name := fmt.Sprintf("p_%d", rng.IntN(40))
		t := w + 30*sec - rng.Int64N(100*sec)
		if rng.IntN(6) == 0 {
			t = w - rng.Int64N(48*60*mnt)
		}
		fact := usageFact(name, t)
		fact.Event.Team = []string{"web", "infra", ""}[rng.IntN(3)]
		fact.Event.Usage.Model = fmt.Sprintf("model-%d", rng.IntN(4))
		if rng.IntN(2) == 0 {
			number, hash, offset := rng.Int64N(1000), rng.Uint64N(5), int32(60*(rng.IntN(20)-10))
			fact.Event.Conversation = fmt.Sprintf("c%d", rng.IntN(50))
			fact.Event.TzOffsetMin, fact.Event.Sequence = &offset, &hash
			fact.Event.Usage.DurationMs, fact.Event.Usage.NewTurnTokens = &number, &number
			fact.Event.Usage.H64, fact.Event.Usage.TargetH64 = &hash, &hash
		}
		fact.Late, fact.Observational = rng.IntN(20) == 0, rng.IntN(20) == 0
		switch rng.IntN(10) {
		case 0:
			fact.Kind, fact.Event.Usage = goodhartv1.FactKind_FACT_KIND_ACTIVITY, nil
			fact.Event.Activity = &goodhartv1.Activity{Name: "claude_code.commit.count"}
		case 1:
			fact = &goodhartv1.Fact{Kind: goodhartv1.FactKind_FACT_KIND_TRANSITION, Transition: &goodhartv1.Transition{
				Tenant: "acme", Subject: name, Team: "web", TimeMs: base + t, ProvisionalDelta: 1,
			}}
		case 2:
			fact = &goodhartv1.Fact{Kind: goodhartv1.FactKind_FACT_KIND_CONFIG, Event: &goodhartv1.Event{
				Tenant: "acme", Config: &goodhartv1.Config{Version: uint64(w)},
			}}
		case 3:
			l.watermark(w)
			continue
		case 4:
			fact.Event = nil // a dead letter
		}
		l.add(w, "acme|"+name, fact)
	}
	return l.records
}

// dump writes every byte of the outputs.
func dump(out *machine.Outputs) []string {
	var all []string
	for _, o := range out.Records() {
		all = append(all, fmt.Sprintf("%s %d %s %d %x", o.Topic, o.Partition, o.Key, o.W, o.Body()))
	}
	return all
}

// run folds a log and returns every byte that was emitted.
func run(f *Fold, records []machine.Record) []string {
	var all []string
	for i := range records {
		var out machine.Outputs
		f.Step(&records[i], &out)
		all = append(all, dump(&out)...)
	}
	return all
}
