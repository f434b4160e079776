package apply

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/services/config"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The example is good, and shows every key that there is.
func TestExample(t *testing.T) {
	p, err := readPolicy("policy.example.yaml", "")
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(p.Document(), &tree); err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for key, v := range tree {
		shown[key] = true
		elements, _ := v.([]any)
		for _, e := range elements {
			fields, _ := e.(map[string]any)
			for name := range fields {
				shown[key+"[]."+name] = true
			}
		}
	}
	raw, err := os.ReadFile("../../schemas/jsonschema/policy.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	type properties map[string]struct {
		Items struct{ Properties map[string]any }
	}
	var schema struct{ Properties properties }
	if err := json.Unmarshal(raw, &schema); err != nil {
		t.Fatal(err)
	}
	for key, list := range schema.Properties {
		if !shown[key] {
			t.Errorf("the example does not show %s", key)
		}
		for name := range list.Items.Properties {
			if path := key + "[]." + name; !shown[path] && path != "automation[].subject" { // one of three is enough
				t.Errorf("the example does not show %s", path)
			}
		}
	}
	if target := p.Targets[1]; target.Threshold != 100_000_000 || target.WithdrawnAt.String() != "2026-10-01" {
		t.Errorf("%+v", target)
	}
}

func TestConfigExample(t *testing.T) {
	got := Default()
	if err := config.Load("config.example.yaml", &got, func(string) (string, bool) { return "", false }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default().Kafka, got.Kafka); diff != "" {
		t.Errorf("(-default +example)\n%s", diff)
	}
}

// What the file says comes with every problem at once, whatever kind it is of.
func TestFileProblems(t *testing.T) {
	f := func(text, tenant string, want ...string) {
		t.Helper()
		_, err := readPolicy(write(t, text), tenant)
		if err == nil {
			t.Errorf("%q: accepted", text)
			return
		}
		lines := strings.Split(err.Error(), "\n")
		for _, w := range want {
			found := false
			for _, line := range lines {
				found = found || strings.HasSuffix(line, w)
			}
			if !found {
				t.Errorf("%q: no line %q in\n%v", text, w, err)
			}
		}
	}
	const label = "want 1 to 128 of A-Z a-z 0-9 . _ : / -"
	f("", "", "document: missing: want a mapping")
	f("# nothing\n", "acme", "document: missing: want a mapping")
	f("- a\n", "", "document: a list: want a mapping")
	f("tenant: a\nteams: [\n", "", "did not find expected node content")
	f("tenant: a\ntenant: b\n", "", `mapping key "tenant" already defined at line 1`)
	f("tenant: a\n---\ntenant: b\n", "", "more than one YAML document")
	f("teams:\n- {id: 42, size: 3.5}\n- {id: x, sise: .nan}\n1: 2\n", "",
		"tenant: missing: "+label,
		"1: unknown key: want one of tenant, roles, teams, outcomes, cap_per_ticket, targets, automation, context, disputes",
		"teams[0].id: 42: "+label+", in quotes",
		"teams[0].size: 3.5: want a whole number 1..1000000, people",
		"teams[1].sise: unknown key: want one of id, size, role, connected",
		"teams[1].size: missing: want a whole number 1..1000000, people")
	f("tenant: a\nteams:\n- {id: x, size: .inf}\n", "", `teams[0].size: "+Inf": want a whole number 1..1000000, people`)
	f("tenant: a\ndisputes:\n- {signal: s, state: open, until: 2026-10-01T08:00:00Z}\n", "",
		`disputes[0].until: "2026-10-01T08:00:00Z": want a day 2000-01-01..2099-12-31, YYYY-MM-DD`)
	f("tenant: acme\n", "beta", "tenant: acme: want beta, as --tenant says")
	many := func(roles int) string {
		text := []byte("tenant: a\nroles:\n")
		for i := range roles {
			text = fmt.Appendf(text, "- id: role-%d\n", i)
		}
		return string(text)
	}
	f(many(20_000), "", "want at most 262144")
	f(many(9_000), "", "bytes as a document: want at most 262144") // with the defaults written out
}

func TestTenantOfTheFlag(t *testing.T) {
	for _, text := range []string{"teams: [{id: x, size: 3}]\n", "tenant: acme\nteams: [{id: x, size: 3}]\n"} {
		p, err := readPolicy(write(t, text), "acme")
		if err != nil || p.Tenant != "acme" || len(p.Teams) != 1 {
			t.Errorf("%q: %+v, %v", text, p, err)
		}
	}
}

func TestArgs(t *testing.T) {
	none := func(string) (string, bool) { return "", false }
	good := write(t, "tenant: acme\n")
	c, err := ParseArgs([]string{good, "--diff", "--tenant", "acme"}, nil, none)
	if err != nil || c.File != good || !c.Diff || c.Tenant != "acme" {
		t.Errorf("%+v, %v", c, err)
	}
	f := func(want string, args ...string) {
		t.Helper()
		var out bytes.Buffer
		if _, err := ParseArgs(args, &out, none); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", args, err, want)
		}
	}
	f("want the name of a policy file")
	f("one tenant a file", good, "--diff", good)
	f(ErrChecked.Error(), "--check-config", good)
	f("tenant: acme: want beta", "--check-config", "--tenant", "beta", good)
	f("kafka.brokers", "--config", write(t, "kafka: {brokers: []}\n"), good)
	f("not found", "--config", write(t, "kafak: {}\n"), good)
}

// The same declarations are the same document, however they are written.
func TestOrderDoesNotMatter(t *testing.T) {
	a, errA := readPolicy(write(t, "tenant: a\nteams: [{id: x, size: 1}, {size: 2, id: y}]\n"), "")
	b, errB := readPolicy(write(t, "teams:\n- size: 2\n  id: y\n- id: x\n  size: 0x1\ntenant: a\ncap_per_ticket: 3000\n"), "")
	if errA != nil || errB != nil || !bytes.Equal(a.Document(), b.Document()) || len(policy.Diff(a, b)) != 0 {
		t.Errorf("%s, %v\n%s, %v", a.Document(), errA, b.Document(), errB)
	}
}
