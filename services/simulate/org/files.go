package org

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

type identityEntry struct {
	Kind  string `yaml:"kind"`
	Value string `yaml:"value"`
}

type membershipEntry struct {
	Team string `yaml:"team"`
	From string `yaml:"from"`
	To   string `yaml:"to,omitempty"`
}

type personEntry struct {
	ID          string            `yaml:"id"`
	Role        string            `yaml:"role"`
	Identities  []identityEntry   `yaml:"identities"`
	Memberships []membershipEntry `yaml:"memberships"`
}

type serviceEntry struct {
	ID         string `yaml:"id"`
	Team       string `yaml:"team"`
	Credential string `yaml:"credential"`
}

type peopleFile struct {
	People   []personEntry  `yaml:"people"`
	Services []serviceEntry `yaml:"services"`
}

type keyEntry struct {
	ID         string `yaml:"id"`
	SHA256     string `yaml:"sha256"`
	Tenant     string `yaml:"tenant"`
	Accounting string `yaml:"accounting"`
	Service    bool   `yaml:"service,omitempty"`
}

type keysFile struct {
	Keys []keyEntry `yaml:"keys"`
}

// PeopleYAML is the people file of the collector: everybody who is known, with
// identities and dated memberships.
func (o *Org) PeopleYAML() ([]byte, error) {
	var f peopleFile
	for _, p := range o.People {
		if p.Known {
			f.People = append(f.People, p.entry())
		}
	}
	for _, s := range o.Services {
		f.Services = append(f.Services, serviceEntry{ID: s.ID, Team: s.Team, Credential: s.Key})
	}
	out, err := yaml.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode people file: %w", err)
	}
	return out, nil
}

func (p *Person) entry() personEntry {
	e := personEntry{ID: p.ID, Role: p.Role, Identities: []identityEntry{{Kind: "login", Value: p.Login}}}
	if p.ListsEmail {
		e.Identities = append(e.Identities, identityEntry{Kind: "email", Value: p.Email})
	}
	if p.ListsAccount {
		e.Identities = append(e.Identities, identityEntry{Kind: "account", Value: p.Account})
	}
	if p.ListsInstall {
		e.Identities = append(e.Identities, identityEntry{Kind: "user_id", Value: p.Install})
	}
	for _, m := range p.Memberships {
		entry := membershipEntry{Team: m.Team, From: m.From.Format("2006-01-02")}
		if !m.To.IsZero() {
			entry.To = m.To.Format("2006-01-02")
		}
		e.Memberships = append(e.Memberships, entry)
	}
	return e
}

// KeysYAML is the keys file of the collector: hashes, no secrets.
func (o *Org) KeysYAML() ([]byte, error) {
	var f keysFile
	for _, k := range o.Keys {
		sum := sha256.Sum256([]byte(k.Secret))
		f.Keys = append(f.Keys, keyEntry{
			ID: k.ID, SHA256: hex.EncodeToString(sum[:]), Tenant: o.Tenant,
			Accounting: k.Accounting, Service: k.Service,
		})
	}
	out, err := yaml.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("encode keys file: %w", err)
	}
	return out, nil
}

// SecretsJSON maps the id of each key to its secret.
func (o *Org) SecretsJSON() ([]byte, error) {
	secrets := make(map[string]string, len(o.Keys))
	for _, k := range o.Keys {
		secrets[k.ID] = k.Secret
	}
	out, err := json.MarshalIndent(secrets, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode secrets: %w", err)
	}
	return append(out, '\n'), nil
}
