package signal

import "github.com/goodhartlabs/goodhart/pkg/window"

// Context is what a tenant has declared about itself, in force at the time of the
// evaluation. The zero value declares nothing.
type Context struct {
	// Version is that of the configuration; 0 for none.
	Version uint64
	// Teams by id.
	Teams map[string]Team
	// Automation lists what may run by itself.
	Automation []Automation
	// Events explain changes.
	Events []Event
	// Targets are the usage targets, by id.
	Targets []Target
	// Disputes of signals and reviews of them, by signal.
	Disputes []Dispute
}

// Team is what is declared of a team.
type Team struct {
	// Size is how many people it has; 0 if unknown.
	Size int64
	// Connected is the share of its systems whose outcomes are seen, 0..1.
	Connected      float64
	ConnectedKnown bool
}

// Automation is a registered automation; it is named by either field.
type Automation struct{ Subject, Credential string }

// EventKind is what a declared event is.
type EventKind string

// The kinds of event.
const (
	Migration   EventKind = "migration"
	OnCall      EventKind = "on_call"
	Vacation    EventKind = "vacation"
	Release     EventKind = "release"
	Incident    EventKind = "incident"
	ModelChange EventKind = "model_change"
)

// Event is something declared that explains a change. An empty field holds for
// everyone; To is exclusive. Times are ms since the epoch.
type Event struct {
	Kind                            EventKind
	From, To                        int64
	Team, Tool, Subject, Credential string
}

// Metric is what a target counts, per person and period.
type Metric string

// The metrics.
const (
	Tokens   Metric = "tokens"
	Requests Metric = "requests"
	// Cost is in nano-USD.
	Cost Metric = "cost"
	// WeeklyUse is the share of the people of a team or tenant who use anything
	// in a week, 0..1.
	WeeklyUse Metric = "weekly_use"
)

// Period is what a target is counted over, calendar periods in UTC.
type Period string

// The periods.
const (
	Week    Period = "week"
	Month   Period = "month"
	Quarter Period = "quarter"
)

// Target is a usage target. It is in force from AnnouncedAt to WithdrawnAt, 0 for
// never; it is set for Teams, or for everybody if there are none.
type Target struct {
	ID                       string
	Metric                   Metric
	Threshold                float64
	Period                   Period
	AnnouncedAt, WithdrawnAt int64
	Teams                    []string
}

// Dispute is an objection to a signal, or a review of it. A closed one mutes the
// same question until Until, or for eight weeks from the evaluation that sees it.
type Dispute struct {
	Signal string
	Closed bool
	Until  int64
}

// after is how long a week is still under the influence of what ended before it.
func (k EventKind) after() int64 {
	if k == Vacation {
		return window.Week // the return
	}
	return 0
}

// actor is who and where something was done; an empty field is unknown.
type actor struct{ subject, team, tool, credential string }

// covers reports whether the event explains something of an actor between two
// times.
func (e *Event) covers(a actor, from, to int64) bool {
	return e.From < to && from < e.To+e.Kind.after() &&
		(e.Team == "" || e.Team == a.team) &&
		(e.Tool == "" || e.Tool == a.tool) &&
		(e.Subject == "" || e.Subject == a.subject) &&
		(e.Credential == "" || e.Credential == a.credential)
}

// declared returns the kind of the first event that covers an actor between two
// times, among some kinds or, without any, among all; empty for none.
func (c *Context) declared(a actor, from, to int64, kinds ...EventKind) EventKind {
	for i := range c.Events {
		if e := &c.Events[i]; oneOf(e.Kind, kinds) && e.covers(a, from, to) {
			return e.Kind
		}
	}
	return ""
}

func oneOf(k EventKind, kinds []EventKind) bool {
	for _, other := range kinds {
		if k == other {
			return true
		}
	}
	return len(kinds) == 0
}

// registered reports whether a subject or credential may run by itself.
func (c *Context) registered(subject, credential string) bool {
	for _, a := range c.Automation {
		if a.Subject != "" && a.Subject == subject || a.Credential != "" && a.Credential == credential {
			return true
		}
	}
	return false
}

// setFor reports whether the target is set for a team and in force at a time.
func (t *Target) setFor(team string, at int64) bool {
	if at < t.AnnouncedAt || t.WithdrawnAt != 0 && at >= t.WithdrawnAt {
		return false
	}
	for _, name := range t.Teams {
		if name == team {
			return true
		}
	}
	return len(t.Teams) == 0
}
