package simulate

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/identity"
	"github.com/goodhartlabs/goodhart/pkg/ledger"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/price"
	"github.com/goodhartlabs/goodhart/pkg/source/cloudevents"
	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/simulate/client"
	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
	"github.com/goodhartlabs/goodhart/services/simulate/wire"
)

const partitions = 4

// pipeline is the pure part of the real one: decoders, stamper and ledger folds.
type pipeline struct {
	t       *testing.T
	stamper *event.Stamper
	creds   map[string]*event.Credential
	folds   [partitions]*ledger.Fold
	offset  uint64
	facts   []*goodhartv1.Fact
	reject  int64
	ticks   uint64
}

func newPipeline(t *testing.T, dir string) *pipeline {
	t.Helper()
	p := &pipeline{t: t, creds: map[string]*event.Credential{}}
	var people identity.File
	read(t, filepath.Join(dir, peopleFile), &people)
	directory, err := identity.New(people)
	if err != nil {
		t.Fatal(err)
	}
	keys := event.Keyring{"demo": bytes.Repeat([]byte{7}, event.MinKey)}
	p.stamper = event.NewStamper(keys, price.Embedded(), directory)
	var file struct {
		Keys []struct {
			ID, Tenant, Accounting string
			Service                bool
		}
	}
	read(t, filepath.Join(dir, keysFile), &file)
	for _, k := range file.Keys {
		accounting := goodhartv1.Accounting(goodhartv1.Accounting_value["ACCOUNTING_"+strings.ToUpper(k.Accounting)])
		p.creds[k.ID] = &event.Credential{
			ID: k.ID, Tenant: k.Tenant, Accounting: accounting, Service: k.Service,
			CountsAlone: []goodhartv1.Signal{goodhartv1.Signal_SIGNAL_SPAN},
		}
	}
	for i := range p.folds {
		rules := ledger.Default()
		rules.Partition, rules.Partitions, rules.OutOfOrderness = int32(i), partitions, 65*time.Minute
		p.folds[i] = ledger.New(rules)
	}
	return p
}

func read(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(raw, into); err != nil {
		t.Fatal(err)
	}
}

func (p *pipeline) step(partition int32, key []byte, e *goodhartv1.Event) {
	value, err := e.MarshalVT()
	if err != nil {
		p.t.Fatal(err)
	}
	p.offset++
	var out machine.Outputs
	p.folds[partition].Step(&machine.Record{
		Position: machine.Position{Seq: p.offset}, Time: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC).UnixMilli() + int64(p.offset),
		Partition: partition, Offset: int64(p.offset), Key: key, Value: value,
	}, &out)
	for _, o := range out.Records() {
		fact := new(goodhartv1.Fact)
		if o.Topic != schemas.TopicFacts {
			p.t.Fatalf("output to %s", o.Topic)
		}
		if err := fact.UnmarshalVT(o.Body()); err != nil {
			p.t.Fatal(err)
		}
		if o.Partition == machine.ByKey {
			p.facts = append(p.facts, fact)
		}
	}
}

// tick moves every partition's clock.
func (p *pipeline) tick(ms int64) {
	p.ticks++
	for i := range p.folds {
		p.step(int32(i), nil, &goodhartv1.Event{
			Kind: goodhartv1.EventKind_EVENT_KIND_TICK, TimeMs: ms, ReceivedMs: ms,
			Tick: &goodhartv1.Tick{Collector: "c", Sequence: p.ticks},
		})
	}
}

func (p *pipeline) deliver(m *client.Message) {
	var drafts []event.Draft
	var rejected []event.Rejection
	var err error
	contentType := m.Header.Get("Content-Type")
	switch {
	case m.Path == "/v1/logs":
		drafts, rejected, err = otlp.DecodeLogs(contentType, m.Body)
	case m.Path == "/v1/metrics":
		drafts, rejected, err = otlp.DecodeMetrics(contentType, m.Body)
	case m.Path == "/v1/traces":
		drafts, rejected, err = otlp.DecodeTraces(contentType, m.Body)
	case m.Path == "/v1/events":
		drafts, rejected, err = cloudevents.Decode(m.Header, m.Body)
	case m.Logs != nil:
		drafts, rejected = otlp.FromLogs(m.Logs.Logs())
	case m.Metrics != nil:
		drafts, rejected = otlp.FromMetrics(m.Metrics.Metrics())
	default:
		drafts, rejected = otlp.FromTraces(m.Traces.Traces())
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.reject += int64(len(rejected))
	for i := range drafts {
		key, rej := p.stamper.Stamp(&drafts[i], p.creds[m.Key], time.UnixMilli(m.Clock))
		if rej != nil {
			p.reject++
			continue
		}
		p.step(schemas.Partition(key, partitions), key, drafts[i].Event)
	}
}

// The real decoders and the real ledger fold, fed with the bytes of the wire in
// any order within a step, come to the truth.
func TestThePipelineComesToTheTruth(t *testing.T) {
	t.Run("short", func(t *testing.T) { comesToTheTruth(t, 21, 40_000) })
	t.Run("with a story", func(t *testing.T) { comesToTheTruth(t, 119, 25_000) })
}

func comesToTheTruth(t *testing.T, days, events int) {
	t.Helper()
	cfg := testConfig(t, 13)
	cfg.Days, cfg.Events = days, events
	if err := Plan(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	plan, err := readPlan(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	p := newPipeline(t, cfg.Dir)
	rng := rand.New(rand.NewPCG(1, 2))
	for step := range traffic.New(plan.traffic(), plan.company()).All() {
		p.tick(step.End)
		rng.Shuffle(len(step.Requests), func(i, j int) {
			step.Requests[i], step.Requests[j] = step.Requests[j], step.Requests[i]
		})
		for _, r := range step.Requests {
			m, err := wire.Message(r, step.End)
			if err != nil {
				t.Fatal(err)
			}
			p.deliver(m)
			if r.Lost {
				p.deliver(m)
			}
		}
	}
	for _, clock := range plan.epilogue() {
		p.tick(clock)
	}
	for name, lines := range p.answers() {
		truth, err := os.ReadFile(filepath.Join(cfg.Dir, truthDir, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(string(truth), lines); diff != "" {
			t.Errorf("%s (-truth +pipeline):\n%.4000s", name, diff)
		}
	}
}

// answers prints what the SQL files of the demo ask for.
func (p *pipeline) answers() map[string]string {
	usage := map[[3]string][]int64{}
	credit := map[[3]string][]int64{}
	counts := map[[3]string][]int64{}
	add := func(to map[[3]string][]int64, key [3]string, values ...int64) {
		if to[key] == nil {
			to[key] = make([]int64, len(values))
		}
		for i, v := range values {
			to[key][i] += v
		}
	}
	count := func(name string, n int64) { add(counts, [3]string{name}, n) }
	for _, f := range p.facts {
		e := f.Event
		switch f.Kind {
		case goodhartv1.FactKind_FACT_KIND_TRANSITION:
			tr := f.Transition
			day := time.UnixMilli(tr.ObjectDayMs).UTC().Format(time.DateOnly)
			add(credit, [3]string{tr.Team, day}, int64(tr.ProvisionalDelta), int64(tr.FinalDelta), int64(tr.RevertedDelta))
			continue
		case goodhartv1.FactKind_FACT_KIND_ACTIVITY:
			count("activity", 1)
		case goodhartv1.FactKind_FACT_KIND_OUTCOME:
			count("outcomes_announced", 1)
		case goodhartv1.FactKind_FACT_KIND_USAGE:
			if f.Observational {
				count("merged", 1)
				break
			}
			count("usage", 1)
			u := e.Usage
			var request int64
			if u.Granularity == goodhartv1.Granularity_GRANULARITY_REQUEST {
				request = 1
			}
			hour := time.UnixMilli(e.TimeMs).UTC().Truncate(time.Hour).Format(time.DateTime)
			add(usage, [3]string{hour, e.Team, u.Model}, 1, request, u.GetInputUncachedTokens(), u.GetCacheReadTokens(),
				u.GetCacheWriteTokens(), u.GetOutputTokens(), u.GetReasoningTokens(), u.GetCostNanos())
		case goodhartv1.FactKind_FACT_KIND_TALLY:
			count("accepted", f.Tally.Accepted)
			count("duplicates", f.Tally.Duplicate)
			count("held", f.Tally.Held)
			continue
		default:
			continue
		}
		if f.Late {
			count("late", 1)
		}
		if slices.Contains(e.Quality, goodhartv1.Quality_QUALITY_CLOCK_SKEW) {
			count("clock_skew", 1)
		}
	}
	least := map[[3]string][]int64{
		{"accepted"}: counts[[3]string{"accepted"}], {"duplicates"}: counts[[3]string{"duplicates"}], {"dead"}: {p.reject},
	}
	delete(counts, [3]string{"accepted"})
	delete(counts, [3]string{"duplicates"})
	if held := counts[[3]string{"held"}]; held[0] != 0 {
		p.t.Errorf("%d records are still held", held[0])
	}
	delete(counts, [3]string{"held"})
	return map[string]string{
		"usage_by_team_hour.tsv": table(usage, 3), "outcomes_by_team_day.tsv": table(credit, 2),
		"totals.tsv": table(counts, 1), "at_least.tsv": table(least, 1),
	}
}

func table(rows map[[3]string][]int64, keys int) string {
	var sorted [][3]string
	for k := range rows {
		sorted = append(sorted, k)
	}
	slices.SortFunc(sorted, func(a, b [3]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]), cmp.Compare(a[2], b[2]))
	})
	var b strings.Builder
	for _, k := range sorted {
		b.WriteString(strings.Join(k[:keys], "\t"))
		for _, v := range rows[k] {
			fmt.Fprintf(&b, "\t%d", v)
		}
		b.WriteString("\n")
	}
	return b.String()
}
