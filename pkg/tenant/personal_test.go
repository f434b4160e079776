package tenant

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/recordtest"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
)

// private folds a log and returns what people are told of their efficiency, each
// valid by its schema; nothing else that is said may name a person.
func private(t *testing.T, f *Fold, log []machine.Record) (told []machine.Output, bodies []string) {
	t.Helper()
	schema := recordtest.Schema(t, "self.v1.json")
	for i := range log {
		var out machine.Outputs
		f.Step(&log[i], &out)
		for _, o := range out.Records() {
			body := o.Body()
			if o.Topic != schemas.TopicSelf {
				if bytes.Contains(body, []byte(`"p_`)) || bytes.Contains(o.Key, []byte("|p_")) || bytes.Contains(body, []byte(`"subject"`)) {
					t.Fatalf("%s: %s", o.Topic, body)
				}
				continue
			}
			value, err := validator.UnmarshalJSON(bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(value); err != nil {
				t.Fatalf("%s: %v", body, err)
			}
			told, bodies = append(told, o), append(bodies, string(body))
		}
	}
	return told, bodies
}

// Each person is told once a window what package score says of what they did
// alone, by the curve of their role, when all of it has settled.
func TestPeopleAreToldTheirOwn(t *testing.T) {
	steps := works(147, map[int]string{0: worksPolicy})
	midnight := day0 + 140*window.Day // a Monday
	end := midnight - score.Settling
	told, bodies := private(t, New(small()), worksLog(t, steps, midnight+window.Hour))
	known := map[string]string{}
	ends := map[int64]int{}
	for i, o := range told {
		var r struct {
			Subject string `json:"subject"`
			End     int64  `json:"window_end"`
			W       int64  `json:"w"`
		}
		if err := json.Unmarshal([]byte(bodies[i]), &r); err != nil {
			t.Fatal(err)
		}
		ends[r.End]++
		if string(o.Key) != "acme|"+r.Subject || r.End != window.WeekStart(r.End) || r.W <= r.End+score.Settling || r.W > r.End+score.Settling+window.Hour {
			t.Errorf("%s: %s", o.Key, bodies[i])
		}
		id := fmt.Sprintf("acme|efficiency|%s|28d|%d|0", r.Subject, r.End)
		if !slices.ContainsFunc(o.Headers, func(h machine.Header) bool { return h.Key == "ce_id" && string(h.Value) == id }) {
			t.Errorf("%v, want %s", o.Headers, id)
		}
		if r.End == end {
			if known[r.Subject] != "" {
				t.Errorf("%s is told twice", r.Subject)
			}
			known[r.Subject] = bodies[i]
		}
	}
	if len(known) != 68 || ends[day0+70*window.Day] != 72 { // of 72 four have left
		t.Errorf("%d people are told, before %v", len(known), ends)
	}
	teams := settledAt(t, steps, midnight)
	for who, body := range known {
		if strings.HasPrefix(who, "p_4") {
			continue // whose team byHand declares a size for
		}
		if want := ownByHand(t, steps, midnight, who, teams); body != want {
			t.Errorf("%s\n want %s\n  got %s", who, want, body)
		}
	}
	for _, field := range []string{`"outcomes_expected":6.`, `"status":"insufficient data","reason":"expected"`} {
		if !strings.Contains(known["p_0_3"], field) {
			t.Errorf("%s is not in %s", field, known["p_0_3"])
		}
	}
}

// settledAt assesses the teams, by hand, in the window that has settled at a
// midnight.
func settledAt(tb testing.TB, steps []step, midnight int64) *score.Assessment {
	tb.Helper()
	end := midnight - score.Settling
	inTeams := func(known int64) []score.Series {
		return slices.DeleteFunc(byHand(tb, steps, known, worksPolicy), func(s score.Series) bool { return s.Unit == "" })
	}
	weeks, _ := score.Blocks(inTeams(end), score.FitStarts(end)) // learned when the window was first scored
	in := score.Inputs{End: end, AsOf: midnight}
	in.Blocks, _ = score.Blocks(inTeams(midnight), score.WindowStarts(end, 28))
	return score.NewModel(weeks).Assess(in)
}

// ownByHand is what a person is to be told.
func ownByHand(tb testing.TB, steps []step, midnight int64, who string, teams *score.Assessment) string {
	tb.Helper()
	mine := slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return s.subject != who })
	series := byHand(tb, mine, midnight, worksPolicy)
	blocks, _ := score.Blocks(series, score.WindowStarts(teams.Inputs.End, 28))
	for i := range blocks {
		blocks[i].Unit = ""
	}
	own := teams.Person(score.Unit{OutcomesKnown: true, HistoryKnown: true, LinksKnown: true, Publishable: true}, blocks)
	p := score.Personal{
		Tenant: "acme", Subject: who, Role: series[0].Role, Window: "28d", Start: teams.Inputs.End - 28*window.Day, End: teams.Inputs.End,
		W: midnight + mnt, Score: &own, Dispersion: teams.Model.Dispersion, ConfigVersion: 1,
	}
	return string(p.AppendJSON(nil))
}

// Who has moved to another team and role is compared with the curve of where they
// are now, by all that they did; who has left early in the window is told, too.
func TestPeopleWhoMoved(t *testing.T) {
	midnight := day0 + 140*window.Day
	to := map[string]step{"p_0_9": {team: "t3", role: "dev"}, "p_3_1": {team: "t0", role: "ops"}}
	steps := slices.DeleteFunc(works(147, map[int]string{0: worksPolicy}), func(s step) bool {
		return s.subject == "p_5_3" && s.day >= day0+101*window.Day
	})
	for i := range steps {
		s := &steps[i]
		now, moves := to[s.subject]
		if moves {
			s.ticket = 0 // shared by teams, it would be a matter of whose outcome goes first
		}
		if moves && s.day >= day0+112*window.Day {
			s.team, s.role = now.team, now.role
		}
	}
	_, bodies := private(t, New(small()), worksLog(t, steps, midnight+window.Hour))
	teams := settledAt(t, steps, midnight)
	for i := range steps {
		if now, moves := to[steps[i].subject]; moves {
			steps[i].team, steps[i].role = now.team, now.role
		}
	}
	for _, who := range []string{"p_0_9", "p_3_1", "p_5_3"} {
		if want := ownByHand(t, steps, midnight, who, teams); !slices.Contains(bodies, want) {
			t.Errorf("nobody is told %s", want)
		}
	}
}
