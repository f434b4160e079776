package signal

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/recordtest"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// everything is at least one record of every code that can be raised, and of
// every status.
func everything(t *testing.T) []Signal {
	t.Helper()
	var all []Signal
	for _, s := range scenarios() {
		for _, how := range []innocent{{}, team, version, model, elsewhere} {
			c := s.company(t)
			s.fired(c, how)
			c.change = nil
			c.run(3)
			all = append(all, c.all...)
		}
	}
	c := newCompany(t) // all that supports, at once
	c.declares.Targets = weeklyTarget()
	c.run(6)
	for k := range 5 {
		c.change = func(i int, w *goodhartv1.Week) {
			if i == 0 {
				fireParallel(w, k)
				fireSink(w, k)
				w.PaddedTurns = 10
				bunched(w, k)
			}
			if i == 1 {
				fireRepeats(w, k)
				fireLate(w, k)
			}
		}
		c.run(1)
	}
	all = append(all, c.all...)
	_, c = weeks(t, "xxxx", func(c *company, _ int) {
		if len(c.all) > 0 {
			c.declares.Disputes = []policy.Dispute{{Signal: c.all[0].ID, State: policy.DisputeOpen, Until: policy.Day(c.week + 8*window.Week)}}
		}
	})
	all = append(all, c.all...)
	c = newCompany(t)
	c.declares.Targets = adoptionTarget(firstWeek + 6*window.Week)
	workforce(c, 600, firstWeek+6*window.Week, 0.5)
	c.run(12)
	all = append(all, c.all...)
	c = newCompany(t)
	c.adjust = func(in *Input) {
		in.Subjects[0].ID, in.Subjects[0].Type = "s_nightly", goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE
		fireCache(in.Subjects[0].Week, 0)
		fireContext(in.Subjects[0].Week, 0)
	}
	c.run(3)
	all = append(all, c.all...)
	for _, who := range []string{"s_ci", "p_1"} {
		for _, metric := range []goodhartv1.GuardMetric{requestsMetric, tokensMetric, costMetric} {
			var s State // one incident each
			for _, ended := range []bool{false, true} {
				if x, ok := s.Cross(crossing(who, metric, window.Minute, 0, ended)); ok {
					all = append(all, x)
				}
			}
		}
	}
	var s State
	for k, requests := range []float64{900, 1, 1, 1, 1} {
		p := surgePoint(int64(k), 5, requests)
		p.Kind, p.Scope = ScopeTenant, ""
		if x, ok := s.Surge(p); ok {
			all = append(all, x)
		}
	}
	return all
}

func TestRecords(t *testing.T) {
	all := everything(t)
	t.Run("schema", func(t *testing.T) { testSchema(t, all) })
	t.Run("questions", func(t *testing.T) { testQuestions(t, all) })
	t.Run("no person in shared records", func(t *testing.T) { testNoPerson(t, all) })
}

// compile returns a schema, and the fields of what lies at a path in it.
func compile(t *testing.T, name string, path ...string) (schema *validator.Schema, fields []string) {
	t.Helper()
	shape := json.RawMessage(recordtest.File(t, name))
	for _, step := range append(path, "properties") {
		var of map[string]json.RawMessage
		if err := json.Unmarshal(shape, &of); err != nil {
			t.Fatal(err)
		}
		shape = of[step]
	}
	return recordtest.Schema(t, name), recordtest.Fields(t, shape)
}

// Every record is valid against the schema of its topic, and has its fields in
// its order.
func testSchema(t *testing.T, all []Signal) {
	t.Helper()
	shared, sharedFields := compile(t, "signals.v1.json")
	self, selfFields := compile(t, "self.v1.json", "$defs", "self")
	raised := map[string]bool{}
	for _, s := range all {
		schema, want := shared, sharedFields
		if s.Private() {
			schema, want = self, selfFields
		}
		body := s.AppendJSON(nil)
		value, err := validator.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(want, recordtest.Fields(t, body)); diff != "" {
			t.Fatalf("%s: fields (-schema +record)\n%s", s.Code, diff)
		}
		seen := map[string]bool{}
		for _, f := range s.Evidence {
			if seen[f.Name] || f.Statistic == "" || f.Unit == "" || f.Window == "" {
				t.Errorf("%s: fact %+v", s.Code, f)
			}
			seen[f.Name] = true
		}
		raised[s.Code+" "+s.Kind], raised[string(s.Status)] = true, true
	}
	for _, d := range Catalogue() {
		for _, kind := range d.ScopeKinds {
			// Crossed out: a prompt's peers explain what many of them do, and R3
			// looks alike in all of its scopes.
			if !raised[d.Code+" "+kind] && d.Code != "S3" && d.Code != "R3" {
				t.Errorf("%s was not raised about %s", d.Code, kind)
			}
		}
	}
	for _, code := range []string{"S4", "S6", "S7", "S8", "S9"} {
		if !slices.ContainsFunc(all, func(s Signal) bool { return hasFact(&s, "with_"+code) }) {
			t.Errorf("%s supports nothing", code)
		}
	}
	for _, status := range []Status{Opened, Updated, Resolved, Disputed} {
		if !raised[string(status)] {
			t.Errorf("nothing %s", status)
		}
	}
}

// accusing are words that a question has no use for.
var accusing = regexp.MustCompile(`(?i)\b(cheat\w*|fraud\w*|abus\w*|fake\w*|guilt\w*|suspicio\w*|suspect\w*|violat\w*|misconduct|dishonest\w*|lazy|waste\w*|offend\w*|culprit|caught|blame\w*|inflat\w*|manipulat\w*|punish\w*|gam(e|ed|ing)|gamer\w*|liar|lying|wrong\w*|should have|must stop|excessive\w*)\b`)

// Every text asks and accuses nobody, and says what it rests on.
func TestTexts(t *testing.T) {
	for _, d := range Catalogue() {
		texts := []string{d.Title, d.Question, d.Statistic, string(d.self), string(d.shared), string(d.other), string(d.otherShared), strings.Join(d.Needs, " ")}
		for _, l := range d.LookAlikes {
			texts = append(texts, l.Name, l.Why)
			if l.Name == "" || l.Why == "" || strings.HasSuffix(l.Why, ".") {
				t.Errorf("%s: look-alike %+v", d.Code, l)
			}
		}
		for _, text := range texts {
			if word := accusing.FindString(text); word != "" {
				t.Errorf("%s: %q in %q", d.Code, word, text)
			}
		}
		if !strings.HasSuffix(d.Question, "?") || len(d.LookAlikes) == 0 || len(d.Thresholds) == 0 || d.Formula == "" || d.Sample == "" {
			t.Errorf("%s: %+v", d.Code, d)
		}
		if d.Kind == Supporting != (len(d.ScopeKinds) == 0) {
			t.Errorf("%s speaks of %v", d.Code, d.ScopeKinds)
		}
		if strings.Contains(strings.ToLower(string(d.shared+d.otherShared)), "you") {
			t.Errorf("%s: the shared text speaks to a person: %s", d.Code, d.shared)
		}
	}
	for _, fixed := range []template{tail, moved, over, contested} {
		if word := accusing.FindString(string(fixed)); word != "" {
			t.Errorf("%q in %q", word, fixed)
		}
	}
}

// What is asked names the sample, the threshold and every look-alike with its
// finding, ends with a question, and leaves no place open.
func testQuestions(t *testing.T, all []Signal) {
	t.Helper()
	for _, s := range all {
		q := s.Question
		if !strings.HasSuffix(q, "?") || strings.ContainsAny(q, "{}") || accusing.MatchString(q) {
			t.Errorf("%s: %s", s.Code, q)
		}
		if s.Status != Opened && s.Status != Updated {
			continue
		}
		d, _ := Lookup(s.Code)
		headline := s.Evidence[0]
		for _, part := range append([]string{
			" " + decimalInt(headline.N) + " " + d.Sample, "the threshold is " + decimal(headline.Threshold, headline.Unit) + ".", d.Question,
		}, headline.LookAlikes...) {
			name, finding, looked := strings.Cut(part, ": ")
			if looked && (!strings.Contains(q, name) || !strings.Contains(q, finding+": ")) || !looked && !strings.Contains(q, part) {
				t.Errorf("%s does not name %q: %s", s.Code, part, q)
			}
		}
		if len(headline.LookAlikes) != len(d.LookAlikes) || !headline.HasThreshold {
			t.Errorf("%s: %+v", s.Code, headline)
		}
	}
}

func decimalInt(n int64) string {
	raw, _ := json.Marshal(n)
	return string(raw)
}

// pseudonym of a person, an account or a key.
var pseudonym = regexp.MustCompile(`\b[pak]_[0-9a-zA-Z]`)

// A shared record names no person, in no field.
func testNoPerson(t *testing.T, all []Signal) {
	t.Helper()
	shared := 0
	for _, s := range all {
		if s.Private() {
			continue
		}
		shared++
		if body := s.AppendJSON(nil); pseudonym.Match(body) {
			t.Errorf("%s", body)
		}
	}
	if shared < 20 {
		t.Errorf("only %d shared records", shared)
	}
}

func TestDecimal(t *testing.T) {
	for x, want := range map[float64]string{
		0: "0", 3: "3", 3.14159: "3.14", 42.25: "42.3", 1234.5: "1235", 0.005: "0.005", -0.5: "-0.5", 1e-7: "1e-07", 0.1: "0.1", 1e9: "1000000000",
	} {
		if got := decimal(x, ""); got != want {
			t.Errorf("%g: %s", x, got)
		}
	}
	if got := decimal(0.305, "share"); got != "30.5 %" {
		t.Error(got)
	}
}

func TestDocs(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join("..", "..", "docs", "signals.md"))
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != Doc() {
		t.Error("docs/signals.md is not up to date: run go generate ./pkg/signal")
	}
	if word := accusing.FindString(strings.ReplaceAll(Doc(), string(PossibleGaming), "")); word != "" {
		t.Errorf("%q in the document", word)
	}
}

// The coverage of every code is valid against the schema, its fields in the
// schema's order, and says what a source did not supply.
func TestCoverageRecord(t *testing.T) {
	c := newCompany(t)
	c.declares.Targets = adoptionTarget(firstWeek)
	c.change = func(i int, w *goodhartv1.Week) {
		if i < 20 {
			w.DenseTurns = 0
		}
	}
	c.run(1)
	schema := recordtest.Schema(t, "scores.v1.json")
	var doc struct {
		Defs map[string]struct {
			Properties json.RawMessage `json:"properties"`
			Required   []string        `json:"required"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(recordtest.File(t, "scores.v1.json"), &doc); err != nil {
		t.Fatal(err)
	}
	shape := doc.Defs[KindCoverage]
	covered := map[string]bool{}
	for _, coverage := range c.last.result.Coverage {
		w := WeekCoverage{Coverage: coverage, Tenant: "acme", WeekStart: firstWeek, W: firstWeek + 10*window.Day, ConfigVersion: 7}
		body := w.AppendJSON(nil)
		covered[w.Code] = true
		value, err := validator.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		if diff := cmp.Diff(recordtest.Fields(t, shape.Properties), recordtest.Fields(t, body)); diff != "" {
			t.Errorf("fields (-schema +record)\n%s", diff)
		}
		if diff := cmp.Diff(recordtest.Fields(t, body), shape.Required); diff != "" {
			t.Errorf("required (-record +schema)\n%s", diff)
		}
		if w.Code == "S4" && !strings.Contains(string(body), `"subjects":60,"known":40,"measured":40,"records":24000,"known_records":800,`) {
			t.Errorf("%s", body)
		}
	}
	for _, d := range Catalogue() {
		if covered[d.Code] == (d.Kind == Immediate) {
			t.Errorf("%s: coverage %v", d.Code, covered[d.Code])
		}
	}
}
