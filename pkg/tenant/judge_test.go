package tenant

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/recordtest"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// told is a record of signals.v1 or self.v1.
type told struct {
	topic, key string
	headers    map[string]string

	Subject   string `json:"subject"`
	ScopeKind string `json:"scope_kind"`
	Scope     string `json:"scope"`
	ID        string `json:"signal_id"`
	Rev       uint32 `json:"rev"`
	W         int64  `json:"w"`
	Code      string `json:"code"`
	Severity  string `json:"severity"`
	Status    string `json:"status"`
	Question  string `json:"question"`
	Config    uint64 `json:"config_version"`
}

// signals folds features and returns what is told, each valid by its schema.
func signals(t *testing.T, f *Fold, log []machine.Record) []told {
	t.Helper()
	valid := map[string]*validator.Schema{
		schemas.TopicSignals: recordtest.Schema(t, "signals.v1.json"), schemas.TopicSelf: recordtest.Schema(t, "self.v1.json"),
	}
	var all []told
	for i := range log {
		var out machine.Outputs
		f.Step(&log[i], &out)
		for _, o := range out.Records() {
			if valid[o.Topic] == nil {
				continue
			}
			var value any
			r := told{topic: o.Topic, key: string(o.Key), headers: map[string]string{}}
			if err := json.Unmarshal(o.Body(), &value); err != nil {
				t.Fatal(err)
			}
			if err := valid[o.Topic].Validate(value); err != nil {
				t.Errorf("%s: %v", o.Body(), err)
			}
			if err := json.Unmarshal(o.Body(), &r); err != nil {
				t.Fatal(err)
			}
			for _, h := range o.Headers {
				r.headers[h.Key] = string(h.Value)
			}
			all = append(all, r)
		}
	}
	return all
}

// spender spends dear in a moment, and is quiet for an hour after.
func spender(t *testing.T, subject string) *factLog {
	t.Helper()
	l := factLog{tb: t}
	for range 12 { // one large request is no runaway
		l.deed(deed{w: base, t: base, tenant: "acme", subject: subject, team: "web", model: "opus", tool: "claude-code", tokens: 1000, cost: 4e9})
	}
	l.watermark(base + window.Hour)
	return &l
}

// A runaway is told at once, and again when it is over: of a service to everyone,
// of a person to that person.
func TestRunawayIsTold(t *testing.T) {
	for _, test := range []struct{ subject, topic, key string }{
		{"s_ci", schemas.TopicSignals, ""},
		{"p_ann", schemas.TopicSelf, "acme|p_ann"},
		{"k_ann", schemas.TopicSelf, "acme|k_ann"},
	} {
		got := signals(t, New(Default()), features(t, spender(t, test.subject).records))
		if len(got) != 2 || got[0].Status != "opened" || got[1].Status != "resolved" || got[0].ID != got[1].ID {
			t.Fatalf("%s: %+v", test.subject, got)
		}
		for i, r := range got {
			key := test.key
			if key == "" {
				key = r.ID
			}
			if r.topic != test.topic || r.key != key || r.Severity != "critical" || r.Rev != uint32(i) {
				t.Errorf("%s: %+v", test.subject, r)
			}
			if test.topic == schemas.TopicSignals && (r.ScopeKind != "service" || r.headers["ce_type"] != "ai.goodhart.signal.v1") {
				t.Errorf("%s: %+v", test.subject, r)
			}
			if r.headers["ce_id"] == "" || r.headers["ce_id"] == got[1-i].headers["ce_id"] {
				t.Errorf("ids %q", r.headers["ce_id"])
			}
		}
	}
}

// What is declared takes effect with the configuration, and each signal names its
// version.
func TestDeclaredAutomationIsLessUrgent(t *testing.T) {
	service := "s_" + strings.Repeat("5a", 16)
	document := fmt.Sprintf(`{"tenant":"acme","automation":[{"id":"nightly","subject":%q}]}`, service)
	l := factLog{tb: t}
	l.add(base-window.Hour, "acme", &goodhartv1.Fact{Kind: goodhartv1.FactKind_FACT_KIND_CONFIG, Event: &goodhartv1.Event{
		Tenant: "acme", Config: &goodhartv1.Config{Version: 7, Document: []byte(document)},
	}})
	for _, r := range spender(t, service).records {
		r.Position.Seq++
		l.records = append(l.records, r)
	}
	got := signals(t, New(Default()), features(t, l.records))
	if len(got) != 2 || got[0].Severity != "warning" || got[0].Config != 7 {
		t.Errorf("%+v", got)
	}
}

// A dispute takes effect with the configuration that declares it, not with the next
// week.
func TestDisputesTakeEffectAtOnce(t *testing.T) {
	f := New(Default())
	log := features(t, spender(t, "p_ann").records)
	at := base + 10*window.Minute // it ends later
	log = slices.DeleteFunc(log, func(r machine.Record) bool { return r.Position.W > at })
	opened := signals(t, f, log)
	if len(opened) != 1 {
		t.Fatalf("%+v", opened)
	}
	declare := featureLog{tb: t}
	for i, state := range []string{"open", "rejected"} {
		document := fmt.Sprintf(`{"tenant":"acme","disputes":[{"signal":%q,"state":%q,"until":"2026-12-01"}]}`, opened[0].ID, state)
		declare.add(at, "acme", &goodhartv1.Feature{
			Kind: goodhartv1.FeatureKind_FEATURE_KIND_CONFIG, Tenant: "acme", Config: &goodhartv1.Config{Version: uint64(i + 5), Document: []byte(document)},
		})
	}
	got := signals(t, f, declare.records)
	if len(got) != 2 || got[0].Status != "disputed" || got[0].Config != 5 || got[0].Rev != 1 || got[0].key != "acme|p_ann" ||
		got[1].Status != "updated" || got[1].Config != 6 || got[1].Rev != 2 {
		t.Errorf("%+v", got)
	}
}

// A configuration that does not parse, or is another tenant's, is a dead letter:
// the one before stays in force.
func TestBadConfigurations(t *testing.T) {
	l := factLog{tb: t}
	for i, document := range []string{`{"tenant":"acme"}`, `{"tenant":"acme","teems":[]}`, `{"tenant":"zeta"}`} {
		l.add(base+int64(i), "acme", &goodhartv1.Fact{Kind: goodhartv1.FactKind_FACT_KIND_CONFIG, Event: &goodhartv1.Event{
			Tenant: "acme", Config: &goodhartv1.Config{Version: uint64(i + 1), Document: []byte(document)},
		}})
	}
	f := New(Default())
	run(f, features(t, l.records))
	if s := f.Stats(); s.Configs != 1 || s.Dead != 2 || f.tenants["acme"].config.Version != 1 {
		t.Errorf("%d in force, %d dead, version %d", s.Configs, s.Dead, f.tenants["acme"].config.Version)
	}
}

// around is a week of someone who works at so many hours of it, and used to at 30.
func around(subject string, n int64, hours int) *goodhartv1.Feature {
	k := &goodhartv1.Week{
		WeekStartMs: monday + n*window.Week, Team: "web", Tool: "claude-code", Model: "opus",
		Requests: 300, Records: 300, InputUncachedTokens: 3e6, OutputTokens: 3e5, CostNanos: 5e9,
		Hours: make([]byte, 21), DayRequests: make([]int64, 7), DayTokens: make([]int64, 7),
		DayCostNanos: make([]int64, 7), DayOutcomes: make([]int64, 7),
		Baselines: []*goodhartv1.Baseline{
			{Statistic: goodhartv1.Statistic_STATISTIC_HOURS, Median: 30e6, Mad: 3e6, Weeks: 8},
			{Statistic: goodhartv1.Statistic_STATISTIC_TOKENS, Median: 14e6, Mad: 5e5, Weeks: 8},
		},
	}
	for h := range hours {
		k.Hours[h/8] |= 1 << (h % 8)
	}
	return &goodhartv1.Feature{
		Kind: goodhartv1.FeatureKind_FEATURE_KIND_WEEK, Tenant: "acme", Subject: subject, Role: "engineer",
		IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, Week: k,
	}
}

// featureLog builds what a fold reads, from features that no subject fold made.
type featureLog struct {
	tb      testing.TB
	records []machine.Record
}

func (l *featureLog) add(w int64, key string, m *goodhartv1.Feature) {
	l.tb.Helper()
	seq := uint64(len(l.records))
	m.W, m.Seq = w, seq
	l.records = append(l.records, machine.Record{
		Position: machine.Position{W: w, Seq: seq}, Offset: int64(seq), Key: []byte(key), Value: encode(l.tb, m),
	})
}

// weeks is a log of the weeks of a team of 20, one of whom, from the fifth on,
// works around the clock.
func weeksLog(t *testing.T, n int64) []machine.Record {
	t.Helper()
	log := featureLog{tb: t}
	for i := range n {
		stated := monday + (i+1)*window.Week + 50*window.Hour
		for p := range 20 {
			hours := 25 + p
			if p == 7 && i >= 4 {
				hours = 130
			}
			log.add(stated+int64(p)*window.Minute, "acme", around(fmt.Sprintf("p_%02d", p), i, hours))
		}
		log.add(monday+i*window.Week+judged+1, "", &goodhartv1.Feature{Kind: goodhartv1.FeatureKind_FEATURE_KIND_WATERMARK})
	}
	return log.records
}

// The weeks of all are judged together, and what persists is asked about: here
// with the person whom it concerns, and nobody else.
func TestWeeksAreJudged(t *testing.T) {
	got := signals(t, New(Default()), weeksLog(t, 8))
	if len(got) == 0 {
		t.Fatal("nothing is told")
	}
	for _, r := range got {
		if r.topic != schemas.TopicSelf || r.key != "acme|p_07" || r.Code != "S5" || !strings.HasSuffix(r.Question, "?") {
			t.Errorf("%+v", r)
		}
	}
	if first := got[0]; first.Status != "opened" || first.headers["ce_type"] != "ai.goodhart.self.v1" {
		t.Errorf("%+v", first)
	}
	early := signals(t, New(Default()), weeksLog(t, 5))
	if len(early) != 0 {
		t.Errorf("told after one week: %+v", early)
	}
}

// A fold that is saved with weeks that wait, histories and open signals goes on
// as if nothing had happened.
func TestJudgementsSurviveARestore(t *testing.T) {
	log := weeksLog(t, 10)
	whole := New(Default())
	for at := range log {
		if at%37 == 0 {
			loaded := New(Default())
			if err := loaded.LoadHeader(whole.AppendHeader(nil)); err != nil {
				t.Fatal(err)
			}
			if err := loaded.LoadShard(0, whole.AppendShard(nil, 0)); err != nil {
				t.Fatal(err)
			}
			rest := log[at:min(at+80, len(log))]
			other := New(Default()) // as long as the first has not been saved
			run(other, log[:at])
			if diff := cmp.Diff(run(other, rest), run(loaded, rest)); diff != "" {
				t.Fatalf("after %d records: %s", at, diff)
			}
		}
		run(whole, log[at:at+1])
	}
}

// Features that say nothing usable become dead letters, late weeks nothing.
func TestBadWeeksAndGuards(t *testing.T) {
	f := New(Default())
	bad := func(want string, m *goodhartv1.Feature) {
		t.Helper()
		value, err := m.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		var out machine.Outputs
		f.Step(&machine.Record{Position: machine.Position{W: monday + judged + window.Week}, Key: []byte("acme"), Value: value}, &out)
		got := ""
		for _, o := range out.Records() {
			if o.Topic == schemas.TopicDead {
				var letter goodhartv1.DeadLetter
				if err := letter.UnmarshalVT(o.Body()); err != nil {
					t.Fatal(err)
				}
				got = letter.Reason
			}
		}
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	without := around("p_1", 0, 9)
	without.Week = nil
	bad("no_week", without)
	odd := around("p_1", 0, 9)
	odd.Week.WeekStartMs++
	bad("bad_week", odd)
	bad("no_guard", &goodhartv1.Feature{Kind: goodhartv1.FeatureKind_FEATURE_KIND_GUARD, Tenant: "acme", Subject: "p_1"})
	bad("", around("p_1", 0, 9)) // it is too late to judge it
	if f.Stats().TooOld != 1 {
		t.Errorf("%d weeks too old", f.Stats().TooOld)
	}
}
