package evaluate

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
)

// Peers are those at the same spend, as outcomes rise with the spend of teams, and
// all of them, whoever of them has a score.
func TestPeersAtTheSameSpend(t *testing.T) {
	p := &peers{weeks: make([][]teamWeek, 4)}
	for team := range p.weeks {
		for week := range 6 {
			spend := math.Exp(float64(team+week%3) - 2)
			p.weeks[team] = append(p.weeks[team], teamWeek{
				outcomes: 30 * math.Pow(spend, .2), usual: 24 * math.Pow(spend, .2), nanos: 1e9 * spend, roleUsual: 20, roleNanos: 1e9,
			})
		}
	}
	p.fit()
	if diff := cmp.Diff(.2, p.slope, near); diff != "" {
		t.Fatalf("slope: %s", diff)
	}
	for team := range p.weeks {
		if diff := cmp.Diff(1.0, p.efficiency(team, 1, 5), near); diff != "" {
			t.Errorf("team %d of like ones: %s", team, diff)
		}
	}
	for week := range p.weeks[3] {
		p.weeks[3][week].outcomes *= 2
	}
	if p.fit(); !cmp.Equal(.2, p.slope, near) {
		t.Errorf("luck changes the slope to %v", p.slope)
	}
	if got := p.efficiency(3, 1, 5) / p.efficiency(0, 1, 5); !cmp.Equal(2.0, got, near) {
		t.Errorf("twice the outcomes at the same spend: %v times as efficient", got)
	}
	if got := p.efficiency(0, 1, 5); !(got < .8) {
		t.Errorf("beside a team that is twice as good: %v", got)
	}
}

// What teams truly achieve is relative to all of them together, and to as many people
// as are there; spend that buys nothing makes a team worse.
func TestPeersOfACompany(t *testing.T) {
	c := organisation.Default()
	c.People, c.Weeks, c.AnnouncedWeek, c.RequestsPerWeek = 200, 26, 18, 10
	c.LookAlikes.AgentOperator = 0
	c.Gamers.Prevalence, c.Gamers.Adaptive = .1, 0
	o, err := organisation.New(4, c)
	if err != nil {
		t.Fatal(err)
	}
	for range o.Records() {
	}
	p := peersOf(o)
	alike := cmpopts.EquateApprox(1e-9, 0)
	if p.slope < .1 || p.slope > o.Config.Outcomes.Elasticity+.05 {
		t.Errorf("slope among teams %.3f, of a person %.2f", p.slope, o.Config.Outcomes.Elasticity)
	}
	// Team 0 in the first week: as many people of each role as are there by then.
	members, means := map[string]float64{}, map[string][2]float64{}
	for _, who := range o.People {
		if who.Joined() > 0 {
			continue
		}
		m := means[who.Role]
		means[who.Role] = [2]float64{m[0] + o.Usual(o.Plan(who.Index, 0)), m[1] + 1}
		if who.Team(0) == 0 {
			members[who.Role]++
		}
	}
	var want float64
	for role, n := range members {
		want += n * means[role][0] / means[role][1]
	}
	if diff := cmp.Diff(want, p.weeks[0][0].roleUsual, alike); diff != "" {
		t.Errorf("team 0 in week 0: %s", diff)
	}
	for week := range c.Weeks {
		var usual, ofRoles, nanos, roleNanos float64
		for team := range o.Teams {
			w := p.weeks[team][week]
			usual, ofRoles, nanos, roleNanos = usual+w.usual, ofRoles+w.roleUsual, nanos+w.nanos, roleNanos+w.roleNanos
		}
		if !cmp.Equal(usual, ofRoles, alike) || !cmp.Equal(nanos, roleNanos, alike) {
			t.Errorf("week %d: %v outcomes for %v, by the means of roles %v for %v", week, usual, nanos, ofRoles, roleNanos)
		}
	}
	var got, due float64
	for team := range o.Teams {
		var mine float64
		for _, w := range p.weeks[team][8:12] {
			mine += w.outcomes
		}
		got, due = got+mine, due+mine/p.efficiency(team, 8, 12)
	}
	if !cmp.Equal(got, due, alike) {
		t.Errorf("all teams together: %v of %v", got, due)
	}
	before := p.efficiency(0, 8, 12)
	for week := 8; week < 12; week++ {
		p.weeks[0][week].nanos *= 2
	}
	if after := p.efficiency(0, 8, 12); after >= before {
		t.Errorf("twice the spend for the same outcomes: %v, before %v", after, before)
	}
}
