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

	"github.com/goodhartlabs/goodhart/services/evaluate/folds"
	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
)

// small is a company that is quick to play and in which everybody who games sends
// the same few prompts again and again.
func small() organisation.Config {
	c := organisation.Default()
	c.People, c.Weeks, c.AnnouncedWeek, c.RequestsPerWeek = 200, 26, 18, 45
	c.LookAlikes.AgentOperator = .01 // they have 200 requests a week, whatever is usual
	c.Gamers.Tactics = organisation.TacticWeights{Duplicates: 1}
	c.Gamers.Mixed = 0
	return c
}

// The harness finds gaming that is there, by the name of its signal, and hardly
// anybody else: what it counts is what the simulator did.
func TestSmallCompany(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole company, one event after the other")
	}
	s := scenario{Name: "signals", Prevalence: .15, Signals: true}
	r, err := play(t.Context(), s, 1, small())
	if err != nil {
		t.Fatal(err)
	}
	o, err := organisation.New(1, s.config(small()))
	if err != nil {
		t.Fatal(err)
	}
	honest, wasted := 0, 0.0
	for i := range o.Plans {
		if p := &o.Plans[i]; p.Useful > 0 && p.Wasted == 0 {
			honest++
		}
		wasted += o.Plans[i].Wasted
	}
	for i := range r.People {
		honest -= r.People[i].Honest
	}
	for i := range r.Episodes {
		wasted -= r.Episodes[i].waste()
	}
	if honest != 0 || wasted > 1 || wasted < -1 || len(r.Episodes) != 30 {
		t.Errorf("honest weeks differ by %d, wasted tokens by %.0f; %d episodes, want 30", honest, wasted, len(r.Episodes))
	}
	ours := []*outcome{judge(r, r.Alerts[ruleOurs], (*episode).hits)}
	found, precise := recall(ours, naive(2, true)), precision(ours)
	t.Logf("recall %v of %v, precision %v of %v", found.Num, found.Den, precise.Num, precise.Den)
	if found.Value < .4 || precise.Value < .7 {
		t.Errorf("recall %.2f, precision %.2f: want .4 and .7 at least", found.Value, precise.Value)
	}
	for _, a := range r.Alerts[ruleOurs] {
		if ours[0].right[a.Person] > 0 && a.Code != "S2" {
			t.Errorf("%s raised of somebody who repeats prompts", a.Code)
		}
	}
	// The rule of the top 25 fires on 25 of 200 each week: its alerts are many.
	if n := len(r.Alerts[ruleLeaders]); n < 100 {
		t.Errorf("%d people entered the leaderboard", n)
	}
	if c := r.last(targetTokens); c == nil || c.Week != r.Weeks-1 || c.ComparedTo > c.ComparedFrom && c.True <= 0 {
		t.Errorf("last card %+v", c)
	}
	for _, c := range r.Cards {
		if c.Week < r.Announced {
			t.Errorf("a card of week %d, before the announcement", c.Week)
		}
	}
}

// The simulator announces each request once, so that the sums of weeks, which cards
// are made of, are those that usage has which went through the ledger.
func TestCardsNeedNoLedger(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole company, one event after the other")
	}
	c := small()
	c.RequestsPerWeek, c.People = 10, 280 // a card wants 200 people with outcomes
	var cards [2][]card
	for i, whole := range []bool{true, false} {
		o, err := organisation.New(2, c)
		if err != nil {
			t.Fatal(err)
		}
		p := newPlayer(o, scenario{})
		pipe := folds.New(p.take)
		pipe.Whole = whole
		if err := through(t.Context(), o, pipe, func() {}); err != nil {
			t.Fatal(err)
		}
		cards[i] = p.run.Cards
	}
	if !slices.ContainsFunc(cards[0], func(c card) bool { return c.Known && c.ZKnown }) {
		t.Fatalf("no card of %d says anything", len(cards[0]))
	}
	if diff := cmp.Diff(cards[0], cards[1]); diff != "" {
		t.Errorf("with the ledger, without it: %s", diff)
	}
}

// A second run reads what the first one played, and writes the same page.
func TestRunsAreKept(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole company, one event after the other")
	}
	dir := t.TempDir()
	var logs bytes.Buffer
	cfg := Config{
		Seeds: "3", People: 200, Weeks: 26, Scenarios: []string{"card-20"}, Cache: dir, Report: filepath.Join(dir, "page.md"),
		Parallel: 1, Log: slog.New(slog.NewTextHandler(&logs, nil)),
	}
	var pages []string
	for range 2 {
		if err := Run(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		page, err := os.ReadFile(cfg.Report)
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, string(page))
	}
	if n := strings.Count(logs.String(), "msg=played"); n != 1 {
		t.Errorf("played %d times, want once:\n%s", n, logs.String())
	}
	if diff := cmp.Diff(pages[0], pages[1]); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(pages[0], "| 20 % | 1 |") || strings.Contains(pages[0], "NaN") {
		t.Error(pages[0])
	}
}

func TestArguments(t *testing.T) {
	var out bytes.Buffer
	cfg, err := ParseArgs([]string{"--seeds", "7-9,1", "--scenarios", "signals,card-00", "--people", "300"}, &out)
	if err != nil || cfg.People != 300 || len(cfg.Scenarios) != 2 {
		t.Errorf("%+v, %v", cfg, err)
	}
	if seeds, err := parseSeeds(cfg.Seeds); err != nil || !cmp.Equal(seeds, []uint64{1, 7, 8, 9}) {
		t.Errorf("%v, %v", seeds, err)
	}
	_, err = ParseArgs([]string{"--seeds", "9-7", "--parallel", "0", "--scenarios", "none", "--people", "20"}, &out)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"9-7"`, "parallel: 0", `"none"`, "people: 20"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %s", err, want)
		}
	}
}
