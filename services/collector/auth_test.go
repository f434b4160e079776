package collector

import (
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/goodhartlabs/goodhart/pkg/event"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

func chain(t *testing.T, file string) (*keychain, error) {
	t.Helper()
	var f keyFile
	if err := yaml.Unmarshal([]byte(file), &f); err != nil {
		t.Fatal(err)
	}
	return newKeychain(f, event.Keyring{testTenant: make([]byte, 32)})
}

func TestAuthenticate(t *testing.T) {
	k, err := chain(t, keysYAML(keyYAML("one", "s1", ""), keyYAML("two", "s2", ", accounting: observational, counts_alone: [], person: ada")))
	if err != nil {
		t.Fatal(err)
	}
	f := func(header, want string) {
		t.Helper()
		cred, ref := k.authenticate(header)
		switch {
		case want == "" && (ref == nil || ref.reason != reasonUnauthenticated || cred != nil):
			t.Errorf("%q: %v, %+v, want a refusal", header, cred, ref)
		case want != "" && (ref != nil || cred.ID != want):
			t.Errorf("%q: %v, %+v, want %s", header, cred, ref, want)
		}
	}
	f("Bearer s1", "one")
	f("bearer  s2 ", "two")
	f("", "")
	f("Bearer", "")
	f("Bearer ", "")
	f("Bearer s3", "")
	f("Basic s1", "")
	f("s1", "")
	f("Bearer "+strings.Repeat("x", 1<<16), "")

	one, _ := k.authenticate("Bearer s1")
	if one.Accounting != goodhartv1.Accounting_ACCOUNTING_BILLABLE || !slices.Equal(one.CountsAlone, []goodhartv1.Signal{goodhartv1.Signal_SIGNAL_SPAN}) {
		t.Errorf("defaults: %+v", one.Credential)
	}
	two, _ := k.authenticate("Bearer s2")
	if two.Accounting != goodhartv1.Accounting_ACCOUNTING_OBSERVATIONAL || len(two.CountsAlone) != 0 || two.Person != "ada" {
		t.Errorf("stated: %+v", two.Credential)
	}
}

func TestBadKeyFiles(t *testing.T) {
	f := func(file, problem string) {
		t.Helper()
		if _, err := chain(t, file); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("error %v, want %q", err, problem)
		}
	}
	f("keys: []", "at least one")
	f(keysYAML(keyYAML("a", "s1", ""), keyYAML("a", "s2", "")), `keys[1].id: "a" is given twice`)
	f(keysYAML(keyYAML("a", "s1", ""), keyYAML("b", "s1", "")), "keys[1].sha256: the secret is given twice")
	f(keysYAML(keyYAML("a", "s1", ", accounting: free")), `keys[0]: accounting: "free"`)
	f(keysYAML(keyYAML("a", "s1", ", counts_alone: [smoke]")), `counts_alone: "smoke"`)
	f(keysYAML(keyYAML("a", "s1", ", person: ada, service: true")), "service:")
	f("keys: [{id: a, sha256: beef, tenant: acme}]", "sha256: not 64 hex digits")
	f("keys: [{id: 'a b', sha256: beef, tenant: acme}]", `id: "a b"`)
	f(strings.ReplaceAll(keysYAML(keyYAML("a", "s1", "")), testTenant, "other"), `keyring has no key for "other"`)
}
