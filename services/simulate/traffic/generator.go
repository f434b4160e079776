package traffic

import (
	"iter"
	"math"
	"math/rand/v2"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
)

// Generator makes the steps of a period. It is used by one goroutine.
type Generator struct {
	cfg Config
	org *org.Org
	// scale turns appetites into sessions a day, length into requests of one: where
	// records are few for the people, both are fewer.
	scale, length float64
	// pending holds what is to be delivered, by step.
	pending map[int]*[Signals][]Item
	// again holds requests to be repeated, by step.
	again map[int][]*Request
	// begun is the work of the week that begins with the next step.
	begun []Work
}

// New returns a generator for a company.
func New(cfg Config, company *org.Org) *Generator {
	g := &Generator{cfg: cfg, org: company, pending: map[int]*[Signals][]Item{}, again: map[int][]*Request{}}
	var calls, outcomes float64
	for _, p := range company.People {
		for day := range cfg.Days {
			if p.Works(day) { // levels and games are left out: they add about a tenth
				outcomes += p.OutcomesPerWeek / 7
				calls += sessionsPerDay(p, g.weekday(day)) * callsPerSession(p) * itemsPerCall(p)
			}
		}
	}
	records := float64(cfg.Events) * (1 - serviceShare)
	if company.Target != nil { // many weeks of few records: outcomes and games count
		records = .85*records - 2.2*outcomes
	}
	g.scale, g.length = records/calls, 1
	if g.scale < 1 {
		g.scale = math.Sqrt(g.scale)
		g.length = g.scale
	}
	return g
}

// serviceShare is about the share of items that come from services, outcomes
// and repetitions.
const serviceShare = .13

// itemsPerCall is how many records a model request brings along, by how the
// installation reports, as measured on the generator's output.
func itemsPerCall(p *org.Person) float64 {
	switch {
	case p.Terse:
		return 1.05
	case p.Reporting == org.LogsOnly:
		return 2.5
	case p.Reporting == org.MetricsOnly:
		return .95
	case p.Reporting == org.SpansOnly:
		return 1.6
	default:
		return 4.85
	}
}

// sessionsPerDay is how many sessions a person starts, before scaling.
func sessionsPerDay(p *org.Person, weekday int) float64 {
	n := min(1.5*math.Sqrt(p.Weight), 8)
	if weekday >= 5 {
		n *= p.Weekend
	}
	return n
}

// callsPerSession is the mean length of a session in model requests.
func callsPerSession(p *org.Person) float64 { return min(8*math.Sqrt(p.Weight), 40) }

// weekday counts from Monday, 0 to 6. The epoch was a Thursday.
func (g *Generator) weekday(day int) int { return int((g.cfg.Start/Day + int64(day) + 3) % 7) }

// Steps is the number of steps of the period.
func (g *Generator) Steps() int { return g.cfg.Days * 24 }

// All yields every step in order. A step is the consumer's to keep. All may be
// called once.
func (g *Generator) All() iter.Seq[*Step] {
	return func(yield func(*Step) bool) {
		for index := range g.Steps() {
			if index%24 == 0 {
				g.day(index / 24)
			}
			step := g.step(index)
			step.Begun, g.begun = g.begun, nil
			if !yield(step) {
				return
			}
		}
	}
}

// stream returns the random numbers of one actor and day, so that nobody's day
// depends on anybody else's.
func (g *Generator) stream(kind, actor, day int) *rand.Rand {
	return rand.New(rand.NewPCG(g.cfg.Seed, uint64(kind)<<56|uint64(actor)<<24|uint64(day)))
}

// Kinds of streams.
const (
	streamPerson = iota + 1
	streamService
	streamOutcome
	streamFault
	streamStep
	streamLevel
	streamGame
)

// day plays a day of the programs, and at the beginning of a week the week of the
// people: what they deliver follows from what they use.
func (g *Generator) day(day int) {
	if day == 0 || g.weekday(day) == 0 {
		for i, p := range g.org.People {
			g.week(p, i, day)
		}
	}
	batch := len(g.org.Services) - 1
	for i := range batch {
		g.serviceDay(g.stream(streamService, i, day), i, day)
	}
	g.batchUsage(g.stream(streamService, batch, day), day)
	g.faults(g.stream(streamFault, 0, day), day)
}

// put schedules an item that happened at true time at, delayed by some steps.
// What would come after the period is never delivered, and what is delayed
// beyond it comes without delay.
func (g *Generator) put(signal Signal, at int64, delay int, it Item) {
	step := int((at - g.cfg.Start) / Hour)
	if step+delay < g.Steps() {
		step += delay
	}
	if at < g.cfg.Start || step >= g.Steps() {
		return
	}
	bucket := g.pending[step]
	if bucket == nil {
		bucket = new([Signals][]Item)
		g.pending[step] = bucket
	}
	bucket[signal] = append(bucket[signal], it)
}

// poisson draws a count of mean m.
func poisson(rng *rand.Rand, m float64) int {
	n, product, limit := 0, rng.Float64(), math.Exp(-m)
	for product > limit {
		n++
		product *= rng.Float64()
	}
	return n
}

// lognormal draws around a median with sigma nats, clipped.
func lognormal(rng *rand.Rand, median, sigma, lo, hi float64) float64 {
	return max(lo, min(hi, median*math.Exp(sigma*rng.NormFloat64())))
}

// choose draws an index with the given weights, which add up to one.
func choose(rng *rand.Rand, weights ...float64) int {
	r := rng.Float64()
	for i, w := range weights {
		if r < w {
			return i
		}
		r -= w
	}
	return len(weights) - 1
}
