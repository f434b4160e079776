package org

import (
	"fmt"
	"time"

	"go.yaml.in/yaml/v3"
)

type policyTeam struct {
	ID        string `yaml:"id"`
	Size      int    `yaml:"size"`
	Connected int    `yaml:"connected"`
}

type policyTarget struct {
	ID          string `yaml:"id"`
	Metric      string `yaml:"metric"`
	Threshold   int64  `yaml:"threshold"`
	Period      string `yaml:"period"`
	AnnouncedAt string `yaml:"announced_at"`
}

type policyContext struct {
	Kind  string `yaml:"kind"`
	Scope string `yaml:"scope"`
	Name  string `yaml:"name"`
	From  string `yaml:"from"`
	To    string `yaml:"to"`
}

type policyFile struct {
	Tenant     string              `yaml:"tenant"`
	Roles      []map[string]string `yaml:"roles"`
	Teams      []policyTeam        `yaml:"teams"`
	Outcomes   []map[string]any    `yaml:"outcomes"`
	Targets    []policyTarget      `yaml:"targets,omitempty"`
	Automation []map[string]string `yaml:"automation"`
	Context    []policyContext     `yaml:"context,omitempty"`
}

// PolicyYAML is what the company declares about itself, for goodhart apply. A
// threshold of 0 is the time before the target is announced.
func (o *Org) PolicyYAML(start time.Time, threshold int64) ([]byte, error) {
	f := policyFile{
		Tenant: o.Tenant,
		Outcomes: []map[string]any{
			{"kind": "pr_merged", "weight": 1000}, {"kind": "ticket_done", "weight": 1000}, {"kind": "deployment_succeeded", "weight": 500},
		},
		Automation: []map[string]string{{"id": "nightly-batch", "credential": KeyUsage, "cron": "0 2 * * *"}},
	}
	for _, role := range roles {
		f.Roles = append(f.Roles, map[string]string{"id": role, "outcomes": "all"})
	}
	date := func(day int) string { return start.AddDate(0, 0, day).Format(time.DateOnly) }
	sizes := map[string]int{}
	for _, p := range o.People {
		if p.Known {
			sizes[p.Memberships[len(p.Memberships)-1].Team]++
		}
		if p.Look == Migration && len(f.Context) == 0 {
			f.Context = append(f.Context, policyContext{Kind: "migration", Scope: "team", Name: o.Migrating, From: date(p.LookFrom), To: date(p.LookTo)})
		}
	}
	for _, team := range o.Teams {
		f.Teams = append(f.Teams, policyTeam{ID: team, Size: max(1, sizes[team]), Connected: 100})
	}
	if o.Target != nil && threshold > 0 {
		f.Targets = append(f.Targets, policyTarget{
			ID: o.Target.ID, Metric: "tokens", Threshold: threshold, Period: "week", AnnouncedAt: date(o.Target.Announced),
		})
	}
	out, err := yaml.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode policy: %w", err)
	}
	return out, nil
}
