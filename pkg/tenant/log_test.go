package tenant

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/subject"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// base is a Thursday, 00:00 UTC, 2026-01-01.
const base int64 = 1_767_225_600_000

// features runs facts through a real subject fold and returns the log that the
// tenant fold of the same tenants reads: the features, and a watermark for each
// watermark that the subject fold reached.
func features(tb testing.TB, facts []machine.Record) []machine.Record {
	tb.Helper()
	f := subject.New(subject.Config{Partition: 0, Partitions: 1})
	var log []machine.Record
	seq := uint64(0)
	push := func(w int64, key, value []byte) {
		log = append(log, machine.Record{Position: machine.Position{W: w, Seq: seq}, Offset: int64(seq), Key: key, Value: value})
		seq++
	}
	last := int64(math.MinInt64)
	for i := range facts {
		var out machine.Outputs
		f.Step(&facts[i], &out)
		for _, o := range out.Records() {
			if o.Topic != schemas.TopicFeatures {
				tb.Fatalf("subject fold: unexpected record in %s", o.Topic)
			}
			push(o.W, o.Key, o.Stamped(0, seq, true))
		}
		if f.W() > last {
			last = f.W()
			push(last, nil, encode(tb, &goodhartv1.Feature{W: last, Kind: goodhartv1.FeatureKind_FEATURE_KIND_WATERMARK}))
		}
	}
	return log
}

type vtMessage interface{ MarshalVT() ([]byte, error) }

func encode(tb testing.TB, m vtMessage) []byte {
	tb.Helper()
	b, err := m.MarshalVT()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// factLog builds the log that a subject fold reads.
type factLog struct {
	tb      testing.TB
	records []machine.Record
}

func (l *factLog) add(w int64, key string, fact *goodhartv1.Fact) {
	l.tb.Helper()
	seq := uint64(len(l.records))
	fact.W, fact.Seq = w, seq
	l.records = append(l.records, machine.Record{
		Position: machine.Position{W: w, Seq: seq}, Key: []byte(key), Value: encode(l.tb, fact),
	})
}

// watermark moves time and does nothing else.
func (l *factLog) watermark(w int64) {
	l.tb.Helper()
	l.add(w, "", &goodhartv1.Fact{Kind: goodhartv1.FactKind_FACT_KIND_WATERMARK})
}

// deed is a usage record or a transition, the least that the windows need.
type deed struct {
	w, t                      int64
	tenant, subject           string
	team, model, tool         string
	tokens, cost, provisional int64
	late                      bool
}

func (l *factLog) deed(d deed) {
	l.tb.Helper()
	key := d.tenant + "|" + d.subject
	if d.provisional != 0 {
		l.add(d.w, key, &goodhartv1.Fact{
			Kind: goodhartv1.FactKind_FACT_KIND_TRANSITION, Late: d.late,
			Transition: &goodhartv1.Transition{
				Tenant: d.tenant, Subject: d.subject, Team: d.team, TimeMs: d.t, ProvisionalDelta: int32(d.provisional),
				IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN,
			},
		})
		return
	}
	l.add(d.w, key, &goodhartv1.Fact{
		Kind: goodhartv1.FactKind_FACT_KIND_USAGE, Late: d.late,
		Event: &goodhartv1.Event{
			Tenant: d.tenant, Subject: d.subject, Team: d.team, Tool: d.tool, TimeMs: d.t,
			IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN,
			Usage: &goodhartv1.Usage{
				Model: d.model, InputUncachedTokens: &d.tokens, OutputTokens: &d.tokens, CostNanos: &d.cost,
				Granularity: goodhartv1.Granularity_GRANULARITY_REQUEST,
			},
		},
	})
}

// record is an emitted record of scores.v1, of either kind.
type record struct {
	Kind        string   `json:"kind"`
	Tenant      string   `json:"tenant"`
	ScopeKind   string   `json:"scope_kind"`
	Scope       string   `json:"scope"`
	Window      string   `json:"window"`
	Start       int64    `json:"window_start"`
	End         int64    `json:"window_end"`
	Rev         uint32   `json:"rev"`
	W           int64    `json:"w"`
	Requests    int64    `json:"requests"`
	Output      *int64   `json:"output_tokens"`
	Cost        *int64   `json:"cost_nanos"`
	Provisional *int64   `json:"outcomes_provisional"`
	People      *int64   `json:"people"`
	Status      string   `json:"status"`
	Config      uint64   `json:"config_version"`
	Team        string   `json:"team"`
	Week        string   `json:"iso_week"`
	Top1        *float64 `json:"top1_share"`
	Top2        *float64 `json:"top2_share"`
	Publishable bool     `json:"publishable"`
	Reason      string   `json:"reason"`
}

func (r record) String() string {
	b, _ := json.Marshal(r)
	return string(b)
}

// run folds a log and returns what was emitted to scores.v1, as bytes.
func run(f *Fold, log []machine.Record) []string {
	var emitted []string
	for i := range log {
		var out machine.Outputs
		f.Step(&log[i], &out)
		emitted = append(emitted, dump(&out)...)
	}
	return emitted
}

// dump writes every byte of the outputs.
func dump(out *machine.Outputs) []string {
	var lines []string
	for _, o := range out.Records() {
		line := fmt.Sprintf("%s %d %s %d %x", o.Topic, o.Partition, o.Key, o.W, o.Body())
		for _, h := range o.Headers {
			line += fmt.Sprintf(" %s=%s", h.Key, h.Value)
		}
		lines = append(lines, line)
	}
	return lines
}

// scores folds a log and returns the records of a kind.
func scores(tb testing.TB, f *Fold, log []machine.Record, kind string) []record {
	tb.Helper()
	var records []record
	for i := range log {
		var out machine.Outputs
		f.Step(&log[i], &out)
		for _, o := range out.Records() {
			if o.Topic != schemas.TopicScores {
				continue
			}
			var r record
			if err := json.Unmarshal(o.Body(), &r); err != nil {
				tb.Fatal(err)
			}
			if r.Kind == kind {
				records = append(records, r)
			}
		}
	}
	return records
}

// randomDeeds makes a log in order of w: bursts, silences of up to days, facts
// behind the watermark by up to two days and more (those are late), and jumps.
func randomDeeds(rng *rand.Rand, n int) []deed {
	w := base + rng.Int64N(86_400_000)
	deeds := make([]deed, 0, n)
	for range n {
		switch rng.IntN(20) {
		case 0:
			w += rng.Int64N(3 * 86_400_000)
		case 1, 2:
			w += rng.Int64N(3_600_000)
		case 3:
			w += 3_600_000 // exactly an hour
		default:
			w += rng.Int64N(40_000)
		}
		t := w + 30_000 - rng.Int64N(90_000)
		switch rng.IntN(8) {
		case 0:
			t = w - rng.Int64N(4_000_000)
		case 1:
			t = w - rng.Int64N(200_000_000)
		case 2:
			t = w / 60_000 * 60_000 // on the edge of a minute
		}
		d := deed{
			w: w, t: t, tenant: "acme", subject: fmt.Sprintf("p_%d", rng.IntN(12)),
			team: pick(rng, "", "infra", "payments", "web"), model: pick(rng, "haiku", "opus", "sonnet"),
			tool: pick(rng, "", "claude-code", "cursor"), tokens: 1 + rng.Int64N(1000), cost: rng.Int64N(1_000_000),
			late: t < w-48*3_600_000,
		}
		if rng.IntN(10) == 0 {
			d.tenant = "zeta"
		}
		if rng.IntN(10) == 0 {
			d.provisional = 1 - 2*rng.Int64N(2)
		}
		if rng.IntN(12) == 0 {
			d.subject = "s_" + d.subject
		}
		if rng.IntN(15) == 0 {
			d.cost = 26e9 // more than anyone may spend at once
		}
		deeds = append(deeds, d)
	}
	slices.SortStableFunc(deeds, func(a, b deed) int { return cmp.Compare(a.w, b.w) })
	return deeds
}

func pick(rng *rand.Rand, of ...string) string { return of[rng.IntN(len(of))] }

// deedLog turns deeds into the tenant fold's log, ending at end.
func deedLog(tb testing.TB, deeds []deed, end int64) []machine.Record {
	tb.Helper()
	l := factLog{tb: tb}
	for _, d := range deeds {
		l.deed(d)
	}
	l.watermark(end)
	return features(tb, l.records)
}
