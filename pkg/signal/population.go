package signal

import (
	"cmp"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const sinkless = goodhartv1.Statistic_STATISTIC_SINKLESS

// population is everybody of a tenant in a week.
type population struct {
	policy *policy.Policy
	week   int64
	// index of each code in the catalogue.
	index map[string]int
	// observed, sorted by subject.
	observed []*observation
	// members of each cohort, in the order of observed.
	members [cohorts]map[string][]*observation
	peers   map[peers]*peerGroup
	// sorted shifts, as they are asked for.
	sorted map[shiftKey][]float64
	// repeats is how often people repeat themselves, trailing.
	repeats float64
	// cheapest third of the models.
	cheapest map[string]bool
	// rank by tokens and by cost, as a share of the people, by subject.
	byTokens, byCost map[string]float64
}

// peers are those with the same role and tool.
type peers struct{ role, tool string }

// peerGroup holds the rates of people with enough sessions.
type peerGroup struct{ abandoned, sinkless peerRates }

// peerSessions is how many sessions a week must have to count among peers.
const peerSessions = 10

func newPopulation(in *Input, s *State, catalogue []Definition) *population {
	p := &population{
		policy: in.Policy, week: in.WeekStart,
		index: map[string]int{}, peers: map[peers]*peerGroup{}, sorted: map[shiftKey][]float64{},
	}
	for i := range catalogue {
		p.index[catalogue[i].Code] = i
	}
	for c := range p.members {
		p.members[c] = map[string][]*observation{}
	}
	subjects := slices.Clone(in.Subjects)
	slices.SortStableFunc(subjects, func(a, b Subject) int { return cmp.Compare(a.ID, b.ID) })
	subjects = slices.CompactFunc(subjects, func(a, b Subject) bool { return a.ID == b.ID })
	for i := range subjects {
		p.join(newObservation(&subjects[i], p, len(catalogue)))
	}
	p.repeats = s.repeatRate()
	p.cheapest = p.cheapModels()
	p.byTokens = p.ranks((*observation).tokens)
	p.byCost = p.ranks(func(o *observation) int64 { return o.week.CostNanos })
	return p
}

func (p *population) join(o *observation) {
	p.observed = append(p.observed, o)
	for c := range cohorts {
		if key := c.key(o); key != "" {
			p.members[c][key] = append(p.members[c][key], o)
		}
	}
	p.members[sameModel][anyModel] = append(p.members[sameModel][anyModel], o)
	if w := o.week; o.isPeer() && w.Sessions >= peerSessions {
		g := p.peerGroup(o)
		g.abandoned.add(w.AbandonedSessions, w.Sessions)
		g.sinkless.add(w.SinklessSessions, w.Sessions)
	}
}

// isPeer: people without a role are nobody's peers.
func (o *observation) isPeer() bool { return o.subject.isPerson() && o.subject.Role != "" }

// peerGroup is that of the subject's role and tool.
func (p *population) peerGroup(o *observation) *peerGroup {
	key := peers{o.subject.Role, o.week.Tool}
	g, ok := p.peers[key]
	if !ok {
		g = &peerGroup{}
		p.peers[key] = g
	}
	return g
}

// peerShift is where the shift of a reading lies among peers: their median, how
// many of their standard deviations above it, and how many they are.
func (p *population) peerShift(o *observation, i int) (med, z float64, n int64) {
	if !o.isPeer() {
		return 0, 0, 0
	}
	var shifts []float64
	for _, other := range p.observed {
		if other != o && other.isPeer() && other.subject.Role == o.subject.Role && other.week.Tool == o.week.Tool &&
			other.readings[i].Measure.measured() {
			shifts = append(shifts, other.readings[i].Shift)
		}
	}
	med, mad := medianMAD(shifts)
	return med, (o.readings[i].Shift - med) / spread(mad, floorShare), int64(len(shifts))
}

// cheapModels are the cheapest third of those with a price this week, rounded
// up, if there are at least two.
func (p *population) cheapModels() map[string]bool {
	type use struct {
		model        string
		cost, tokens int64
	}
	var uses []use
	for _, o := range p.observed {
		for _, m := range o.week.Models {
			at, ok := slices.BinarySearchFunc(uses, m.Model, func(u use, model string) int { return cmp.Compare(u.model, model) })
			if !ok {
				uses = slices.Insert(uses, at, use{model: m.Model})
			}
			uses[at].cost += m.CostNanos
			uses[at].tokens += m.Tokens
		}
	}
	uses = slices.DeleteFunc(uses, func(u use) bool { return u.cost <= 0 || u.tokens <= 0 })
	if len(uses) < 2 {
		return nil
	}
	slices.SortStableFunc(uses, func(a, b use) int {
		return cmp.Compare(float64(a.cost)/float64(a.tokens), float64(b.cost)/float64(b.tokens))
	})
	cheap := map[string]bool{}
	for _, u := range uses[:(len(uses)+2)/3] {
		cheap[u.model] = true
	}
	return cheap
}

// cheapShare is the share of the tokens of known models in the cheapest third.
func (o *observation) cheapShare() (float64, bool) {
	var cheap, all int64
	for _, m := range o.week.Models {
		all += m.Tokens
		if o.all.cheapest[m.Model] {
			cheap += m.Tokens
		}
	}
	return share(cheap, all), all > 0 && len(o.all.cheapest) > 0
}

// ranks says for each person which share of the people is below.
func (p *population) ranks(value func(*observation) int64) map[string]float64 {
	var values []int64
	for _, o := range p.observed {
		if o.subject.isPerson() {
			values = append(values, value(o))
		}
	}
	slices.Sort(values)
	ranks := make(map[string]float64, len(values))
	for _, o := range p.observed {
		if o.subject.isPerson() {
			below, _ := slices.BinarySearch(values, value(o))
			ranks[o.subject.ID] = float64(below) / float64(len(values))
		}
	}
	return ranks
}

// repeatWeeks is how many weeks the trailing rate of repeats rests on.
const repeatWeeks = 8

// Bounds of the rate of repeats that people are compared with.
const (
	repeatLow  = 0.01
	repeatHigh = 0.10
)

// repeatRate is how often people repeated themselves in the weeks before.
func (s *State) repeatRate() float64 {
	var repeated, pairs int64
	for _, w := range s.Repeats {
		repeated += w.Repeated
		pairs += w.Pairs
	}
	return min(max(share(repeated, pairs), repeatLow), repeatHigh)
}

// noteRepeats takes a week into the trailing rate.
func (s *State) noteRepeats(p *population) {
	week := RepeatWeek{Week: p.week}
	for _, o := range p.observed {
		if o.subject.isPerson() {
			week.Repeated += o.week.RepeatedRequests
			week.Pairs += o.week.PairRequests
		}
	}
	s.Repeats = append(s.Repeats, week)
	if surplus := len(s.Repeats) - repeatWeeks; surplus > 0 {
		s.Repeats = slices.Delete(s.Repeats, 0, surplus)
	}
}
