package collector

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestReloadBetweenRequestAndItsSecondSending: people and prices change, ids,
// keys and partitions do not.
func TestReloadBetweenRequestAndItsSecondSending(t *testing.T) {
	r := start(t, func(c *Config) {
		c.Prices = filepath.Join(filepath.Dir(c.Keys), "prices.yaml")
		writeFile(t, c.Prices, pricesYAML("3"))
	})
	body := logsProto(t, session("s-reload", 3, nil))
	send := func() []stored {
		accepted(t, r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(body)}))
		return r.events()
	}
	first := send()
	before := r.s.library.current.Load()
	writeFile(t, r.s.cfg.People, strings.NewReplacer("id: ada", "id: grace", "team: compilers", "team: navy").Replace(peopleYAML))
	writeFile(t, r.s.cfg.Prices, pricesYAML("30"))
	waitFor(t, "the reload", func() bool { return r.s.library.current.Load() != before })
	waitFor(t, "both files", func() bool { return equal(r.s.library.current.Load().seen, fingerprints(r.s.cfg)) })
	all := send()
	if len(first) != 3 || len(all) != 6 {
		t.Fatalf("%d and %d events, want 3 and 6", len(first), len(all))
	}
	if diff := cmp.Diff(names(append(first, first...)), names(all)); diff != "" {
		t.Errorf("ids, keys and partitions (-before twice +after):\n%s", diff)
	}
	teams, costs := map[string]int{}, map[string]int64{}
	for _, e := range all {
		teams[e.Team]++
		costs[e.Team] += e.Usage.GetCostNanos()
	}
	if teams["compilers"] != 3 || teams["navy"] != 3 || costs["compilers"] >= costs["navy"] {
		t.Errorf("the reload changed nothing: teams %v, costs %v", teams, costs)
	}
}

func pricesYAML(input string) string {
	return `version: test
models:
  - name: claude-sonnet-4-5
    periods:
      - from: "2020-01-01"
        source: a test
        tiers: {standard: {input: ` + input + `, output: 15, cache_read: 0.3, cache_write_5m: 3.75, cache_write_1h: 6}}
`
}

func TestBadFileKeepsTheOldOne(t *testing.T) {
	r := start(t, nil)
	failed := func() float64 { return testutil.ToFloat64(r.s.metrics.reloads.WithLabelValues("failed")) }
	f := func(path, good, bad string) {
		t.Helper()
		before, count := r.s.library.current.Load(), failed()
		writeFile(t, path, bad)
		waitFor(t, "the failure", func() bool { return failed() > count })
		if r.s.library.current.Load() != before {
			t.Errorf("%s: a bad file took effect", path)
		}
		accepted(t, r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(logsProto(t, session("s", 1, nil)))}))
		writeFile(t, path, good)
		waitFor(t, "the good file", func() bool { return r.s.library.current.Load() != before })
	}
	keys, err := os.ReadFile(r.s.cfg.Keys)
	if err != nil {
		t.Fatal(err)
	}
	f(r.s.cfg.Keys, string(keys), "keys: [{id: half")
	f(r.s.cfg.Keys, string(keys), "keys: []")
	f(r.s.cfg.Keys, string(keys), "clefs: []")
	f(r.s.cfg.People, peopleYAML, "people: [{id: ada, memberships: [{team: 'a team'}]}]")
}

func TestNewKeyWithoutRestart(t *testing.T) {
	r := start(t, nil)
	ask := func() int {
		return r.post(call{path: "/v1/logs", contentType: typeProtobuf, secret: "Bearer fresh", body: bytes.NewReader(nil)}).code
	}
	if code := ask(); code != 401 {
		t.Fatalf("status %d before the key exists", code)
	}
	writeFile(t, r.s.cfg.Keys, keysYAML(keyYAML("fresh", "fresh", "")))
	waitFor(t, "the key", func() bool { return ask() == 200 })
	if code := r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(nil)}).code; code != 401 {
		t.Errorf("status %d for a key that was taken away", code)
	}
}

func TestKeyringFile(t *testing.T) {
	ring := func(key string) string { return testTenant + ": " + strings.Repeat(key, 32) + "\n" }
	r := start(t, func(c *Config) {
		c.Keyring, c.KeyringFile = nil, filepath.Join(filepath.Dir(c.Keys), "ring.yaml")
		writeFile(t, c.KeyringFile, ring("5a"))
	})
	cfg := r.s.cfg
	before := r.s.library.current.Load()
	failed := func() float64 { return testutil.ToFloat64(r.s.metrics.reloads.WithLabelValues("failed")) }
	writeFile(t, cfg.KeyringFile, ring("5b"))
	waitFor(t, "the refusal", func() bool { return failed() == 1 })
	if r.s.library.current.Load() != before {
		t.Error("a tenant's key changed without a restart")
	}
	writeFile(t, cfg.KeyringFile, ring("5a")+"other: "+strings.Repeat("77", 32)+"\n")
	waitFor(t, "the second tenant", func() bool { return len(r.s.library.current.Load().ring) == 2 })

	if err := os.Chmod(cfg.KeyringFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := readBooks(cfg); err == nil || !strings.Contains(err.Error(), "chmod 0600") {
		t.Errorf("a file that all can read: error %v", err)
	}
}

func TestEveryProblemOfTheFilesAtOnce(t *testing.T) {
	cfg := testConfig(t, []string{"127.0.0.1:1"})
	cfg.Prices = filepath.Join(t.TempDir(), "none.yaml")
	writeFile(t, cfg.Keys, "keys: []")
	writeFile(t, cfg.People, "people: [{role: x}]")
	_, err := readBooks(cfg)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"keys_file", "people_file", "prices_file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not name %s", err, want)
		}
	}
}

func TestPeopleFromCSV(t *testing.T) {
	r := start(t, func(c *Config) {
		c.People = filepath.Join(filepath.Dir(c.Keys), "people.csv")
		writeFile(t, c.People, "person,role,kind,value,team,from,to\nada,developer,email,ada@acme.example,,,\nada,,,,runtime,2020-01-01,\n")
	})
	accepted(t, r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(logsProto(t, session("s", 1, nil)))}))
	if e := r.events(); len(e) != 1 || e[0].Team != "runtime" || e[0].Role != "developer" {
		t.Errorf("events %v", e)
	}
}
