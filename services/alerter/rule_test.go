package alerter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// What the rules do is what their description says, read backwards: a signal
// reaches a receiver if a rule takes it and names the receiver, and every rule
// above that takes the signal continues.
func FuzzRules(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 0))
		word := func() string { return string(rune('a' + r.IntN(3))) }
		list := func() []string {
			var l []string
			for range r.IntN(3) {
				l = append(l, word())
			}
			return l
		}
		rules := make([]Rule, r.IntN(6))
		for i := range rules {
			rules[i] = Rule{
				Match:    Match{Code: list(), Label: list(), Severity: list(), ScopeKind: list(), Scope: list(), Team: list(), Tenant: list()},
				To:       append([]string{}, list()...),
				Continue: r.IntN(2) == 0,
				Quiet:    &Quiet{Zone: fmt.Sprint(i)},
			}
		}
		s := &signal{
			Code: word(), Label: word(), Severity: word(), ScopeKind: word(), Scope: word(), Team: word(), Tenant: word(),
		}
		fields := func(m Match) [][2][]string {
			return [][2][]string{
				{m.Code, {s.Code}},
				{m.Label, {s.Label}},
				{m.Severity, {s.Severity}},
				{m.ScopeKind, {s.ScopeKind}},
				{m.Scope, {s.Scope}},
				{m.Team, {s.Team}},
				{m.Tenant, {s.Tenant}},
			}
		}
		takes := func(rule Rule) bool {
			return !slices.ContainsFunc(fields(rule.Match), func(f [2][]string) bool { return len(f[0]) > 0 && !slices.Contains(f[0], f[1][0]) })
		}
		reached := func(i int) bool {
			return takes(rules[i]) && !slices.ContainsFunc(rules[:i], func(above Rule) bool { return takes(above) && !above.Continue })
		}
		anybody := false
		for _, receiver := range []string{"a", "b", "c"} {
			first := -1
			for i := len(rules) - 1; i >= 0; i-- {
				if reached(i) && slices.Contains(rules[i].To, receiver) {
					first = i
				}
			}
			anybody = anybody || first >= 0
			got := routeTo(rules, receiver, s)
			if got.to != (first >= 0) || first >= 0 && got.quiet != rules[first].Quiet {
				t.Errorf("%s: %+v, want rule %d of %+v for %+v", receiver, got, first, rules, s)
			}
		}
		if got := routeTo(rules, "z", s); got.nobody == anybody || got.to {
			t.Errorf("nobody: %+v, want %t", got, !anybody)
		}
	})
}
