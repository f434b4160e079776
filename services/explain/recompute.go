package explain

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/fold"
	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// explanation is a record beside what the log gives.
type explanation struct {
	said    *said
	history fold.History
	topic   string // that was folded
	part    int32
	// records were folded until the record came out, again.
	records int64
	again   *output
	inputs  *inputs
	// document is the configuration that the record names, nil for none.
	document []byte
}

// output is what a fold emitted.
type output struct {
	topic      string
	key, value []byte
	headers    []machine.Header
}

// recompute folds the log until the record comes out again.
func recompute(ctx context.Context, cfg Config, cl *kgo.Client, layout kschema.Layout, s *said) (*explanation, error) {
	configs, err := kschema.ConfigHistory(ctx, cl, s.Tenant)
	if err != nil {
		return nil, err
	}
	e := &explanation{
		said: s, topic: schemas.TopicFeatures, part: schemas.Partition([]byte(s.Tenant), layout.Partitions(schemas.TopicFeatures)),
		inputs: newInputs(s, cfg.Rules.MinimumGroup),
	}
	var declared *goodhartv1.Config
	for _, c := range configs {
		if c.GetConfig().GetVersion() == s.Version {
			declared = c.Config
		}
	}
	e.document = declared.GetDocument()
	w := &witness{e: e, declared: declared}
	stage := fold.Stage{
		Name: "tenant", Input: e.topic, State: schemas.TopicTenantState, Dead: schemas.TopicDead,
		Upstreams: layout.Partitions(schemas.TopicFacts),
		New: func(int32) machine.Machine {
			f := tenant.New(cfg.Rules)
			f.Observe(e.inputs.observer())
			w.Machine = f
			return w
		},
	}
	e.history, err = fold.Replay(ctx, fold.Config{
		Stage: stage, Client: cfg.Kafka.Options(), Partitions: layout.Partitions, SpillDir: cfg.SpillDir,
	}, e.part, s.W, func() bool { return e.again != nil })
	return e, err
}

// witness is the fold, watched.
type witness struct {
	machine.Machine
	e *explanation
	// declared is the configuration that the record names. It stands for what a log
	// that has been cut no longer says.
	declared *goodhartv1.Config
	rewound  bool
}

// Rewind notes that the fold has its own state.
func (w *witness) Rewind(at int64, positions []machine.Position) {
	w.rewound = true
	w.Machine.Rewind(at, positions)
}

// Step folds a record and looks at what comes out.
func (w *witness) Step(r *machine.Record, out *machine.Outputs) {
	if w.e.records == 0 && r.Offset > 0 && !w.rewound && w.declared != nil {
		w.declare(r, out)
	}
	if w.e.again != nil {
		return // the rest of the batch
	}
	w.e.records++
	w.Machine.Step(r, out)
	records := out.Records()
	for i := range records {
		if o := &records[i]; w.e.said.same(o) {
			w.e.again = &output{o.Topic, bytes.Clone(o.Key), bytes.Clone(o.Body()), o.Headers}
		}
	}
}

// declare puts the configuration into force that held where the log begins now.
func (w *witness) declare(first *machine.Record, out *machine.Outputs) {
	value, err := (&goodhartv1.Feature{
		Kind: goodhartv1.FeatureKind_FEATURE_KIND_CONFIG, Tenant: w.e.said.Tenant, Config: w.declared,
	}).MarshalVT()
	if err != nil {
		return // it was read a moment ago
	}
	r := *first
	r.Value = value
	w.Machine.Step(&r, out)
}

// same reports whether an output states the same thing, rightly or wrongly.
func (s *said) same(o *machine.Output) bool {
	if o.Topic != s.Topic || !bytes.Equal(o.Key, s.Key) {
		return false
	}
	var other statement
	if json.Unmarshal(o.Body(), &other) != nil || other.Kind != s.Kind || other.Rev != s.Rev {
		return false
	}
	return other.ID == s.ID && other.Window == s.Window && other.End == s.End
}

// difference says where the record and what the log gives part; empty if nowhere.
func (e *explanation) difference() string {
	a, b := e.said, e.again
	if b == nil {
		return "the log does not give this record at all"
	}
	for i, h := range b.headers {
		if i >= len(a.Headers) || a.Headers[i].Key != h.Key || !bytes.Equal(a.Headers[i].Value, h.Value) {
			return fmt.Sprintf("the log gives the header %s: %s", h.Key, h.Value)
		}
	}
	if len(a.Headers) != len(b.headers) {
		return fmt.Sprintf("the record has %d headers, the log gives %d", len(a.Headers), len(b.headers))
	}
	if bytes.Equal(a.Value, b.value) {
		return ""
	}
	at := 0
	for at < min(len(a.Value), len(b.value)) && a.Value[at] == b.value[at] {
		at++
	}
	const around = 40
	cut := func(v []byte) string { return string(v[max(0, min(at, len(v))-around):min(len(v), at+around)]) }
	return fmt.Sprintf("they part at byte %d: the record says …%s…, the log gives …%s…", at, cut(a.Value), cut(b.value))
}

// fault is nil if the log gives the record.
func (e *explanation) fault() error {
	d := e.difference()
	switch {
	case d == "":
		return nil
	case e.history.Whole:
		return &DifferentError{fmt.Sprintf("explain: %s differs from what the log gives: %s", e.place(), d)}
	default:
		return &MissingError{fmt.Sprintf("explain: %s cannot be recomputed: %s/%d begins at offset %d now, and no snapshot of the fold from before %s is kept. "+
			"What is left gives something else, which says nothing", e.place(), e.topic, e.part, e.history.From, moment(e.said.W))}
	}
}

func (e *explanation) place() string {
	return fmt.Sprintf("the record at %s/%d offset %d", e.said.Topic, e.said.Partition, e.said.Offset)
}

// began says what the replay rests on.
func (e *explanation) began() string {
	h := e.history
	switch {
	case h.Snapshot:
		return fmt.Sprintf("from offset %d, with the fold's state as of %s", h.From, moment(h.W))
	case h.Whole:
		return "from the beginning of the log"
	default:
		return fmt.Sprintf("from offset %d, where the log begins now", h.From)
	}
}

// policyText is the configuration in force, as it was published.
func (e *explanation) policyText() string {
	if e.said.Version == 0 {
		return "nothing was declared"
	}
	p, err := policy.Parse(e.document)
	if err != nil {
		return cmp.Or(string(e.document), "no longer kept")
	}
	return string(p.Document())
}

func moment(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }
