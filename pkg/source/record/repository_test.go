package record

import (
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Whatever a client has, what remains is what the people file calls it.
func TestRepositoriesAreSpelledAlike(t *testing.T) {
	for _, url := range []string{
		"https://git.example/acme/api", "https://git.example/acme/api.git", "http://Git.Example/acme/api/", "git@git.example:acme/api.git",
		"ssh://git@git.example/acme/api.git", "https://ada:secret@git.example/acme/api?token=x#y", "git.example/acme/api", "git.example:acme/api",
	} {
		r := Repository{url: url, name: "other"}
		if got := r.ID(); got != "git.example/acme/api" {
			t.Errorf("%s: %q", url, got)
		}
	}
	for want, r := range map[string]Repository{
		"": {}, "api": {name: "api"}, "acme/api": {owner: "acme", name: "api"}, "acme/web": {owner: "acme", name: "acme/web"},
	} {
		if got := r.ID(); got != want {
			t.Errorf("%+v: %q: want %q", r, got, want)
		}
	}
	o := NewOrigin(pcommon.NewMap(), 0)
	o.Repository.Read("vcs.repository.name", pcommon.NewValueStr("api"))
	of := o.Repository // a record adds to what its resource says, and leaves that alone
	of.Read("vcs.owner.name", pcommon.NewValueStr("acme"))
	if of.ID() != "acme/api" || o.Repository.ID() != "api" {
		t.Errorf("record %q, resource %q", of.ID(), o.Repository.ID())
	}
}

func TestToolsAreKnownByName(t *testing.T) {
	for tool, want := range map[string]struct {
		ok    bool
		n     int
		known bool
	}{
		"Edit": {true, 1, true}, "Write": {false, 0, true}, "mcp__github__create_pull_request": {true, 1, true}, "apply_patch": {true, 1, true},
		"Read": {true, 0, true}, "Grep": {false, 0, true}, "Bash": {true, 0, false}, "": {true, 0, false}, "mcp__vault__rotate": {true, 0, false},
	} {
		if n, known := Actions(tool, want.ok); n != want.n || known != want.known {
			t.Errorf("%q, ok %v: %d, known %v: want %d, %v", tool, want.ok, n, known, want.n, want.known)
		}
	}
}
