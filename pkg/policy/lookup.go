package policy

import (
	"maps"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// index is what the lookups read. Its pointers lead into the policy's lists.
type index struct {
	roles map[string]*Role
	teams map[string]*Team
	// weights are by team; those of "" hold for teams that have none of their own.
	weights    map[string]map[goodhartv1.OutcomeKind]int64
	automation map[Place]*Automation
	context    map[scoped][]*Context
	disputes   map[string]*Dispute
}

type scoped struct {
	scope Scope
	name  string
}

// Place says whose usage something was; what is not known is empty.
type Place struct {
	Team, Tool string
	// Subject is a pseudonym.
	Subject string
	// Credential is the id of an API key.
	Credential string
}

// Default is the policy of a tenant that has declared nothing.
func Default(tenant string) *Policy {
	p := &Policy{
		Tenant: tenant, Roles: []Role{}, Teams: []Team{}, Outcomes: defaultOutcomes(),
		CapPerTicket: defaultCap, Targets: []Target{}, Automation: []Automation{}, Context: []Context{}, Disputes: []Dispute{},
	}
	p.index = newIndex(p)
	return p
}

func newIndex(p *Policy) index {
	x := index{
		roles: map[string]*Role{}, teams: map[string]*Team{}, weights: newWeights(p.Outcomes),
		automation: map[Place]*Automation{}, context: map[scoped][]*Context{}, disputes: map[string]*Dispute{},
	}
	for i := range p.Roles {
		x.roles[p.Roles[i].ID] = &p.Roles[i]
	}
	for i := range p.Teams {
		x.teams[p.Teams[i].ID] = &p.Teams[i]
	}
	for i := range p.Automation {
		a := &p.Automation[i]
		x.automation[Place{Credential: a.Credential, Subject: a.Subject}] = a
	}
	for i := range p.Context {
		c := &p.Context[i]
		at := scoped{c.Scope, c.Name}
		x.context[at] = append(x.context[at], c)
	}
	for i := range p.Disputes {
		x.disputes[p.Disputes[i].Signal] = &p.Disputes[i]
	}
	return x
}

func newWeights(outcomes []Outcome) map[string]map[goodhartv1.OutcomeKind]int64 {
	byName := map[string]goodhartv1.OutcomeKind{}
	for _, k := range kinds() {
		byName[k.name] = k.kind
	}
	all := map[goodhartv1.OutcomeKind]int64{}
	for _, o := range outcomes {
		if o.Team == "" {
			all[byName[o.Kind]] = o.Weight
		}
	}
	byTeam := map[string]map[goodhartv1.OutcomeKind]int64{"": all}
	for _, o := range outcomes {
		if byTeam[o.Team] == nil {
			byTeam[o.Team] = maps.Clone(all)
		}
		byTeam[o.Team][byName[o.Kind]] = o.Weight
	}
	return byTeam
}

// Team returns a declared team.
func (p *Policy) Team(id string) (Team, bool) { return get(p.index.teams, id) }

// Role returns a declared role.
func (p *Policy) Role(id string) (Role, bool) { return get(p.index.roles, id) }

func get[K comparable, V any](m map[K]*V, key K) (V, bool) {
	if v := m[key]; v != nil {
		return *v, true
	}
	var none V
	return none, false
}

// Weights returns what one outcome of a team is worth by kind, thousandths; a
// kind that is absent is worth nothing. The map is the policy's: read it only.
func (p *Policy) Weights(team string) map[goodhartv1.OutcomeKind]int64 {
	if own := p.index.weights[team]; own != nil {
		return own
	}
	return p.index.weights[""]
}

// TargetsAt returns the targets in force at a time, ms, by id.
func (p *Policy) TargetsAt(ms int64) []*Target {
	var in []*Target
	for i := range p.Targets {
		if p.Targets[i].InForce(ms) {
			in = append(in, &p.Targets[i])
		}
	}
	return in
}

// Automated returns the registered automation that a place belongs to: that of
// its credential, else of its subject.
func (p *Policy) Automated(at Place) (Automation, bool) {
	for _, key := range [...]Place{{Credential: at.Credential}, {Subject: at.Subject}} {
		if a, ok := get(p.index.automation, key); ok {
			return a, true
		}
	}
	return Automation{}, false
}

// Covering returns the context events that reach into a time, ms, half open, and
// speak of a place: of the tenant first, then of its team, tool, subject and
// credential, each in the order of the list.
func (p *Policy) Covering(at Place, from, to int64) []*Context {
	var in []*Context
	for _, of := range [...]scoped{
		{ScopeTenant, ""}, {ScopeTeam, at.Team}, {ScopeTool, at.Tool}, {ScopeSubject, at.Subject}, {ScopeCredential, at.Credential},
	} {
		for _, c := range p.index.context[of] {
			if int64(c.From) < to && from < int64(c.To) {
				in = append(in, c)
			}
		}
	}
	return in
}

// Dispute returns what is declared of a signal, whether it still holds or not.
func (p *Policy) Dispute(signal string) (Dispute, bool) { return get(p.index.disputes, signal) }

// Disputed returns the dispute about a signal that holds at a time, ms.
func (p *Policy) Disputed(signal string, ms int64) (Dispute, bool) {
	d, ok := get(p.index.disputes, signal)
	if !ok || ms >= int64(d.Until) {
		return Dispute{}, false
	}
	return d, true
}
