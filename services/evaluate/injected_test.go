package evaluate

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/services/evaluate/runaway"
	"github.com/goodhartlabs/goodhart/services/evaluate/traces"
)

func testBases(t *testing.T) map[string]*traces.Base {
	t.Helper()
	set, err := traces.Read(filepath.Join("traces", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	bases := map[string]*traces.Base{}
	for _, b := range set.Bases() {
		bases[b.Name] = b
	}
	return bases
}

// What is injected into a trace is found through the folds, by the name of its signal,
// and of those who were left alone nothing is said.
func TestInjectedEpisodesAreFound(t *testing.T) {
	b := testBases(t)["jobs × prefixes"]
	onset, _ := b.Onset(0)
	episodes := []traces.Episode{
		{Person: 0, Tactic: traces.Duplicates, Times: 8, From: onset, To: b.Weeks - 1},
		{Person: 1, Tactic: traces.RoundTheClock, Times: 4, From: onset, To: b.Weeks - 1},
		{Person: 2, Tactic: traces.Timer, Times: 4, From: onset, To: b.Weeks - 1},
	}
	x, err := inject(t.Context(), b, 4, episodes, 1)
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]string{}
	for _, a := range x.Run.Alerts[ruleOurs] {
		found[a.Person] += a.Code
	}
	if diff := cmp.Diff(map[int]string{0: "S2", 1: "S5", 2: "S5"}, found); diff != "" {
		t.Errorf("asked: %s", diff)
	}
	for i := range x.Run.Episodes {
		e := &x.Run.Episodes[i]
		if n := x.weeks(e, traces.Tactic(e.Tactic).Signal(), measured); n < 2 {
			t.Errorf("%s was measured in %d weeks", e.Tactic, n)
		}
	}
	// Eight weeks of work, of which four were gamed.
	if p := x.Run.People[0]; p.Honest != onset || x.Run.People[4].Honest != b.Weeks {
		t.Errorf("%d honest weeks of a gamer", p.Honest)
	}
	untouched, err := inject(t.Context(), b, 0, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	// The cheap rules see the tokens that were injected: who gamed leads from then on.
	led := func(x *injected) (weeks int) {
		for _, a := range x.Run.Alerts[ruleLeaders] {
			if a.Person == 0 {
				weeks += a.To - max(a.From, onset) + 1
			}
		}
		return weeks
	}
	if with, without := led(x), led(untouched); with <= without {
		t.Errorf("leads in %d weeks with eight times the tokens, in %d without", with, without)
	}
	if a := untouched.Run.Alerts[ruleOurs]; len(a) > 0 {
		t.Errorf("of the untouched trace: %v", a)
	}
	// Eight jobs a week are too few for anything that wants thirty requests.
	if m := untouched.Readings[reading{0, 6, "S5"}]; m != signal.TooFew {
		t.Errorf("eight jobs are %v", m)
	}
	if m := untouched.Readings[reading{0, 6, "S12"}]; m != signal.Unknown {
		t.Errorf("without conversations the cache of turns is %v", m)
	}
	if untouched.Run.Events != b.Requests() {
		t.Errorf("%d events of %d requests", untouched.Run.Events, b.Requests())
	}
}

// Everybody who can games once in each tactic, and a third in a run.
func TestPlanOfEpisodes(t *testing.T) {
	for _, name := range []string{"jobs × prefixes", "jobs × sizes"} {
		b := testBases(t)[name]
		type one struct {
			person int
			tactic traces.Tactic
		}
		got := map[one]int{}
		for _, run := range plan(b, 2) {
			var people []int
			for _, e := range run {
				got[one{e.Person, e.Tactic}]++
				people = append(people, e.Person)
			}
			slices.Sort(people)
			if n := len(slices.Compact(people)); n != len(run) || n > 2 {
				t.Errorf("%s: %d people with %d episodes in a run", name, n, len(run))
			}
		}
		tactics := 0
		for _, tactic := range traces.Tactics() {
			if b.Lacks(tactic) == "" {
				tactics++
			}
		}
		for at, n := range got {
			if n != 1 || at.person == 6 {
				t.Errorf("%s: %v %d times", name, at, n)
			}
		}
		if len(got) != 6*tactics {
			t.Errorf("%s: %d episodes, want %d", name, len(got), 6*tactics)
		}
	}
	if runs := plan(testBases(t)["clients"], 2); len(runs) != 0 {
		t.Errorf("two weeks are enough for %d runs", len(runs))
	}
}

// Recall is of what could be measured, and is not given of four.
func TestRecallOfTactics(t *testing.T) {
	b := testBases(t)["jobs × sizes"]
	x := &injected{Times: 2, Readings: map[reading]signal.Measure{}, Run: &run{Weeks: 8, Alerts: map[string][]alert{}}}
	for i := range 7 {
		x.Run.People = append(x.Run.People, person{})
		x.Run.Episodes = append(x.Run.Episodes, episode{Person: i, Tactic: "timer", From: 4, To: 6, Wasted: []float64{1, 0, 1}})
		if i < 5 {
			x.Readings[reading{i, 4, "S5"}], x.Readings[reading{i, 6, "S5"}] = signal.Quiet, signal.Fired
		}
		x.Readings[reading{5, 6, "S5"}] = signal.TooFew
		x.Readings[reading{5, 4, "S5"}], x.Readings[reading{5, 5, "S5"}] = signal.Fired, signal.Fired // one of them was not gamed
	}
	x.Run.Episodes[6].Wasted = []float64{0, 0, 0} // nobody games here
	x.Run.Alerts[ruleOurs] = []alert{{Person: 0, From: 4, To: 4}, {Person: 1, From: 7, To: 7}, {Person: 2, From: 3, To: 3}, {Person: 5, From: 5, To: 5}}
	row := tacticReport(b, []*injected{x}, traces.Timer)
	if got := row.Asked[2]; !strings.HasPrefix(got, "0.40 (") || !strings.HasSuffix(got, "), 5 of 6") {
		t.Errorf("asked %s", got)
	}
	if got := row.Crossed[2]; got != "1.00 (1.00–1.00), 5 of 6" {
		t.Errorf("crossed %s", got)
	}
	if got := row.Asked[1]; got != "insufficient data, 0 of 0" {
		t.Errorf("where nothing was injected: %s", got)
	}
	delete(x.Readings, reading{4, 4, "S5"})
	if got := tacticReport(b, []*injected{x}, traces.Timer).Asked[2]; got != "insufficient data, 4 of 6" {
		t.Errorf("of four: %s", got)
	}
	if got := recallOf([]*injected{x}, 2, ruleOurs); got.Num != 3 || got.Den != 6 {
		t.Errorf("all: %v of %v", got.Num, got.Den)
	}
}

// The page has the section whatever can be shown: what a trace is too short for is
// said to be.
func TestPageOfTraces(t *testing.T) {
	dir := t.TempDir()
	clients, err := os.ReadFile(filepath.Join("traces", "testdata", "clients.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "clients.csv"), clients, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, logs bytes.Buffer
	cfg, err := ParseArgs([]string{"--seeds", "3", "--scenarios", "traces", "--traces", dir}, &out)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Log = slog.New(slog.NewTextHandler(&logs, nil))
	var pages []string
	for range 2 {
		out.Reset()
		if err := Run(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		pages = append(pages, out.String())
	}
	for _, want := range []string{
		"## Injection into real traces", "| A | clients | 3 programs | 2 |", "ServeGen", "| A | timer | S5 | asked | insufficient data |", "- A: none", "| **goodhart** | insufficient data |",
		"lacks hashes of prompts",
	} {
		if !strings.Contains(pages[0], want) {
			t.Errorf("no %q in\n%s", want, pages[0])
		}
	}
	if strings.Contains(pages[0], "NaN") || strings.Contains(pages[0], "Inf") {
		t.Error(pages[0])
	}
	if diff := cmp.Diff(pages[0], pages[1]); diff != "" || strings.Count(logs.String(), "msg=played") != 2 {
		t.Errorf("%s%s", diff, logs.String())
	}
	text, err := render(newReport(&Config{Seeds: "1"}, nil, &runaway.Result{}))
	if err != nil || !strings.Contains(text, "Not in this run. `goodhart evaluate --traces DIR`") {
		t.Errorf("without traces: %v\n%s", err, text)
	}
	if _, err := ParseArgs([]string{"--scenarios", "traces"}, &out); err == nil || !strings.Contains(err.Error(), "want --traces") {
		t.Errorf("traces without a directory: %v", err)
	}
}
