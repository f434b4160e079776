package evaluate

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
)

// Ids of the two targets that the organisation announces.
const (
	targetTokens   = "weekly-tokens"
	targetAdoption = "weekly-use"
)

// startOf is the Monday on which an organisation's period begins, ms.
func startOf(c *organisation.Config) int64 {
	start, _ := time.Parse(time.DateOnly, c.Start) // it was validated
	return start.UnixMilli()
}

// declare is the configuration that the organisation's administrators apply
// before the period begins: their targets, and of what happens to people and teams
// the part that somebody declared.
func declare(o *organisation.Organisation) (*goodhartv1.Event, error) {
	c := &o.Config
	day := func(week int) policy.Day { return policy.Day(startOf(c) + int64(week)*window.Week) }
	all := int64(100)
	p := policy.Policy{
		Tenant: c.Tenant, Roles: []policy.Role{}, Automation: []policy.Automation{}, Context: []policy.Context{}, Disputes: []policy.Dispute{},
		Outcomes: []policy.Outcome{{Kind: "deployment_succeeded", Weight: 1000}, {Kind: "pr_merged", Weight: 1000}, {Kind: "ticket_done", Weight: 1000}},
		Targets: []policy.Target{
			{
				ID: targetTokens, Metric: policy.Tokens, Threshold: int64(c.Target.WeeklyTokens), Period: policy.Week,
				AnnouncedAt: day(c.AnnouncedWeek), Scope: policy.ScopeTenant,
			},
			{
				ID: targetAdoption, Metric: policy.WeeklyUse, Threshold: int64(1000 * c.Target.WeeklyAdoption), Period: policy.Week,
				AnnouncedAt: day(c.AnnouncedWeek), Scope: policy.ScopeTenant,
			},
		},
	}
	for _, r := range c.Roles {
		p.Roles = append(p.Roles, policy.Role{ID: r.Name, Outcomes: policy.SeenAll})
	}
	sizes := make([]int64, len(o.Teams))
	for _, person := range o.People {
		sizes[person.Team(c.AnnouncedWeek)]++
	}
	for i, t := range o.Teams {
		p.Teams = append(p.Teams, policy.Team{ID: t.Name, Size: max(1, sizes[i]), Connected: &all})
	}
	for _, known := range o.Contexts() {
		if !known.Declared {
			continue
		}
		declareContext(&p, &known, o, day)
	}
	document, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode policy: %w", err)
	}
	if _, err := policy.Parse(document); err != nil {
		return nil, fmt.Errorf("policy of the organisation: %w", err)
	}
	id := sha256.Sum256(document)
	return &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_CONFIG, Tenant: c.Tenant, Source: "apply", EventId: id[:event.IDSize],
		SchemaVersion: event.SchemaVersion, Config: &goodhartv1.Config{Version: 1, Document: document},
	}, nil
}

// declareContext adds one thing that somebody declared.
func declareContext(p *policy.Policy, known *organisation.Context, o *organisation.Organisation, day func(int) policy.Day) {
	if known.Kind == "automation" {
		a := policy.Automation{ID: fmt.Sprint("automation-", len(p.Automation)+1)}
		if known.Person >= 0 {
			a.Subject = o.People[known.Person].Subject
		} else {
			a.Credential = "key-" + known.Service
		}
		p.Automation = append(p.Automation, a)
		return
	}
	c := policy.Context{Kind: policy.ContextKind(known.Kind), Scope: policy.ScopeTeam, From: day(known.From), To: day(known.To)}
	if known.Person >= 0 {
		c.Scope, c.Name = policy.ScopeSubject, o.People[known.Person].Subject
	} else {
		c.Name = o.Teams[known.Team].Name
	}
	if !slices.Contains(p.Context, c) { // two absences can fall into one week
		p.Context = append(p.Context, c)
	}
}
