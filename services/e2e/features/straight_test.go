package features

import (
	"math"
	"testing"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/ledger"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/subject"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
)

const (
	day  = 24 * 3_600_000
	week = 7 * day
	// final is how long after the last week everything is stated: outcomes are final
	// a fortnight after they came, weeks settle 48 h after their end, and are stated
	// within six hours then.
	final = 4 * week
)

// start is when an organisation begins, and end when the played part of it does.
func start(o *organisation.Organisation) int64 {
	at, err := time.Parse(time.DateOnly, o.Config.Start)
	if err != nil {
		panic(err) // it was validated
	}
	return at.UnixMilli()
}

func end(o *organisation.Organisation, part cut) int64 { return start(o) + int64(part.weeks)*week }

// folds are the ledger and the subject fold in a row.
type folds struct {
	t       *testing.T
	ledger  *ledger.Fold
	subject *subject.Fold
	facts   machine.Outputs
	said    machine.Outputs
	events  uint64
	fact    uint64
	stated  []statement
}

// straight folds normalised events in order of their times, without a broker
// between the folds, and returns what is stated of subjects.
func straight(t *testing.T, o *organisation.Organisation, part cut) []statement {
	t.Helper()
	f := &folds{t: t, ledger: ledger.New(ledger.Default()), subject: subject.New(subject.Config{Partitions: 1})}
	for r := range play(o, part) {
		f.push(r.Event, r.Key)
	}
	for at := end(o, part); at <= end(o, part)+final; at += day {
		f.push(&goodhartv1.Event{
			Kind: goodhartv1.EventKind_EVENT_KIND_TICK, TimeMs: at,
			Tick: &goodhartv1.Tick{Collector: "straight", Sequence: uint64(at / day)},
		}, nil)
	}
	return f.stated
}

func (f *folds) push(e *goodhartv1.Event, key []byte) {
	value, err := e.MarshalVT()
	if err != nil {
		f.t.Fatal(err)
	}
	before := f.ledger.W()
	f.events++
	f.ledger.Step(&machine.Record{Position: machine.Position{Seq: f.events}, Time: e.TimeMs, Offset: int64(f.events), Key: key, Value: value}, &f.facts)
	out := f.facts.Records()
	for i := range out {
		if out[i].Topic != schemas.TopicFacts {
			f.t.Fatalf("the ledger wrote to %s", out[i].Topic)
		}
		f.state(out[i].W, out[i].Key, out[i].Body())
	}
	f.facts.Recycle()
	if w := f.ledger.W(); w > before && w > math.MinInt64 {
		fact := &goodhartv1.Fact{Kind: goodhartv1.FactKind_FACT_KIND_WATERMARK}
		value, err := fact.MarshalVT()
		if err != nil {
			f.t.Fatal(err)
		}
		f.state(w, nil, value)
	}
}

func (f *folds) state(w int64, key, value []byte) {
	f.fact++
	f.subject.Step(&machine.Record{Position: machine.Position{W: w, Seq: f.fact}, Key: key, Value: value}, &f.said)
	out := f.said.Records()
	for i := range out {
		if out[i].Topic != schemas.TopicFeatures {
			f.t.Fatalf("the subject fold wrote to %s", out[i].Topic)
		}
		if s, ok := state(f.t, out[i].Body()); ok {
			f.stated = append(f.stated, s)
		}
	}
	f.said.Recycle()
}
