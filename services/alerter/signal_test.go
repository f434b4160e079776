package alerter

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	catalogue "github.com/goodhartlabs/goodhart/pkg/signal"
)

// What the tenant fold writes of any signal of the catalogue is read here as it
// was meant, and a rule for it is valid.
func TestDecodeCatalogue(t *testing.T) {
	all := catalogue.Catalogue()
	if len(all) == 0 {
		t.Fatal("the catalogue is empty")
	}
	for _, d := range all {
		s := catalogue.Signal{
			Tenant: "acme", W: 7, Title: d.Title, Question: d.Question, Formula: d.Formula, ConfigVersion: 3,
			Standing: catalogue.Standing{
				ID: "0123", Code: d.Code, Kind: catalogue.ScopeTool, Scope: "ci-agent", Team: "platform", Label: d.Label,
				Severity: catalogue.Critical, Status: catalogue.Resolved, Rev: 2, OpenedAt: 1000, UpdatedAt: 2000, ResolvedAt: 1500,
				CostNanos: 5, CostKnown: true,
			},
			Evidence: []catalogue.Fact{
				{Name: "f", Statistic: "rate", Value: 2.5, Known: true, Unit: "1/min", Threshold: 1, HasThreshold: true, N: 9, Window: "5m", LookAlikes: []string{"release: no"}},
				{Name: "g", Statistic: "share", Unit: "1", Window: "7d"},
			},
		}
		got, err := decode(s.AppendJSON(nil))
		if err != nil {
			t.Fatalf("%s: %v", d.Code, err)
		}
		resolved, cost, value, threshold := int64(1500), int64(5), 2.5, 1.0
		want := &signal{
			Kind: "signal", Tenant: "acme", W: 7, Formula: d.Formula, ConfigVersion: 3, ScopeKind: "tool", Scope: "ci-agent", Team: "platform", ID: "0123", Rev: 2, Code: d.Code, Title: d.Title,
			Label: string(d.Label), Severity: "critical", Status: "resolved", OpenedAt: 1000, UpdatedAt: 2000, ResolvedAt: &resolved, Question: d.Question, CostAtStakeNanos: &cost,
			Evidence: []catalogue.FactRecord{
				{Fact: "f", Statistic: "rate", Value: &value, Unit: "1/min", Threshold: &threshold, N: 9, Window: "5m", LookAlikeChecked: []string{"release: no"}},
				{Fact: "g", Statistic: "share", Unit: "1", Window: "7d", LookAlikeChecked: []string{}},
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", d.Code, diff)
		}
		if line := got.Evidence[1].String(); line != "share: unknown (n = 0, 7d)" {
			t.Error(line)
		}
		rule := Rule{Match: Match{Code: []string{d.Code}, Label: []string{string(d.Label)}, ScopeKind: d.ScopeKinds}, To: []string{}}
		rule.Match.ScopeKind = without(rule.Match.ScopeKind, catalogue.ScopeSelf)
		if err := rule.validate(nil); err != nil {
			t.Errorf("%s: %v", d.Code, err)
		}
	}
}

func without(list []string, word string) []string {
	var rest []string
	for _, w := range list {
		if w != word {
			rest = append(rest, w)
		}
	}
	return rest
}

func TestDecodeRefuses(t *testing.T) {
	f := func(reason, field string, change func(*signal)) {
		t.Helper()
		_, err := decode(record(question("a", 0, statusOpened).with(change)))
		var u *unusable
		if !errors.As(err, &u) || u.reason != reason || u.field != field || u.tenant == "" && field != "tenant" {
			t.Errorf("%v, want %s: %s", err, reason, field)
		}
	}
	f(reasonUnknownKind, "kind", func(s *signal) { s.Kind = "self" })
	f(reasonMissing, "tenant", func(s *signal) { s.Tenant = "" })
	f(reasonMissing, "signal_id", func(s *signal) { s.ID = "" })
	f(reasonMissing, "code", func(s *signal) { s.Code = "" })
	f(reasonMissing, "question", func(s *signal) { s.Question = "" })
	f(reasonOutOfRange, "status", func(s *signal) { s.Status = "closed" })
	f(reasonBadTime, "opened_at", func(s *signal) { s.OpenedAt = 0 })
	f(reasonBadTime, "opened_at", func(s *signal) { s.OpenedAt = 1 << 60 })
	f(reasonBadTime, "updated_at", func(s *signal) { s.UpdatedAt = -1 })
}

// Whatever bytes arrive, they are a signal that can be told or there is a reason.
func FuzzDecode(f *testing.F) {
	f.Add(record(question("a", 0, statusOpened)))
	f.Add(record(question("a", 9, statusResolved)))
	f.Add([]byte("{"))
	f.Add([]byte(`{"kind":"signal","rev":-1}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		s, err := decode(value)
		if err != nil {
			if fateOf(err) != bury {
				t.Fatal(err)
			}
			return
		}
		if s.resolved().Before(s.opened()) {
			t.Errorf("it ends at %v and begins at %v", s.resolved(), s.opened())
		}
		if text := message([]*signal{s}); strings.Contains(text, "<") {
			t.Errorf("markup: %s", text)
		}
		_ = annotations(s)
	})
}
