package identity

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// Directory answers who somebody is. The nil Directory knows nobody.
type Directory struct {
	people       map[scoped]*person // by person id
	ids          map[rawKey]*person
	services     map[scoped]*Service // by credential id
	repositories map[scoped]Repository
}

// scoped is a name within a tenant, or within all if the tenant is empty.
type scoped struct{ tenant, name string }

type rawKey struct {
	tenant string
	kind   Kind
	value  string
}

type person struct {
	id, role    string
	memberships []membership
}

type membership struct {
	team     string
	from, to int64 // ms, half open
}

// New checks f and makes a Directory of it. The error joins every problem, by
// position in the file and without quoting any id of a person.
func New(f File) (*Directory, error) {
	d := &Directory{
		people:       map[scoped]*person{},
		ids:          map[rawKey]*person{},
		services:     map[scoped]*Service{},
		repositories: map[scoped]Repository{},
	}
	var errs []error
	for i, p := range f.People {
		errs = append(errs, d.addPerson(fmt.Sprintf("people[%d]", i), p)...)
	}
	for i := range f.Services {
		errs = append(errs, d.addService(fmt.Sprintf("services[%d]", i), &f.Services[i])...)
	}
	for i, r := range f.Repositories {
		errs = append(errs, d.addRepository(fmt.Sprintf("repositories[%d]", i), r)...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("people file: %w", err)
	}
	return d, nil
}

func (d *Directory) addPerson(at string, p Person) []error {
	var errs []error
	if p.ID == "" {
		errs = append(errs, fmt.Errorf("%s: id: missing", at))
	}
	if _, twice := d.people[scoped{p.Tenant, p.ID}]; twice {
		errs = append(errs, fmt.Errorf("%s: id: given twice", at))
	}
	if err := checkLabel(p.Role); err != nil {
		errs = append(errs, fmt.Errorf("%s: role: %w", at, err))
	}
	entry := &person{id: p.ID, role: p.Role}
	for i, m := range p.Memberships {
		span, err := newMembership(m)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: memberships[%d]: %w", at, i, err))
		}
		entry.memberships = append(entry.memberships, span)
	}
	d.people[scoped{p.Tenant, p.ID}] = entry
	for i, id := range p.Identities {
		key := rawKey{p.Tenant, id.Kind, fold(id.Kind, id.Value)}
		switch id.Kind {
		case KindEmail, KindAccount, KindLogin, KindUserID:
		default:
			errs = append(errs, fmt.Errorf("%s: identities[%d]: kind %q: want email, account, login or user_id", at, i, id.Kind))
		}
		if key.value == "" {
			errs = append(errs, fmt.Errorf("%s: identities[%d]: value: missing", at, i))
		}
		if owner, taken := d.ids[key]; taken && owner != entry {
			errs = append(errs, fmt.Errorf("%s: identities[%d]: belongs to another person already", at, i))
		}
		d.ids[key] = entry
	}
	return errs
}

func newMembership(m Membership) (membership, error) {
	span := membership{team: m.Team, from: math.MinInt64, to: math.MaxInt64}
	if m.Team == "" {
		return span, errors.New("team: missing")
	}
	if err := checkLabel(m.Team); err != nil {
		return span, fmt.Errorf("team: %w", err)
	}
	for _, bound := range []struct {
		name, day string
		at        *int64
	}{{"from", m.From, &span.from}, {"to", m.To, &span.to}} {
		if bound.day == "" {
			continue
		}
		t, err := time.Parse(time.DateOnly, bound.day)
		if err != nil {
			return span, fmt.Errorf("%s: %q: want YYYY-MM-DD", bound.name, bound.day)
		}
		*bound.at = t.UnixMilli()
	}
	if span.to <= span.from {
		return span, fmt.Errorf("to: %s is not after from %s", m.To, m.From)
	}
	return span, nil
}

func (d *Directory) addService(at string, s *Service) []error {
	var errs []error
	if s.ID == "" {
		errs = append(errs, fmt.Errorf("%s: id: missing", at))
	}
	if s.Credential == "" {
		errs = append(errs, fmt.Errorf("%s: credential: missing", at))
	}
	if err := checkLabel(s.Team); err != nil {
		errs = append(errs, fmt.Errorf("%s: team: %w", at, err))
	}
	key := scoped{s.Tenant, s.Credential}
	if _, twice := d.services[key]; twice {
		errs = append(errs, fmt.Errorf("%s: credential: given twice", at))
	}
	d.services[key] = s
	return errs
}

func (d *Directory) addRepository(at string, r Repository) []error {
	var errs []error
	if r.ID == "" {
		errs = append(errs, fmt.Errorf("%s: id: missing", at))
	}
	if err := checkLabel(r.Label); err != nil {
		errs = append(errs, fmt.Errorf("%s: label: %w", at, err))
	}
	if err := checkLabel(r.Class); err != nil {
		errs = append(errs, fmt.Errorf("%s: class: %w", at, err))
	}
	key := scoped{r.Tenant, r.ID}
	if _, twice := d.repositories[key]; twice {
		errs = append(errs, fmt.Errorf("%s: id: given twice", at))
	}
	d.repositories[key] = r
	return errs
}

// checkLabel accepts the empty string and what may appear in ClickHouse.
func checkLabel(s string) error {
	if len(s) > 128 {
		return errors.New("want at most 128 characters")
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("._:/-", rune(c)) {
			return errors.New("want only A-Z a-z 0-9 . _ : / -")
		}
	}
	return nil
}

// fold spells an id the way it is compared: e-mail addresses and logins do not
// depend on case.
func fold(kind Kind, value string) string {
	value = strings.TrimSpace(value)
	if kind == KindEmail || kind == KindLogin {
		return strings.ToLower(value)
	}
	return value
}

// Repository returns the label and class that the people file gives a
// repository; both may be empty.
func (d *Directory) Repository(tenant, id string) (label, class string) {
	if d == nil || id == "" {
		return "", ""
	}
	r, ok := d.repositories[scoped{tenant, id}]
	if !ok {
		r = d.repositories[scoped{"", id}]
	}
	return r.Label, r.Class
}

// person finds a person by id.
func (d *Directory) person(tenant, id string) *person {
	if d == nil || id == "" {
		return nil
	}
	if p, ok := d.people[scoped{tenant, id}]; ok {
		return p
	}
	return d.people[scoped{"", id}]
}

// byID finds a person by a raw id in folded spelling.
func (d *Directory) byID(tenant string, kind Kind, value string) *person {
	if d == nil || value == "" {
		return nil
	}
	if p, ok := d.ids[rawKey{tenant, kind, value}]; ok {
		return p
	}
	return d.ids[rawKey{"", kind, value}]
}

func (d *Directory) service(tenant, credential string) *Service {
	if d == nil {
		return nil
	}
	if s, ok := d.services[scoped{tenant, credential}]; ok {
		return s
	}
	return d.services[scoped{"", credential}]
}

// team returns the team at a time: the declared one if the person belongs to
// it, else the first membership in force.
func (p *person) team(at int64, declared string) string {
	first := ""
	for _, m := range p.memberships {
		if at < m.from || at >= m.to {
			continue
		}
		if m.team == declared {
			return declared
		}
		if first == "" {
			first = m.team
		}
	}
	return first
}
