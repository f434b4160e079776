package runaway

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
)

// learning is for how many weeks series are not judged.
const learning = 3

// Surges is what the series of a company showed.
type Surges struct {
	// Weeks of the company in which series were judged.
	Weeks int
	// Runaways that there were, and those of them in a team that may not be spoken of.
	Runaways, Hidden int
	// Series by kind.
	Series []Series
	// Watched series at the end, and the bytes of a snapshot that they take.
	Watched, Bytes int
}

// Series of a kind.
type Series struct {
	Kind string
	// Delays of the runaways that they told of, sorted; False signals were others.
	Delays []time.Duration
	False  int
}

// teamWeek is an ISO week of a team.
type teamWeek struct{ team, week string }

// compareSurges holds the surges against what happened.
func compareSurges(o *organisation.Organisation, surges []opened, hidden map[teamWeek]bool) Surges {
	s := Surges{
		Weeks: o.Config.Weeks - learning, Runaways: len(o.Runaways),
		Series: []Series{{Kind: signal.ScopeTeam}, {Kind: signal.ScopeTool}, {Kind: signal.ScopeTenant}},
	}
	team := func(r *organisation.Runaway) int { return o.People[r.Person].Team(r.Week) }
	for _, r := range o.Runaways {
		if hidden[teamWeek{o.Teams[team(&r)].Name, window.WeekName(window.WeekStart(r.FromMs) - window.Week)}] {
			s.Hidden++
		}
	}
	for i := range s.Series {
		k := &s.Series[i]
		told := make([]bool, len(o.Runaways))
		for _, x := range surges {
			if x.kind != k.Kind {
				continue
			}
			at := slices.IndexFunc(o.Runaways, func(r organisation.Runaway) bool {
				return x.during(&r) && (x.kind != signal.ScopeTeam || x.subject == o.Teams[team(&r)].Name)
			})
			switch {
			case at < 0:
				k.False++
			case !told[at]:
				told[at] = true
				k.Delays = append(k.Delays, time.Duration(x.at-o.Runaways[at].FromMs)*time.Millisecond)
			}
		}
		slices.Sort(k.Delays)
	}
	return s
}

// measure adds what the series take.
func (s *Surges) measure(f *tenant.Fold) error {
	var state goodhartv1.TenantFoldState
	if err := state.UnmarshalVT(f.AppendShard(nil, 0)); err != nil {
		return fmt.Errorf("read the state: %w", err)
	}
	for _, t := range state.Tenants {
		for _, scope := range t.Scopes {
			if scope.Rate != nil {
				s.Watched++
				s.Bytes += scope.Rate.SizeVT()
			}
		}
	}
	return nil
}

// Surges adds up what the series of all companies showed.
func (r *Result) Surges() Surges {
	var sum Surges
	for i := range r.Seeds {
		x := &r.Seeds[i].Surges
		sum.Weeks, sum.Runaways, sum.Hidden = sum.Weeks+x.Weeks, sum.Runaways+x.Runaways, sum.Hidden+x.Hidden
		sum.Watched, sum.Bytes = sum.Watched+x.Watched, sum.Bytes+x.Bytes
		for k, series := range x.Series {
			if k == len(sum.Series) {
				sum.Series = append(sum.Series, Series{Kind: series.Kind})
			}
			sum.Series[k].Delays = append(sum.Series[k].Delays, series.Delays...)
			sum.Series[k].False += series.False
		}
	}
	for k := range sum.Series {
		slices.Sort(sum.Series[k].Delays)
	}
	return sum
}

func (s *Surges) markdown(b *strings.Builder, companies int) {
	fmt.Fprintf(b, `
The same runaways in the series of their team, their tool and the tenant (R3), which are judged by the quarter of an hour from the fourth week on. %d of %d were in
a team of which nothing may be said, because it was too small in the week before or one or two people made up most of it. Nothing was declared.

| series | runaways told of | median delay | slowest | false signals | by tenant-week (%d) |
|---|---|---|---|---|---|
`, s.Hidden, s.Runaways, s.Weeks)
	for _, k := range s.Series {
		fmt.Fprintf(b, "| %s | %d of %d | %s | %s | %d | %.3f |\n", k.Kind, len(k.Delays), s.Runaways,
			seconds(quantile(k.Delays, 50)), seconds(quantile(k.Delays, 100)), k.False, float64(k.False)/float64(max(1, s.Weeks)))
	}
	fmt.Fprintf(b, "\nA series takes %.1f KiB of a snapshot, %.1f of them were watched in a company.\n",
		float64(s.Bytes)/1024/float64(max(1, s.Watched)), float64(s.Watched)/float64(max(1, companies)))
}
