package organisation

import (
	"crypto/sha256"
	"fmt"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/identity"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Names of the API keys with which the organisation reports.
const (
	KeyFleet    = "fleet"
	KeyDelivery = "delivery"
)

// TenantKey is the HMAC key of the organisation's tenant, which a collector
// must have for the same pseudonyms.
func (o *Organisation) TenantKey() []byte {
	sum := sha256.Sum256([]byte("organisation " + o.Config.Tenant))
	return sum[:]
}

// PeopleFile is the collector's people file.
func (o *Organisation) PeopleFile() identity.File {
	var f identity.File
	for _, p := range o.People {
		entry := identity.Person{
			ID: p.ID, Role: p.Role, Identities: []identity.RawID{{Kind: identity.KindEmail, Value: p.Email}},
		}
		for i, s := range p.teams {
			m := identity.Membership{Team: o.Teams[s.team].Name}
			if i > 0 {
				m.From = o.date(s.from, 0).Format("2006-01-02")
			}
			if i+1 < len(p.teams) {
				m.To = o.date(p.teams[i+1].from, 0).Format("2006-01-02")
			}
			entry.Memberships = append(entry.Memberships, m)
		}
		f.People = append(f.People, entry)
	}
	for _, s := range o.services {
		f.Services = append(f.Services, identity.Service{ID: s.id, Team: o.Teams[s.team].Name, Credential: s.credential.ID})
	}
	f.Repositories = []identity.Repository{{ID: monorepo, Label: monorepo}}
	for _, t := range o.Teams {
		for n := range repositories {
			name := repositoryOf(t.Index, n)
			f.Repositories = append(f.Repositories, identity.Repository{ID: name, Label: name})
		}
	}
	return f
}

// Credentials are the API keys: shared ones, and one for each service.
func (o *Organisation) Credentials() []event.Credential {
	keys := []event.Credential{o.fleet, o.delivery}
	for _, s := range o.services {
		keys = append(keys, s.credential)
	}
	return keys
}

// makeIdentities reads the people file as a collector does, and learns
// everybody's pseudonym.
func (o *Organisation) makeIdentities() error {
	billable := goodhartv1.Accounting_ACCOUNTING_BILLABLE
	o.fleet = event.Credential{ID: KeyFleet, Tenant: o.Config.Tenant, Accounting: billable}
	o.delivery = event.Credential{ID: KeyDelivery, Tenant: o.Config.Tenant, Accounting: billable}
	people, err := identity.New(o.PeopleFile())
	if err != nil {
		return err
	}
	o.people = people
	o.stamper = event.NewStamper(event.Keyring{o.Config.Tenant: o.TenantKey()}, o.prices, people)
	for _, p := range o.People {
		r := o.blank()
		r.draft = event.Draft{Event: &r.event, Natural: []string{p.ID}, Actor: event.Actor{Email: p.Email}}
		r.event.TimeMs = o.start
		o.stamp(r, &o.fleet)
		p.Subject = r.event.Subject
		o.takeBack(r)
	}
	return nil
}

const (
	// repositories of a team.
	repositories = 3
	monorepo     = "acme/everything"
)

func repositoryOf(team, n int) string { return fmt.Sprintf("acme/team-%02d-%d", team+1, n+1) }
