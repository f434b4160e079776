package signal

import (
	"slices"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Every entry of the catalogue has a case in which it fires, one below its minimum
// sample, one without what it needs, one at the gate, and one of each look-alike:
// in its scenario, or by name among those below.
func TestEveryCase(t *testing.T) {
	for _, d := range Catalogue() {
		var s *scenario
		all := scenarios()
		if i := slices.IndexFunc(all, func(s scenario) bool { return s.code == d.Code }); i >= 0 {
			s = &all[i]
		}
		own := cases()[d.Code]
		need := []string{"fires", "minimum sample", "unknown", "gate"}
		for _, l := range d.LookAlikes {
			need = append(need, l.Name)
		}
		for _, name := range need {
			test, ok := own[name]
			switch {
			case ok:
				t.Run(d.Code+"/"+name, test)
			case s == nil, s.sample == nil && (name == "minimum sample" || name == "unknown"):
				t.Errorf("%s has no case: %s", d.Code, name)
			}
			delete(own, name)
		}
		for name := range own {
			t.Errorf("%s has a case that the catalogue does not know: %s", d.Code, name)
		}
	}
}

// cases of what no scenario shows, by code and name.
func cases() map[string]map[string]func(*testing.T) {
	return map[string]map[string]func(*testing.T){
		"S8": {
			"minimum sample": TestBunchingSample,
			"unknown": func(t *testing.T) {
				t.Helper()
				c := newCompany(t) // no target, nothing to bunch at
				for range 9 {      // two months end
					c.run(1)
					if got := c.observed().of("S8").Measure; got != Unknown {
						t.Error(got)
					}
				}
			},
		},
		"S13": adoptionCases(),
		"R1":  guardCases(requestsMetric),
		"R2":  guardCases(costMetric),
		"R3":  surgeCases(),
	}
}

func adoptionCases() map[string]func(*testing.T) {
	const announced = firstWeek + 6*window.Week
	run := func(t *testing.T, change func(*company)) *company {
		t.Helper()
		c := newCompany(t)
		c.declares.Targets = adoptionTarget(announced)
		workforce(c, 600, announced, 0.5)
		if change != nil {
			change(c)
		}
		c.run(11)
		return c
	}
	silent := func(t *testing.T, known int64, change func(*company)) *company {
		t.Helper()
		c := run(t, change)
		if got := c.last.result.Coverage[c.last.coverageOf("S13")]; len(c.all) != 0 || got.Known != known {
			t.Errorf("%d questions, %+v", len(c.all), got)
		}
		return c
	}
	return map[string]func(*testing.T){
		"fires": func(t *testing.T) {
			t.Helper()
			if asked := run(t, nil).about("S13", ScopeMetric); len(asked) == 0 || asked[0].Status != Opened {
				t.Errorf("%+v", asked)
			}
		},
		"minimum sample": func(t *testing.T) {
			t.Helper()
			silent(t, 0, func(c *company) {
				workforce(c, 199, announced, 0.5)
				c.declares.Teams = nil
			})
		},
		"unknown": func(t *testing.T) {
			t.Helper()
			silent(t, 0, func(c *company) { // too little is known from before
				c.declares.Targets = adoptionTarget(firstWeek + 2*window.Week)
				c.declares.Teams = nil
			})
		},
		"gate": func(t *testing.T) {
			t.Helper()
			c := silent(t, 1, func(c *company) {
				counted := c.adjust
				c.adjust = func(in *Input) {
					counted(in)
					in.MinimumGroup = 10_000
				}
			})
			if c.last.result.Coverage[c.last.coverageOf("S13")].Suppressed == 0 {
				t.Error("nothing was suppressed")
			}
		},
		"light use that is honest": func(t *testing.T) {
			t.Helper()
			silent(t, 1, func(c *company) { workforce(c, 600, 0, 0.5) })
		},
		"newcomers who try it out": func(t *testing.T) {
			t.Helper()
			asked := run(t, nil).about("S13", ScopeMetric)
			if len(asked) == 0 || !slices.Contains(asked[0].Evidence[0].LookAlikes, "newcomers who try it out: cannot be seen here") {
				t.Errorf("it cannot be told apart and is not said: %+v", asked)
			}
		},
		"teams of round sizes": func(t *testing.T) {
			t.Helper()
			at := [9]int64{0, 10, 14, 8, 32, 15, 10, 0, 0}
			fresh, same := AdoptionState{After: at}, AdoptionState{After: at, Before: at}
			before, _, _ := fresh.teamTest()
			after, _, known := same.teamTest()
			if before > s13TeamP || after <= s13TeamP || !known {
				t.Errorf("p %g without a past, %g with the same one", before, after)
			}
		},
	}
}

func guardCases(metric goodhartv1.GuardMetric) map[string]func(*testing.T) {
	raise := func(t *testing.T, who string, change func(*Crossing)) Signal {
		t.Helper()
		c := crossing(who, metric, window.Minute, 0, false)
		if change != nil {
			change(c)
		}
		var s State
		got, ok := s.Cross(c)
		if !ok {
			t.Fatal("nothing was raised")
		}
		return got
	}
	without := func(t *testing.T) {
		t.Helper()
		// A runaway is stopped at once, whether or not anything is usual yet: it is
		// said that nothing is.
		got := raise(t, "s_ci", func(c *Crossing) { c.Guard.Panes, c.Guard.P99 = 0, 0 })
		if got.Severity != Critical || got.Evidence[1].Known || got.Evidence[0].N != 0 {
			t.Errorf("%+v", got)
		}
	}
	found := func(name string, severity Severity, finding string, declares policy.Policy) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			got := raise(t, "s_ci", func(c *Crossing) { c.Policy = inForce(t, declares) })
			if got.Severity != severity || !slices.Contains(got.Evidence[0].LookAlikes, name+": "+finding) {
				t.Errorf("%s: %q", got.Severity, got.Evidence[0].LookAlikes)
			}
		}
	}
	const registered, declared, loop = "a registered automation", "a declared release, migration or incident", "a retry loop"
	return map[string]func(*testing.T){
		"fires": func(t *testing.T) {
			t.Helper()
			if got := raise(t, "s_ci", nil); got.Status != Opened || got.Private() || got.Severity != Critical {
				t.Errorf("%+v", got)
			}
		},
		"minimum sample": without,
		"unknown":        without,
		"gate": func(t *testing.T) {
			t.Helper()
			for _, who := range []string{"p_1", "a_1", "k_1"} {
				if got := raise(t, who, nil); !got.Private() {
					t.Errorf("%s is spoken of: %+v", who, got)
				}
			}
		},
		registered: found(registered, Warning, "found", policy.Policy{Automation: []policy.Automation{{ID: "ci", Credential: "ci-key"}}}),
		declared: found(declared, Warning, "found", policy.Policy{Context: []policy.Context{{
			Kind: policy.Incident, Scope: policy.ScopeTenant, From: policy.Day(firstWeek), To: policy.Day(firstWeek + window.Day),
		}}}),
		loop: found(loop, Critical, "cannot be seen here", policy.Policy{}),
	}
}

func surgeCases() map[string]func(*testing.T) {
	raise := func(change func(*Point)) (Signal, bool) {
		p := surgePoint(0, 5, 900)
		change(p)
		var s State
		return s.Surge(p)
	}
	silent := func(change func(*Point)) func(*testing.T) {
		return func(t *testing.T) {
			t.Helper()
			if got, ok := raise(change); ok {
				t.Errorf("%+v", got)
			}
		}
	}
	return map[string]func(*testing.T){
		"fires": func(t *testing.T) {
			t.Helper()
			if got, ok := raise(func(*Point) {}); !ok || got.Severity != Critical || got.Team != "t0" {
				t.Errorf("%+v", got)
			}
		},
		"minimum sample": silent(func(p *Point) { p.N = 1343 }),
		"unknown":        silent(func(p *Point) { p.N, p.Score = 0, 0 }),
		"gate":           silent(func(p *Point) { p.Publishable = false }),
		"a declared release, migration or incident": func(t *testing.T) {
			t.Helper()
			got, ok := raise(func(p *Point) {
				p.Policy = inForce(t, policy.Policy{Context: []policy.Context{{
					Kind: policy.Release, Scope: policy.ScopeTenant, From: policy.Day(firstWeek), To: policy.Day(firstWeek + window.Day),
				}}})
			})
			if !ok || got.Severity != Warning {
				t.Errorf("%+v", got)
			}
		},
		"what is told of already": TestSurgesOfOneIncident,
		"the time of day":         silent(func(p *Point) { p.Usual = 900 }),
		"a rise that goes on":     silent(func(p *Point) { p.Score = 0 }),
	}
}
