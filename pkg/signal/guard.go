package signal

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Codes of what is raised at once.
const (
	codeRate  = "R1"
	codeSpend = "R2"
	codeSurge = "R3"
)

// reopen is how long after its end a crossing goes on with the signal before.
const reopen = 30 * window.Minute

func runawayRate() Definition {
	return guardDefinition(codeRate, "Runaway rate", "requests or tokens",
		"Does something repeat itself that should be stopped?")
}

func runawaySpend() Definition {
	return guardDefinition(codeSpend, "Runaway spend", "cost",
		"Is this spent on purpose, and should it go on?")
}

func guardDefinition(code, title, what, question string) Definition {
	return Definition{
		Code: code, Title: title, Kind: Immediate, Label: Runaway,
		ScopeKinds: []string{ScopeSelf, ScopeService},
		Needs:      []string{what + " of requests as they come"},
		Statistic:  what + " of a pane of 1 or 5 min against the subject's own 99th percentile of active panes, if it holds 5 requests (10 in 5 min) or they are not counted one by one; what else crosses meanwhile, a rate or a cost, is the same signal, which ends when all have fallen back",
		MinimumN:   0, Sample: "active panes",
		Thresholds: []Threshold{{"the threshold of the rate guard, stated with each signal", 0, "as measured"}},
		LookAlikes: []LookAlike{
			look("a registered automation", "a batch that was announced is heavy too; it is asked about with less urgency", nil),
			look("a declared release, migration or incident", "a load of its own; it is asked about with less urgency", nil),
			look("a retry loop", "a client that repeats what fails looks the same, and should be stopped as well", nil),
		},
		Question: question,
		Formula:  "guard/1",
		self:     "From {time} on your {metric} reached {value} in {pane}, {usual}.",
		shared:   "{scope}{where}, from {time} on: {metric} reached {value} in {pane}, {usual}.",

		other:       "From {time} on your {metric} reached {value} in {pane}; how much is usual for you is not known yet.",
		otherShared: "{scope}{where}, from {time} on: {metric} reached {value} in {pane}; how much is usual is not known yet.",
	}
}

// Crossing is a rate guard of a subject that was crossed, or fell back.
type Crossing struct {
	Tenant  string
	Subject string
	Type    goodhartv1.IdentityType
	Guard   *goodhartv1.Guard
	// At is the watermark, ms.
	At int64
	// Policy that is in force, in its version; 0 for policy.Default.
	Policy        *policy.Policy
	ConfigVersion uint64
}

// bit of a guard among those of a subject and code.
func bit(g *goodhartv1.Guard) uint32 {
	n := uint32(1) << (2 * uint32(g.Metric))
	if g.PaneMs > window.Minute {
		n <<= 1
	}
	return n
}

// Cross opens, updates or resolves the signal of a rate guard at once. A service
// and a registered automation are spoken of in public, a person and a personal
// key in private.
func (s *State) Cross(c *Crossing) (Signal, bool) {
	g := c.Guard
	at := policy.Place{Subject: c.Subject, Team: g.Team, Tool: g.Tool, Credential: g.Credential}
	code := codeRate
	if g.Metric == goodhartv1.GuardMetric_GUARD_METRIC_COST {
		code = codeSpend
	}
	kind, registered := ScopeSelf, registered(c.Policy, at)
	person := strings.HasPrefix(c.Subject, "p_") || strings.HasPrefix(c.Subject, "a_")
	if isService(c.Subject, c.Type) || registered && !person {
		kind = ScopeService
	}
	st := s.runaway(kind, c.Subject)
	if st == nil && g.Ended {
		// The end does not name the credential that may have made it public.
		st = s.runaway(ScopeService, c.Subject)
	}
	switch {
	case g.Ended && st == nil:
		return Signal{}, false
	case g.Ended:
		if st.Crossed &^= bit(g); st.Crossed != 0 || st.Status == Disputed {
			return Signal{}, false
		}
		st.revise(Resolved, c.At)
	case st == nil:
		if s.muted(codeRate, kind, c.Subject, c.At) || s.muted(codeSpend, kind, c.Subject, c.At) {
			return Signal{}, false
		}
		st = s.start(c.Tenant, Standing{Code: code, Kind: kind, Scope: c.Subject, Label: Runaway}, g.PaneStartMs, c.At)
		st.Crossed = bit(g)
	default:
		st.Crossed |= bit(g)
		if st.Status == Disputed {
			return Signal{}, false
		}
		st.revise(Updated, c.At)
	}
	st.SeenAt = g.PaneStartMs
	if g.Team != "" {
		st.Team = g.Team
	}
	declared := declaredAt(c.Policy, at, g.PaneStartMs, g.PaneStartMs+g.PaneMs, policy.Release, policy.Migration, policy.Incident)
	switch {
	case g.Ended: // it is over as urgent as it was
	case registered || declared:
		st.Severity = Warning
	default:
		st.Severity = Critical
	}
	if g.Metric == goodhartv1.GuardMetric_GUARD_METRIC_COST && !g.Ended {
		st.CostNanos, st.CostKnown = max(g.Value, 0), true
	}
	return c.signal(st, []Finding{found(registered), found(declared), Unseen}), true
}

// runaway is the open signal of a subject's guards, nil if there is none. A rate
// and what it costs are one incident: it has the code of what crossed first.
func (s *State) runaway(kind, subject string) *Standing {
	if st := s.running(codeRate, kind, subject); st != nil {
		return st
	}
	return s.running(codeSpend, kind, subject)
}

func isGuard(code string) bool { return code == codeRate || code == codeSpend }

// running is the open signal of a question, nil if there is none.
func (s *State) running(code, kind, scope string) *Standing {
	for i := range s.Signals {
		if st := &s.Signals[i]; st.open() && st.Code == code && st.Kind == kind && st.Scope == scope {
			return st
		}
	}
	return nil
}

// start opens a signal, or goes on with one that ended a moment ago: what comes
// back within half an hour is the same incident.
func (s *State) start(tenant string, st Standing, began, at int64) *Standing {
	for i := range s.Signals {
		old := &s.Signals[i]
		same := old.Code == st.Code || isGuard(old.Code) && isGuard(st.Code)
		if same && old.Kind == st.Kind && old.Scope == st.Scope && at-old.ResolvedAt <= reopen {
			old.ResolvedAt, old.Quiet = 0, 0
			old.revise(Opened, at)
			return old
		}
	}
	st.ID = identify(tenant, st.Code, st.Kind, st.Scope, began)
	st.Status, st.OpenedAt, st.UpdatedAt = Opened, at, at
	i, _ := slices.BinarySearchFunc(s.Signals, st.ID, func(x Standing, id string) int { return strings.Compare(x.ID, id) })
	s.Signals = slices.Insert(s.Signals, i, st)
	return &s.Signals[i]
}

// signal states a revision of a guard's signal.
func (c *Crossing) signal(st *Standing, findings []Finding) Signal {
	g := c.Guard
	d, _ := Lookup(st.Code)
	metric, unit, scale := "requests", "requests", 1.0
	switch g.Metric {
	case goodhartv1.GuardMetric_GUARD_METRIC_TOKENS:
		metric, unit = "tokens", "tokens"
	case goodhartv1.GuardMetric_GUARD_METRIC_COST:
		metric, unit, scale = "cost in USD", "USD", 1e-9
	default:
	}
	value, p99, threshold := float64(g.Value)*scale, float64(g.P99)*scale, float64(g.Threshold)*scale
	pane := strconv.FormatInt(g.PaneMs/window.Minute, 10) + " min"
	usual := "and there is no history yet to compare it with"
	if g.Panes > 0 {
		usual = "where 99 of 100 active panes stay below " + decimal(p99, "")
	}
	at := time.UnixMilli(g.PaneStartMs).UTC().Format(time.RFC3339)
	r := Reading{N: g.Panes, Value: value, Threshold: threshold, unit: unit}
	known := g.Panes > 0 && g.P99 > 0
	seen, where := d.self, ""
	if !known {
		seen = d.other
	}
	if st.Kind == ScopeService {
		seen = d.shared
		if !known {
			seen = d.otherShared
		}
		for _, part := range []struct{ name, value string }{{"key", g.Credential}, {"tool", g.Tool}, {"model", g.Model}} {
			if part.value != "" {
				where += ", " + part.name + " " + part.value
			}
		}
	}
	question := d.question(seen, &r, findings, "{scope}", scopeName(st.Kind, st.Scope), "{where}", where,
		"{time}", at, "{metric}", metric, "{pane}", pane, "{usual}", usual)
	if st.Status == Resolved {
		question = over.fill("{title}", d.Title, "{quiet}", "1")
	}
	facts := []Fact{d.headline(&r, findings), maybe("p99", "99th percentile of the subject's active panes", p99, known, unit, g.Panes)}
	for i := range facts {
		facts[i].Window = pane + " from " + at
	}
	return Signal{
		Tenant: c.Tenant, Standing: *st, W: c.At, Title: d.Title, Question: question,
		Evidence: facts, Formula: d.Formula, ConfigVersion: c.ConfigVersion,
	}
}
