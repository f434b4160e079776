package alerter

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	catalogue "github.com/goodhartlabs/goodhart/pkg/signal"
)

// Rule sends signals to receivers.
type Rule struct {
	// Match says which signals; without it, all.
	Match Match `yaml:"match"`
	// To names the receivers; [] sends to nobody.
	To []string `yaml:"to"`
	// Continue asks the rules below too.
	Continue bool `yaml:"continue"`
	// Quiet are the hours in which signals that are not critical are held.
	Quiet *Quiet `yaml:"quiet"`
}

// Match compares fields of a signal. Of each list one value must be equal, an
// empty list takes any; all lists must agree.
type Match struct {
	Code      []string `yaml:"code"`
	Label     []string `yaml:"label"`
	Severity  []string `yaml:"severity"`
	ScopeKind []string `yaml:"scope_kind"`
	Scope     []string `yaml:"scope"`
	Team      []string `yaml:"team"`
	Tenant    []string `yaml:"tenant"`
}

func (m *Match) takes(s *signal) bool {
	in := func(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }
	return in(m.Code, s.Code) && in(m.Label, s.Label) && in(m.Severity, s.Severity) && in(m.ScopeKind, s.ScopeKind) &&
		in(m.Scope, s.Scope) && in(m.Team, s.Team) && in(m.Tenant, s.Tenant)
}

// route is what the rules say of a signal for one receiver.
type route struct {
	// to: the receiver gets it, unless it is quiet.
	to    bool
	quiet *Quiet
	// nobody: no receiver at all gets it.
	nobody bool
}

// routeTo asks the rules in order. The first that takes the signal decides, with
// those below it as long as they continue; of those that name the receiver the
// first says when it is quiet.
func routeTo(rules []Rule, receiver string, s *signal) route {
	r := route{nobody: true}
	for i := range rules {
		rule := &rules[i]
		if !rule.Match.takes(s) {
			continue
		}
		r.nobody = r.nobody && len(rule.To) == 0
		if !r.to && slices.Contains(rule.To, receiver) {
			r.to, r.quiet = true, rule.Quiet
		}
		if !rule.Continue {
			break
		}
	}
	return r
}

// validate reports every problem of the rule; receivers are the names there are.
func (r *Rule) validate(receivers []string) error {
	var errs []error
	if r.To == nil {
		errs = append(errs, errors.New("to: missing; [] sends to nobody"))
	}
	for _, name := range r.To {
		if !slices.Contains(receivers, name) {
			errs = append(errs, fmt.Errorf("to: %q is not one of the receivers %s", name, strings.Join(receivers, ", ")))
		}
	}
	known := func(key string, values []string, of ...string) {
		for _, v := range values {
			if !slices.Contains(of, v) {
				errs = append(errs, fmt.Errorf("match.%s: %q is not one of %s", key, v, strings.Join(of, ", ")))
			}
		}
	}
	known("code", r.Match.Code, codes()...)
	known("label", r.Match.Label, string(catalogue.Tooling), string(catalogue.Runaway), string(catalogue.PossibleGaming))
	known("severity", r.Match.Severity, string(catalogue.Info), string(catalogue.Warning), critical)
	known("scope_kind", r.Match.ScopeKind, catalogue.ScopeMetric, catalogue.ScopeTenant, catalogue.ScopeTeam,
		catalogue.ScopeModel, catalogue.ScopeTool, catalogue.ScopeService)
	if r.Quiet != nil {
		if err := r.Quiet.prepare(); err != nil {
			errs = append(errs, fmt.Errorf("quiet.%w", err))
		}
	}
	return errors.Join(errs...)
}

// codes are those that a signal can have. A rule for any other would wait for ever.
func codes() []string {
	var all []string
	for _, d := range catalogue.Catalogue() {
		all = append(all, d.Code)
	}
	return all
}
