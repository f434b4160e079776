package identity

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// File is the people file. Its tags serve YAML; ReadCSV reads the flat form.
type File struct {
	People   []Person  `json:"people" yaml:"people"`
	Services []Service `json:"services,omitempty" yaml:"services"`
	// Repositories may appear by name in ClickHouse; all others as keyed hashes.
	Repositories []Repository `json:"repositories,omitempty" yaml:"repositories"`
}

// Person is a human being with ids in the tools and memberships over time.
type Person struct {
	// ID is stable for ever: the pseudonym is made from it. It never leaves the
	// collector.
	ID string `json:"id" yaml:"id"`
	// Tenant restricts the person to one tenant; empty: all.
	Tenant string `json:"tenant,omitempty" yaml:"tenant"`
	// Role is a label, e.g. developer.
	Role        string       `json:"role,omitempty" yaml:"role"`
	Identities  []RawID      `json:"identities,omitempty" yaml:"identities"`
	Memberships []Membership `json:"memberships,omitempty" yaml:"memberships"`
}

// RawID is an id of a person in some tool.
type RawID struct {
	Kind  Kind   `json:"kind" yaml:"kind"`
	Value string `json:"value" yaml:"value"`
}

// Membership places a person in a team for some days.
type Membership struct {
	// Team is a label.
	Team string `json:"team" yaml:"team"`
	// From is the first day, YYYY-MM-DD, UTC; empty: since ever.
	From string `json:"from,omitempty" yaml:"from"`
	// To is the day after the last one; empty: until further notice.
	To string `json:"to,omitempty" yaml:"to"`
}

// Service is a machine that uses AI under an API key of its own.
type Service struct {
	ID     string `json:"id" yaml:"id"`
	Tenant string `json:"tenant,omitempty" yaml:"tenant"`
	// Team is a label, or empty.
	Team string `json:"team,omitempty" yaml:"team"`
	// Credential is the id of the API key.
	Credential string `json:"credential" yaml:"credential"`
}

// Repository names a repository that may be shown, and its class.
type Repository struct {
	// ID is the repository or project as its source spells it.
	ID     string `json:"id" yaml:"id"`
	Tenant string `json:"tenant,omitempty" yaml:"tenant"`
	// Label is the name to show; empty: its keyed hash.
	Label string `json:"label,omitempty" yaml:"label"`
	// Class is a label, e.g. product or experiment.
	Class string `json:"class,omitempty" yaml:"class"`
}

// Kind is a kind of raw id.
type Kind string

// The kinds of raw ids.
const (
	KindEmail   Kind = "email"
	KindAccount Kind = "account"
	KindLogin   Kind = "login"
	// KindUserID is a tool's id of an installation or user.
	KindUserID Kind = "user_id"
)

// csvColumns is the header of the flat people file.
func csvColumns() []string {
	return []string{"person", "role", "kind", "value", "team", "from", "to"}
}

// ReadCSV reads the flat people file: a header line person,role,kind,value,
// team,from,to (columns in any order, all but person optional), then one line
// per identity or membership; lines of one person add up. Problems of the
// format are returned at once, joined; New checks the content.
func ReadCSV(r io.Reader) (File, error) {
	rd := csv.NewReader(r)
	rd.TrimLeadingSpace = true
	rd.Comment = '#'
	rd.FieldsPerRecord = -1
	rows, err := rd.ReadAll()
	if err != nil {
		return File{}, fmt.Errorf("read people: %w", err)
	}
	if len(rows) == 0 {
		return File{}, errors.New("read people: no header line")
	}
	columns, err := header(rows[0])
	if err != nil {
		return File{}, fmt.Errorf("read people: %w", err)
	}
	var f File
	var errs []error
	index := map[string]int{}
	for i, row := range rows[1:] {
		if len(row) != len(rows[0]) {
			errs = append(errs, fmt.Errorf("read people: row %d: %d fields, want %d", i+2, len(row), len(rows[0])))
			continue
		}
		cell := func(name string) string {
			if at, ok := columns[name]; ok {
				return strings.TrimSpace(row[at])
			}
			return ""
		}
		id := cell("person")
		at, seen := index[id]
		if !seen {
			at = len(f.People)
			index[id] = at
			f.People = append(f.People, Person{ID: id})
		}
		if err := f.People[at].merge(cell); err != nil {
			errs = append(errs, fmt.Errorf("read people: row %d: %w", i+2, err))
		}
	}
	return f, errors.Join(errs...)
}

func header(row []string) (map[string]int, error) {
	columns := map[string]int{}
	for i, name := range row {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if _, twice := columns[name]; twice || !slices.Contains(csvColumns(), name) {
			return nil, fmt.Errorf("column %q: want each of %s at most once", name, strings.Join(csvColumns(), ","))
		}
		columns[name] = i
	}
	if _, ok := columns["person"]; !ok {
		return nil, errors.New("no column person")
	}
	return columns, nil
}

// merge adds one line of the flat file.
func (p *Person) merge(cell func(string) string) error {
	if role := cell("role"); role != "" {
		if p.Role != "" && p.Role != role {
			return errors.New("role: differs from an earlier line of the same person")
		}
		p.Role = role
	}
	if kind, value := cell("kind"), cell("value"); kind != "" || value != "" {
		id := RawID{Kind: Kind(kind), Value: value}
		if !slices.Contains(p.Identities, id) {
			p.Identities = append(p.Identities, id)
		}
	}
	if team := cell("team"); team != "" {
		m := Membership{Team: team, From: cell("from"), To: cell("to")}
		if !slices.Contains(p.Memberships, m) {
			p.Memberships = append(p.Memberships, m)
		}
	} else if cell("from") != "" || cell("to") != "" {
		return errors.New("from, to: without a team")
	}
	return nil
}
