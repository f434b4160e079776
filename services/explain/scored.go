package explain

import (
	"slices"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// scored is what the score of a team rests on. Of other teams it shows what the
// published group sizes allow, week by week, and how much it does not show.
type scored struct {
	Status    string
	Score     score.Score
	End, AsOf int64
	// Parts of the score, Days that they are made of, by role.
	Parts []part
	Days  []day
	// Curves and the rest of what the past has taught.
	Curves     []score.Curve
	MeanWorth  float64
	Dispersion float64
	Shapes     []score.Shape
	// Due of the blocks of the window, ModelDue of the weeks of the curves.
	Due, ModelDue []score.Due
	// Units is how many teams were scored, Peers those beside this one that have a
	// score.
	Units int
	Peers []peer
	// Blocks are those of the window, Weeks those that curves, dispersion and
	// shapes were learned from, of all teams; Withheld is how many of both may not
	// be shown.
	Blocks, Weeks []score.Block
	Withheld      int
}

// part is a score.Part without its block's zeros; Curve is the place among the
// curves, nil for none.
type part struct {
	Block                        score.Block
	Due                          float64
	Curve                        *int
	Credited, Expected, Eventual float64
}

// day is what the people of a role did on a day.
type day struct {
	Date, Role string
	score.Day
}

// peer is a team that the score is compared with.
type peer struct {
	Unit       string
	Count      score.Count
	ExpectedSD float64
	Posterior  score.Posterior
	Index      float64
}

// allRoles stands for the roles of a team of which one is too small to be shown.
const allRoles = "*"

func (in *inputs) efficiency(e *score.Efficiency, from *score.Assessment, days []score.Series) {
	r := &e.Rolling
	if r.Tenant != in.said.Tenant || r.ScopeKind != in.said.ScopeKind || r.Scope != in.said.Scope || r.Window != in.said.Window ||
		r.End != in.said.End || int64(r.Rev) != in.said.Rev {
		return
	}
	m := from.Model
	in.score = &scored{
		Status: e.Status(), Score: *e.Score, End: from.Inputs.End, AsOf: from.Inputs.AsOf,
		Curves: m.Curves, MeanWorth: m.MeanWorth, Dispersion: m.Dispersion, Shapes: m.Shapes, Due: from.Due, ModelDue: m.Due,
		Units: len(from.Inputs.Units),
	}
	s := in.score
	s.Score.Parts = nil
	own := slices.DeleteFunc(slices.Clone(days), func(d score.Series) bool { return d.Unit != r.Scope })
	small := in.smallRoles(own, from)
	s.Blocks, s.Weeks = in.visible(from.Inputs.Blocks, small), in.visible(m.Weeks, small)
	s.Withheld = len(join(from.Inputs.Blocks, small)) + len(join(m.Weeks, small)) - len(s.Blocks) - len(s.Weeks)
	for i := range from.Scores {
		if o := &from.Scores[i]; o.Unit != r.Scope && o.Reason == "" {
			s.Peers = append(s.Peers, peer{o.Unit, o.Count, o.ExpectedSD, o.Posterior, o.Index})
		}
	}
	if e.Score.Reason == score.ReasonSize { // what a hidden team did is not told here either
		s.Score = score.Score{Unit: e.Score.Unit, Reason: e.Score.Reason}
		return
	}
	s.Parts = joinParts(e.Score.Parts, small[r.Scope])
	s.Days = in.days(own, r.Start, r.End, small[r.Scope])
}

// smallRoles are the teams of several roles of which one has fewer people, in one
// of the blocks or on a day of its own, than may be shown: their roles are shown
// together.
func (in *inputs) smallRoles(own []score.Series, from *score.Assessment) map[string]bool {
	first, several, few := map[string]string{}, map[string]bool{}, map[string]bool{}
	see := func(unit, role string, people int64) {
		if was, ok := first[unit]; !ok {
			first[unit] = role
		} else if was != role {
			several[unit] = true
		}
		if people > 0 && people < int64(in.minimumGroup) {
			few[unit] = true
		}
	}
	for _, blocks := range [][]score.Block{from.Inputs.Blocks, from.Model.Weeks} {
		for i := range blocks {
			see(blocks[i].Unit, blocks[i].Role, blocks[i].People)
		}
	}
	for i := range own {
		for _, d := range own[i].Days {
			see(own[i].Unit, own[i].Role, d.People)
		}
	}
	small := map[string]bool{}
	for unit := range few {
		small[unit] = several[unit]
	}
	return small
}

// visible are the blocks that may be shown: a team may be in every week of which a
// cost counts towards the block.
func (in *inputs) visible(blocks []score.Block, small map[string]bool) []score.Block {
	return slices.DeleteFunc(join(blocks, small), func(b score.Block) bool {
		return !in.said.shown.over(b.Unit, b.Start-score.Lag*window.Day, b.Start+window.Week)
	})
}

// join adds up the roles of the teams that are small.
func join(blocks []score.Block, small map[string]bool) []score.Block {
	var out []score.Block
	for _, b := range blocks { // sorted by unit and start
		if !small[b.Unit] {
			out = append(out, b)
			continue
		}
		b.Role, b.LinkedOnly = allRoles, false
		if n := len(out); n > 0 && out[n-1].Unit == b.Unit && out[n-1].Start == b.Start {
			addBlock(&out[n-1], &b)
			continue
		}
		out = append(out, b)
	}
	return out
}

func addBlock(to, b *score.Block) {
	to.People += b.People
	to.CostNanos += b.CostNanos
	to.AlignedNanos += b.AlignedNanos
	to.Records += b.Records
	to.Unpriced += b.Unpriced
	to.Value.Add(b.Value)
	to.Linked += b.Linked
}

func joinParts(parts []score.Part, small bool) []part {
	var out []part
	for i := range parts {
		p := part{Block: parts[i].Block, Due: parts[i].Due, Credited: parts[i].Credited, Expected: parts[i].Expected, Eventual: parts[i].Eventual}
		if parts[i].Curve >= 0 && !small {
			p.Curve = &parts[i].Curve
		}
		if small {
			p.Block.Role, p.Block.LinkedOnly = allRoles, false
		}
		if n := len(out); small && n > 0 && out[n-1].Block.Start == p.Block.Start {
			to := &out[n-1]
			addBlock(&to.Block, &p.Block)
			to.Credited += p.Credited
			to.Expected += p.Expected
			to.Eventual += p.Eventual
			continue
		}
		out = append(out, p)
	}
	return out
}

// days are those of the team that count towards a window, as far as they may be
// shown.
func (in *inputs) days(own []score.Series, start, end int64, small bool) []day {
	var out []day
	for t := start - score.Lag*window.Day; t < end; t += window.Day {
		if !in.said.shown.over(in.said.Scope, t, t+window.Day) {
			continue
		}
		name := time.UnixMilli(t).UTC().Format(time.DateOnly)
		for i := range own {
			at := (t - own[i].First) / window.Day
			if t < own[i].First || at >= int64(len(own[i].Days)) || own[i].Days[at] == (score.Day{}) {
				continue
			}
			d := day{name, own[i].Role, own[i].Days[at]}
			if !small {
				out = append(out, d)
				continue
			}
			d.Role = allRoles
			if n := len(out); n > 0 && out[n-1].Date == name {
				d.Add(&out[n-1].Day)
				out = out[:n-1]
			}
			out = append(out, d)
		}
	}
	return out
}

// groups says of which teams and weeks the figures may be shown: what the
// published group sizes say last. Of a week without one nothing is shown.
type groups map[teamWeek]bool

type teamWeek struct {
	team string
	week int64
}

func (g groups) over(team string, from, to int64) bool {
	for week := window.WeekStart(from); week < to; week += window.Week {
		if !g[teamWeek{team, week}] {
			return false
		}
	}
	return true
}
