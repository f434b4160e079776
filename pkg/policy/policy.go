// Package policy is what a tenant declares about itself, as `goodhart apply`
// publishes it: sizes of teams, roles, what outcomes are worth, the KPI targets,
// registered automation, context that explains a change, disputes. It speaks of
// teams by id; who belongs to one is the people file's.
//
// A Policy is read from its document, JSON that is valid against policy.v1.json,
// by Parse, which is total: it accepts or returns every problem at once. Its
// lookups are what the folds ask for every record, so they are maps. Document is
// the canonical form: equal policies are equal bytes.
package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Policy is one version of a tenant's declarations. It comes from Parse or
// Default, is immutable and safe for concurrent use.
type Policy struct {
	Tenant string `json:"tenant"`
	// Every list is sorted and without repetition; none is nil.
	Roles []Role `json:"roles"`
	Teams []Team `json:"teams"`
	// Outcomes are what is worth anything; a kind that is not listed is worth
	// nothing.
	Outcomes []Outcome `json:"outcomes"`
	// CapPerTicket is the most that all outcomes of one ticket are worth together,
	// thousandths; 0: there is no cap.
	CapPerTicket int64        `json:"cap_per_ticket"`
	Targets      []Target     `json:"targets"`
	Automation   []Automation `json:"automation"`
	Context      []Context    `json:"context"`
	Disputes     []Dispute    `json:"disputes"`

	index index
}

// Role is a kind of work whose outcomes are compared with each other.
type Role struct {
	// ID is a label, the one of the people file.
	ID string `json:"id"`
	// Outcomes says which of its outcomes are seen.
	Outcomes Visibility `json:"outcomes"`
}

// Visibility is how much of what a role delivers the connected systems see.
type Visibility string

// The visibilities.
const (
	// SeenAll: whatever it delivers counts, with AI or without: its expected curve
	// has an intercept.
	SeenAll Visibility = "all"
	// SeenLinked: only outcomes that are linked to a session count: no intercept.
	SeenLinked Visibility = "linked"
	// SeenNone: nothing that is connected sees them; no efficiency is given.
	SeenNone Visibility = "none"
)

// Team is a team by id.
type Team struct {
	// ID is a label, the one of the people file.
	ID string `json:"id"`
	// Size is how many people it has, whether they use AI or not; at least 1.
	Size int64 `json:"size"`
	// Role is whose curve the team is measured against; empty for a mixed team.
	Role string `json:"role,omitzero"`
	// Connected is the share of the team's systems whose outcomes are connected,
	// percent; nil: unknown.
	Connected *int64 `json:"connected,omitzero"`
}

// Outcome is what one outcome of a kind is worth.
type Outcome struct {
	// Kind is a success of schemas/proto, in lower case: pr_merged.
	Kind string `json:"kind"`
	// Team restricts the weight to a team; empty: all that have none of their own.
	Team string `json:"team,omitzero"`
	// Weight is in thousandths.
	Weight int64 `json:"weight"`
}

// Metric is what a target counts.
type Metric string

// The metrics.
const (
	// Tokens per person and period.
	Tokens Metric = "tokens"
	// Requests per person and period.
	Requests Metric = "requests"
	// WeeklyUse is the share of people who use AI in a week, thousandths.
	WeeklyUse Metric = "weekly_use"
	// Cost per person and period, nano-USD.
	Cost Metric = "cost"
	// Efficiency is the score of each team for seven days, thousandths of an index
	// point: 100000 is what its peers achieve.
	Efficiency Metric = "efficiency"
)

// Period is how often a target is due.
type Period string

// The periods, in UTC.
const (
	Week    Period = "week"
	Month   Period = "month"
	Quarter Period = "quarter"
)

// Target is a KPI target: a number that people are managed by.
type Target struct {
	// ID is a label; it names the target's card.
	ID        string `json:"id"`
	Metric    Metric `json:"metric"`
	Threshold int64  `json:"threshold"`
	Period    Period `json:"period"`
	// AnnouncedAt is the first day on which people knew of it.
	AnnouncedAt Day `json:"announced_at"`
	// WithdrawnAt is the first day on which it was no longer one; 0: it still is.
	WithdrawnAt Day `json:"withdrawn_at,omitzero"`
	// Scope is ScopeTenant or ScopeTeam.
	Scope Scope `json:"scope"`
	// Teams are those it is set for; empty: all.
	Teams []string `json:"teams,omitzero"`
}

// InForce reports whether the target had been announced at a time, ms, and not
// withdrawn.
func (t *Target) InForce(ms int64) bool {
	return int64(t.AnnouncedAt) <= ms && (t.WithdrawnAt == 0 || ms < int64(t.WithdrawnAt))
}

// SetFor reports whether the target is set for a team.
func (t *Target) SetFor(team string) bool {
	return len(t.Teams) == 0 || slices.Contains(t.Teams, team)
}

// Scope is what a declaration speaks of.
type Scope string

// The scopes.
const (
	ScopeTenant Scope = "tenant"
	ScopeTeam   Scope = "team"
	ScopeTool   Scope = "tool"
	// ScopeSubject is a pseudonym.
	ScopeSubject Scope = "subject"
	// ScopeCredential is the id of an API key.
	ScopeCredential Scope = "credential"
)

// Automation is usage that is known to be a machine's. Exactly one of
// Credential and Subject is not empty.
type Automation struct {
	// ID is a label.
	ID string `json:"id"`
	// Credential is the id of the API key it has for itself.
	Credential string `json:"credential,omitzero"`
	// Subject is a pseudonym.
	Subject string `json:"subject,omitzero"`
	// Cron is when it runs, UTC; empty: not said.
	Cron string `json:"cron,omitzero"`
}

// ContextKind is what a context event was.
type ContextKind string

// The kinds of context.
const (
	Migration   ContextKind = "migration"
	OnCall      ContextKind = "on_call"
	Vacation    ContextKind = "vacation"
	Release     ContextKind = "release"
	Incident    ContextKind = "incident"
	ModelChange ContextKind = "model_change"
)

// Context is a declared reason why usage changes for a while.
type Context struct {
	Kind  ContextKind `json:"kind"`
	Scope Scope       `json:"scope"`
	// Name is the member of the scope; empty for ScopeTenant.
	Name string `json:"name,omitzero"`
	// From is the first day, To the day after the last one.
	From Day `json:"from"`
	To   Day `json:"to"`
}

// DisputeState is where a dispute stands.
type DisputeState string

// The states of a dispute.
const (
	// DisputeOpen: somebody objects, nobody has decided.
	DisputeOpen DisputeState = "open"
	// DisputeAccepted: the objection holds; the question is not asked again.
	DisputeAccepted DisputeState = "accepted"
	// DisputeRejected: the signal stands.
	DisputeRejected DisputeState = "rejected"
)

// Dispute is an objection to a signal.
type Dispute struct {
	// Signal is the stable id of the signal.
	Signal string       `json:"signal"`
	State  DisputeState `json:"state"`
	// Until is the first day on which the dispute no longer holds.
	Until Day `json:"until"`
	// Reason is what the person who objects says it was; empty: nothing.
	Reason DisputeReason `json:"reason,omitzero"`
}

// DisputeReason is what was behind a signal, says who disputes it.
type DisputeReason string

// The reasons of a dispute.
const (
	// ReasonAutomation: an automation that may run.
	ReasonAutomation DisputeReason = "automation"
	// ReasonWork: the work asked for it.
	ReasonWork DisputeReason = "work"
	// ReasonTool: the tool did it, or its settings.
	ReasonTool DisputeReason = "tool"
	// ReasonNotMe: it was somebody else's usage.
	ReasonNotMe DisputeReason = "not_me"
	// ReasonFigures: the figures are wrong.
	ReasonFigures DisputeReason = "figures"
	// ReasonOther: none of these.
	ReasonOther DisputeReason = "other"
)

// DisputeReasons lists them.
func DisputeReasons() []DisputeReason {
	return []DisputeReason{ReasonAutomation, ReasonWork, ReasonTool, ReasonNotMe, ReasonFigures, ReasonOther}
}

// Day is a day, as ms of its midnight UTC since the epoch.
type Day int64

// String returns YYYY-MM-DD.
func (d Day) String() string { return time.UnixMilli(int64(d)).UTC().Format(time.DateOnly) }

// MarshalText returns YYYY-MM-DD.
func (d Day) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// MaxDocument is the largest document, bytes. The ledger copies a configuration
// to each of its partitions, and no output of a fold may exceed 512 KiB.
const MaxDocument = 256 << 10

// Document returns the canonical form.
func (p *Policy) Document() []byte {
	document, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("policy: a policy that was parsed does not encode: %v", err))
	}
	return document
}

// WithDisputes returns the policy with other disputes beside its own; of two of
// one signal the new one holds. It is an error if the document becomes too large.
func (p *Policy) WithDisputes(disputes ...Dispute) (*Policy, error) {
	q := *p
	q.Disputes = slices.Clone(disputes)
	for _, d := range p.Disputes {
		if !slices.ContainsFunc(disputes, func(other Dispute) bool { return other.Signal == d.Signal }) {
			q.Disputes = append(q.Disputes, d)
		}
	}
	return Parse(q.Document())
}

// kinds are the outcomes that open a credit in the ledger, by name.
func kinds() []kind {
	return []kind{
		{"pr_merged", goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED},
		{"commit_landed", goodhartv1.OutcomeKind_OUTCOME_KIND_COMMIT_LANDED},
		{"deployment_succeeded", goodhartv1.OutcomeKind_OUTCOME_KIND_DEPLOYMENT_SUCCEEDED},
		{"issue_closed", goodhartv1.OutcomeKind_OUTCOME_KIND_ISSUE_CLOSED},
		{"ticket_done", goodhartv1.OutcomeKind_OUTCOME_KIND_TICKET_DONE},
	}
}

type kind struct {
	name string
	kind goodhartv1.OutcomeKind
}

// defaultOutcomes hold where a document does not say what outcomes are worth.
func defaultOutcomes() []Outcome {
	return []Outcome{{Kind: "issue_closed", Weight: 1000}, {Kind: "pr_merged", Weight: 1000}, {Kind: "ticket_done", Weight: 1000}}
}

// defaultCap lets the outcomes of one ticket be worth as much as three.
const defaultCap = 3000
