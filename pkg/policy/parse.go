package policy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Parse reads a document. What it lacks takes its default, what it has in excess
// is an error. The error joins every problem, each with its path in the document,
// its value and what is allowed there.
func Parse(document []byte) (*Policy, error) {
	if len(document) > MaxDocument {
		return nil, fmt.Errorf("document: %d bytes: want at most %d", len(document), MaxDocument)
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var tree any
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("document: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("document: more than one JSON value")
	}
	var r reader
	p := r.policy(tree)
	if len(r.problems) > 0 {
		return nil, errors.Join(r.problems...)
	}
	p.sort()
	p.index = newIndex(p)
	return p, nil
}

func (r *reader) policy(tree any) *Policy {
	if _, ok := tree.(map[string]any); !ok {
		r.want("document", tree, "a mapping")
		return nil
	}
	o := r.object("", tree, "tenant", "roles", "teams", "outcomes", "cap_per_ticket", "targets", "automation", "context", "disputes")
	p := &Policy{Tenant: o.label("tenant")}
	p.Roles = each(o, "roles", r.role)
	p.Teams = each(o, "teams", r.team)
	p.Outcomes = each(o, "outcomes", r.outcome)
	if o.fields["outcomes"] == nil {
		p.Outcomes = defaultOutcomes()
	}
	if o.fields["cap_per_ticket"] == nil {
		p.CapPerTicket = defaultCap
	} else {
		p.CapPerTicket, _ = o.whole("cap_per_ticket", true, 0, maxWeight, "thousandths")
	}
	p.Targets = each(o, "targets", r.target)
	p.Automation = each(o, "automation", r.automation)
	p.Context = each(o, "context", r.context)
	p.Disputes = each(o, "disputes", r.dispute)
	r.distinct(p)
	r.declared(p)
	return p
}

// each reads the elements of a list.
func each[T any](o object, key string, read func(path string, v any) T) []T {
	out := []T{}
	for i, v := range o.list(key) {
		out = append(out, read(o.element(key, i), v))
	}
	return out
}

func (r *reader) role(path string, v any) Role {
	o := r.object(path, v, "id", "outcomes")
	return Role{ID: o.label("id"), Outcomes: enum(o, "outcomes", true, SeenAll, SeenLinked, SeenNone)}
}

func (r *reader) team(path string, v any) Team {
	o := r.object(path, v, "id", "size", "role", "connected")
	t := Team{ID: o.label("id"), Role: o.optionalLabel("role")}
	t.Size, _ = o.whole("size", false, 1, 1_000_000, "people")
	if percent, ok := o.whole("connected", true, 0, 100, "percent of the team's systems"); ok {
		t.Connected = &percent
	}
	return t
}

// maxWeight is a thousand outcomes of the usual weight.
const maxWeight = 1_000_000

func (r *reader) outcome(path string, v any) Outcome {
	o := r.object(path, v, "kind", "team", "weight")
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	out := Outcome{Kind: enum(o, "kind", false, names...), Team: o.optionalLabel("team")}
	out.Weight, _ = o.whole("weight", false, 0, maxWeight, "thousandths")
	return out
}

func (r *reader) target(path string, v any) Target {
	o := r.object(path, v, "id", "metric", "threshold", "period", "announced_at", "withdrawn_at", "scope", "teams")
	t := Target{
		ID:          o.label("id"),
		Metric:      enum(o, "metric", false, Tokens, Requests, WeeklyUse, Cost, Efficiency),
		Period:      enum(o, "period", false, Week, Month, Quarter),
		AnnouncedAt: o.day("announced_at", false),
		WithdrawnAt: o.day("withdrawn_at", true),
		Scope:       enum(o, "scope", true, ScopeTenant, ScopeTeam),
	}
	switch t.Metric {
	case Tokens:
		t.Threshold, _ = o.whole("threshold", false, 1, 1e15, "tokens per person and period")
	case Requests:
		t.Threshold, _ = o.whole("threshold", false, 1, 1e9, "requests per person and period")
	case WeeklyUse:
		t.Threshold, _ = o.whole("threshold", false, 1, 1000, "thousandths of the people")
	case Cost:
		t.Threshold, _ = o.whole("threshold", false, 1, 1e18, "nano-USD per person and period")
	case Efficiency:
		t.Threshold, _ = o.whole("threshold", false, 1, 1e6, "thousandths of a point of the score")
	default: // nobody knows the unit
		t.Threshold, _ = o.whole("threshold", false, 1, 1e18, "")
	}
	if t.WithdrawnAt != 0 && t.WithdrawnAt <= t.AnnouncedAt {
		o.want(o.at("withdrawn_at"), o.fields["withdrawn_at"], "a day after announced_at, "+t.AnnouncedAt.String())
	}
	for i, v := range o.list("teams") {
		team, ok := v.(string)
		if !ok || !isLabel(team) {
			r.want(o.element("teams", i), v, wantLabel)
			team = ""
		}
		t.Teams = append(t.Teams, team)
	}
	if t.Metric == Efficiency {
		o.weekOfAll(&t)
	} else if len(t.Teams) > 0 && t.Scope == ScopeTenant {
		o.want(o.at("scope"), string(t.Scope), "team, where teams are named")
	}
	return t
}

// weekOfAll reports what a target on the score cannot have: the card compares the
// teams of the tenant, week by week.
func (o object) weekOfAll(t *Target) {
	if t.Period == Month || t.Period == Quarter {
		o.want(o.at("period"), o.fields["period"], "week, of efficiency")
	}
	if t.Scope == ScopeTeam {
		o.want(o.at("scope"), o.fields["scope"], "tenant, of efficiency")
	}
	if len(t.Teams) > 0 {
		o.problem(o.at("teams"), "want none, of efficiency")
	}
}

func (r *reader) automation(path string, v any) Automation {
	o := r.object(path, v, "id", "credential", "subject", "cron")
	a := Automation{
		ID:         o.label("id"),
		Credential: o.optionalLabel("credential"),
		Subject:    o.text("subject", true, wantPseudonym, isPseudonym),
		Cron:       o.text("cron", true, wantCron, isCron),
	}
	a.Cron = strings.Join(strings.Fields(a.Cron), " ")
	if o.valid() && (o.fields["credential"] == nil) == (o.fields["subject"] == nil) {
		r.problem(path, "want exactly one of credential, subject")
	}
	return a
}

// maxContext is the longest time that a context event may explain: one that
// never ended would explain everything.
const maxContext = 366 * 24 * time.Hour

func (r *reader) context(path string, v any) Context {
	o := r.object(path, v, "kind", "scope", "name", "from", "to")
	c := Context{
		Kind:  enum(o, "kind", false, Migration, OnCall, Vacation, Release, Incident, ModelChange),
		Scope: enum(o, "scope", false, ScopeTenant, ScopeTeam, ScopeTool, ScopeSubject, ScopeCredential),
		From:  o.day("from", false),
		To:    o.day("to", false),
	}
	switch c.Scope {
	case ScopeTenant:
		if o.fields["name"] != nil {
			o.problem(o.at("name"), "%s: want none in the scope tenant", show(o.fields["name"]))
		}
	case ScopeSubject:
		c.Name = o.text("name", false, wantPseudonym, isPseudonym)
	case ScopeTeam, ScopeTool, ScopeCredential:
		c.Name = o.label("name")
	default: // nobody knows what it should be
	}
	if c.From != 0 && c.To != 0 && (c.To <= c.From || c.To-c.From > Day(maxContext.Milliseconds())) {
		o.want(o.at("to"), o.fields["to"], "1 to 366 days after from, "+c.From.String())
	}
	return c
}

func (r *reader) dispute(path string, v any) Dispute {
	o := r.object(path, v, "signal", "state", "until", "reason")
	d := Dispute{
		Signal: o.label("signal"),
		State:  enum(o, "state", false, DisputeOpen, DisputeAccepted, DisputeRejected),
		Until:  o.day("until", false),
	}
	if o.fields["reason"] != nil {
		d.Reason = enum(o, "reason", false, DisputeReasons()...)
	}
	return d
}

// distinct reports what is given twice.
func (r *reader) distinct(p *Policy) {
	unique(r, "roles", p.Roles, Role.key)
	unique(r, "teams", p.Teams, Team.key)
	unique(r, "outcomes", p.Outcomes, Outcome.key)
	unique(r, "targets", p.Targets, Target.key)
	unique(r, "automation", p.Automation, Automation.key)
	unique(r, "automation", p.Automation, Automation.actor)
	unique(r, "context", p.Context, Context.key)
	unique(r, "disputes", p.Disputes, Dispute.key)
	for i, t := range p.Targets {
		unique(r, fmt.Sprintf("targets[%d].teams", i), t.Teams, func(team string) string { return team })
	}
}

func unique[T any](r *reader, list string, elements []T, key func(T) string) {
	seen := map[string]int{}
	for i, e := range elements {
		k := key(e)
		first, twice := seen[k]
		switch {
		case k == "": // it lacks what would tell it from others, which has been reported
		case twice:
			r.problem(fmt.Sprintf("%s[%d]", list, i), "%s: given twice, first at %s[%d]", k, list, first)
		default:
			seen[k] = i
		}
	}
}

// declared reports teams and roles that are spoken of and not declared.
func (r *reader) declared(p *Policy) {
	roles, teams := map[string]bool{"": true}, map[string]bool{"": true}
	for _, role := range p.Roles {
		roles[role.ID] = true
	}
	for _, t := range p.Teams {
		teams[t.ID] = true
	}
	must := func(known map[string]bool, id, list, format string, args ...any) {
		if !known[id] {
			r.want(fmt.Sprintf(format, args...), id, "one of the ids in "+list)
		}
	}
	for i, t := range p.Teams {
		must(roles, t.Role, "roles", "teams[%d].role", i)
	}
	for i, out := range p.Outcomes {
		must(teams, out.Team, "teams", "outcomes[%d].team", i)
	}
	for i, t := range p.Targets {
		for k, team := range t.Teams {
			must(teams, team, "teams", "targets[%d].teams[%d]", i, k)
		}
	}
	for i, c := range p.Context {
		if c.Scope == ScopeTeam {
			must(teams, c.Name, "teams", "context[%d].name", i)
		}
	}
}

// The key of an element tells it from the others of its list and orders it.

func (r Role) key() string       { return r.ID }
func (t Team) key() string       { return t.ID }
func (t Target) key() string     { return t.ID }
func (a Automation) key() string { return a.ID }

// actor is whose usage it is.
func (a Automation) actor() string {
	if a.Credential != "" {
		return "credential " + a.Credential
	}
	return a.Subject
}

func (d Dispute) key() string { return d.Signal }

func (o Outcome) key() string {
	if o.Kind == "" {
		return "" // it has been reported
	}
	return strings.TrimSpace(o.Kind + " " + o.Team)
}

func (c Context) key() string {
	if c.From == 0 || c.To == 0 || c.Kind == "" || c.Scope == "" {
		return "" // it has been reported
	}
	return strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s %s", c.From, c.To, c.Kind, c.Scope, c.Name)), " ")
}

func (p *Policy) sort() {
	sortBy(p.Roles, Role.key)
	sortBy(p.Teams, Team.key)
	sortBy(p.Outcomes, Outcome.key)
	sortBy(p.Targets, Target.key)
	sortBy(p.Automation, Automation.key)
	sortBy(p.Context, Context.key)
	sortBy(p.Disputes, Dispute.key)
	for _, t := range p.Targets {
		slices.Sort(t.Teams)
	}
}

func sortBy[T any](list []T, key func(T) string) {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(key(a), key(b)) })
}
