package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Change is one difference between two policies.
type Change struct {
	// Path names what differs: teams[payments].size, or teams[payments] where the
	// whole element was added or removed.
	Path string
	// Old and New are JSON; Old is empty for what is new, New for what is gone.
	Old, New string
}

// String returns the change as a line: +, - or ~, then the path and the value.
func (c Change) String() string {
	switch {
	case c.Old == "":
		return fmt.Sprintf("+ %s: %s", c.Path, c.New)
	case c.New == "":
		return fmt.Sprintf("- %s: %s", c.Path, c.Old)
	default:
		return fmt.Sprintf("~ %s: %s → %s", c.Path, c.Old, c.New)
	}
}

// Diff returns what it takes to come from one policy to another, in the order of
// the document; what is gone stands after what is left of its list.
func Diff(from, to *Policy) []Change {
	changes := compare(nil, "tenant", value(from.Tenant), value(to.Tenant))
	changes = compareLists(changes, "roles", from.Roles, to.Roles, Role.key)
	changes = compareLists(changes, "teams", from.Teams, to.Teams, Team.key)
	changes = compareLists(changes, "outcomes", from.Outcomes, to.Outcomes, Outcome.key)
	changes = compare(changes, "cap_per_ticket", value(from.CapPerTicket), value(to.CapPerTicket))
	changes = compareLists(changes, "targets", from.Targets, to.Targets, Target.key)
	changes = compareLists(changes, "automation", from.Automation, to.Automation, Automation.key)
	changes = compareLists(changes, "context", from.Context, to.Context, Context.key)
	return compareLists(changes, "disputes", from.Disputes, to.Disputes, Dispute.key)
}

func value(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("policy: %T does not encode: %v", v, err))
	}
	return string(b)
}

func compare(changes []Change, path, from, to string) []Change {
	if from == to {
		return changes
	}
	return append(changes, Change{Path: path, Old: from, New: to})
}

func compareLists[T any](changes []Change, list string, from, to []T, key func(T) string) []Change {
	old := map[string]T{}
	for _, e := range from {
		old[key(e)] = e
	}
	for _, e := range to {
		k := key(e)
		path := list + "[" + k + "]"
		before, known := old[k]
		if !known {
			changes = append(changes, Change{Path: path, New: brief(e)})
			continue
		}
		delete(old, k)
		changes = compareFields(changes, path, fields(before), fields(e))
	}
	for _, e := range from {
		if _, gone := old[key(e)]; gone {
			changes = append(changes, Change{Path: list + "[" + key(e) + "]", Old: brief(e)})
		}
	}
	return changes
}

func compareFields(changes []Change, path string, from, to []field) []Change {
	old := map[string]string{}
	for _, f := range from {
		old[f.name] = f.value
	}
	for _, f := range to {
		changes = compare(changes, path+"."+f.name, old[f.name], f.value)
		delete(old, f.name)
	}
	for _, f := range from {
		changes = compare(changes, path+"."+f.name, old[f.name], "")
	}
	return changes
}

type field struct{ name, value string }

// fields returns the fields of an element, in the order of the document.
func fields(element any) []field {
	decoder := json.NewDecoder(bytes.NewReader([]byte(value(element))))
	_, _ = decoder.Token() // the opening brace
	var out []field
	for decoder.More() {
		name, _ := decoder.Token()
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			panic(fmt.Sprintf("policy: %T is no object: %v", element, err))
		}
		out = append(out, field{fmt.Sprint(name), string(raw)})
	}
	return out
}

// brief is an element in a line: its fields without quotes.
func brief(element any) string {
	var parts []string
	for _, f := range fields(element) {
		parts = append(parts, f.name+" "+strings.ReplaceAll(f.value, `"`, ""))
	}
	return strings.Join(parts, ", ")
}
