package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// call runs a command line and returns what it printed.
func call(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), args, &out)
	return out.String(), err
}

// Every command explains itself and succeeds in doing so.
func TestHelp(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		out, err := call(t, args...)
		if err != nil || !strings.HasPrefix(out, "usage: goodhart "+want) {
			t.Errorf("goodhart %s: %v, %q", strings.Join(args, " "), err, out)
		}
	}
	for _, help := range []string{"--help", "-h"} {
		f("<role>", help)
		for _, r := range roles() {
			f(r.name, r.name, help)
		}
		f("simulate plan", "simulate", "plan", help)
		f("simulate send", "simulate", "send", help)
		for _, command := range []string{"list", "show", "replay"} {
			f("dead", "dead", command, help)
		}
	}
	f("<role>")
	f("<role>", "help")
}

// The usage has a line per role, and every role a page.
func TestUsageListsEveryRole(t *testing.T) {
	out, err := call(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range roles() {
		if strings.Count(out, "\n  "+r.name+" ") != 1 || r.help == "" || strings.Contains(r.help, "\n") {
			t.Errorf("no line for %s in\n%s", r.name, out)
		}
		page := r.name + ".md"
		switch r.name {
		case "simulate":
			page = "demo.md"
		case "evaluate":
			page = "evaluation.md"
		}
		if _, err := os.Stat(filepath.Join("../../../docs", page)); err != nil {
			t.Errorf("%s: %v", r.name, err)
		}
		operations, err := os.ReadFile("../../../docs/operations.md")
		if err != nil || !strings.Contains(string(operations), "`"+r.name+"`") {
			t.Errorf("docs/operations.md does not name %s: %v", r.name, err)
		}
	}
}

func TestUnknownRole(t *testing.T) {
	if out, err := call(t, "nonsense"); err == nil || !strings.Contains(err.Error(), `"nonsense"`) || !strings.HasPrefix(out, "usage:") {
		t.Errorf("%v, %q", err, out)
	}
}
