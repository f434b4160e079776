package faults

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever the seed, a schedule provokes all that a run promises.
func TestScheduleProvokesEverything(t *testing.T) {
	f := func(cfg Config) {
		t.Helper()
		killed := map[string]int{}
		of := map[action][]fault{}
		all := schedule(cfg)
		for i, fa := range all {
			of[fa.action] = append(of[fa.action], fa)
			if fa.action == kill {
				killed[roleOf(fa.victim)]++
			}
			if fa.at <= 0 || fa.at >= .95 || i > 0 && fa.at < all[i-1].at || fa.pause < 0 || fa.pause > maxPause {
				t.Errorf("seed %d: fault %d of %+v", cfg.Seed, i, all)
			}
		}
		for _, role := range []string{collector, processor, sink, chserve} {
			if killed[role] < cfg.Rounds {
				t.Errorf("seed %d: %s is killed %d times in %d rounds", cfg.Seed, role, killed[role], cfg.Rounds)
			}
		}
		if killed[broker] != 1 || len(of[strand]) != 1 || len(of[freeze]) != 1 {
			t.Fatalf("seed %d: %d kills of the broker, %d strands, %d freezes", cfg.Seed, killed[broker], len(of[strand]), len(of[freeze]))
		}
		frozen, stranded := of[freeze][0].victim, of[strand][0].victim
		want := map[uint64]string{0: sink, 1: processor}[cfg.Seed%2]
		if roleOf(frozen) != want || roleOf(stranded) != sink || frozen == stranded {
			t.Errorf("seed %d: freezes %s, strands %s", cfg.Seed, frozen, stranded)
		}
		if cfg.Rounds == 2 {
			for _, role := range []string{processor, sink} {
				for n := 1; n <= 2; n++ {
					if !slices.ContainsFunc(all, func(fa fault) bool { return fa.action == kill && fa.victim == numbered(role, n) }) {
						t.Errorf("seed %d: %s-%d is never killed", cfg.Seed, role, n)
					}
				}
			}
		}
	}
	for seed := range uint64(200) {
		cfg := Default()
		cfg.Seed, cfg.Rounds = seed, 2
		f(cfg)
		cfg.Rounds, cfg.Cluster = 1, &Cluster{Brokers: []string{"a", "b", "c"}}
		f(cfg)
	}
}

func TestScheduleFollowsFromTheSeed(t *testing.T) {
	one, other := Default(), Default()
	other.Seed = 3
	opt := cmp.AllowUnexported(fault{})
	if diff := cmp.Diff(schedule(one), schedule(one), opt); diff != "" {
		t.Errorf("the same seed, another schedule:\n%s", diff)
	}
	if cmp.Equal(schedule(one), schedule(other), opt) {
		t.Error("another seed, the same schedule")
	}
	none := one
	none.Freeze = 0
	if slices.ContainsFunc(schedule(none), func(f fault) bool { return f.action == freeze }) {
		t.Error("a process is frozen for no time")
	}
}

func TestConfig(t *testing.T) {
	cfg := Default()
	cfg.Bin, cfg.Library, cfg.Deploy, cfg.Dir = "b", "l", "d", "s"
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	cfg.Freeze = session
	if cfg.Validate() == nil {
		t.Error("a freeze within the session passes for one that outlasts it")
	}
	cfg.Freeze, cfg.Rounds, cfg.Cluster, cfg.Bin = 0, 3, &Cluster{Brokers: []string{"one"}}, ""
	if got := len(cfg.Validate().(interface{ Unwrap() []error }).Unwrap()); got != 3 {
		t.Errorf("%d problems: %v", got, cfg.Validate())
	}
}
