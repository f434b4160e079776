package traces

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

// Tactic is a way to burn tokens, by the name that it has in the simulated company.
type Tactic string

// The tactics, each with the signal that names it.
const (
	ContextBloat  Tactic = "context_bloat"   // S1
	Duplicates    Tactic = "duplicates"      // S2
	VaguePrompts  Tactic = "vague_prompts"   // S3
	RoundTheClock Tactic = "round_the_clock" // S5
	Timer         Tactic = "timer"           // S5
	TopUp         Tactic = "top_up"          // S8
	EndSurge      Tactic = "end_surge"       // S9
	CheapLoop     Tactic = "cheap_loop"      // S11
	CacheBusting  Tactic = "cache_busting"   // S12
)

// Tactics lists all.
func Tactics() []Tactic {
	return []Tactic{ContextBloat, Duplicates, VaguePrompts, RoundTheClock, Timer, TopUp, EndSurge, CheapLoop, CacheBusting}
}

// Signal is the code of the signal that names a tactic.
func (t Tactic) Signal() string {
	return map[Tactic]string{
		ContextBloat: "S1", Duplicates: "S2", VaguePrompts: "S3", RoundTheClock: "S5", Timer: "S5", TopUp: "S8", EndSurge: "S9",
		CheapLoop: "S11", CacheBusting: "S12",
	}[t]
}

// Lacks is what the trace does not have that a tactic could be shown by; empty if it
// has all.
func (b *Base) Lacks(t Tactic) string {
	switch {
	case t == CheapLoop:
		return "prices of its models"
	case t == CacheBusting:
		return "conversations"
	case t == VaguePrompts:
		return "side effects of answers"
	case !b.Prefixed && t == Duplicates:
		return "hashes of prompts"
	}
	return ""
}

// Episode is a stretch of weeks, From and To among them, in which somebody games in
// the weeks that had work.
type Episode struct {
	Person   int
	Tactic   Tactic
	Times    float64 // tokens of a week, by those of its work
	From, To int
}

// Least weeks with work that a person has before an episode and in it.
const (
	LeastBefore = 4
	LeastWithin = 3
)

// Onset is the first week in which somebody has enough weeks with work behind
// and before them; false if there is none.
func (b *Base) Onset(person int) (week int, ok bool) {
	p := &b.People[person]
	before, after := 0, 0
	for _, u := range p.Tokens {
		if u > 0 {
			after++
		}
	}
	for w, u := range p.Tokens {
		if before >= LeastBefore && after >= LeastWithin && u > 0 {
			return w, true
		}
		if u > 0 {
			before++
			after--
		}
	}
	return 0, false
}

// Inject returns the requests of a person with those of an episode, in order of
// time, and the tokens that were wasted in each of its weeks. The same seed injects
// the same.
func (b *Base) Inject(e *Episode, seed uint64) (requests []Request, wasted []float64) {
	p := &b.People[e.Person]
	requests = slices.Clone(p.Requests)
	wasted = make([]float64, e.To-e.From+1)
	rng := rand.New(rand.NewPCG(seed, uint64(e.Person)))
	for week := e.From; week <= e.To; week++ {
		waste := (e.Times - 1) * p.Tokens[week]
		if e.Tactic == TopUp { // who can reach the target does, whatever it takes up to that
			gap := 1.03*float64(b.Target) - p.Tokens[week]
			if gap > waste {
				gap = 0
			}
			waste = max(0, gap)
		}
		if waste < 1 {
			continue
		}
		in := &injection{b: b, rng: rng, start: b.Start + int64(week)*window.Week, waste: waste}
		for i := range requests {
			if r := &requests[i]; b.Week(r.At) == week && r.tokens() > 0 {
				in.work = append(in.work, r)
			}
		}
		if e.Tactic == ContextBloat {
			in.bloat()
		} else {
			requests = append(requests, in.extra(e.Tactic)...)
		}
		wasted[week-e.From] = waste
	}
	slices.SortStableFunc(requests, func(x, y Request) int { return cmp.Compare(x.At, y.At) })
	return requests, wasted
}

// injection is what is added to one week.
type injection struct {
	b     *Base
	rng   *rand.Rand
	start int64 // of the week, local ms
	waste float64
	work  []*Request
}

// bloat loads the same blob into every request.
func (in *injection) bloat() {
	each := int64(in.waste / float64(len(in.work)))
	for _, r := range in.work {
		r.Context += each
	}
}

// extra are the requests of a tactic: as large as those of the week, and scaled to
// the waste.
func (in *injection) extra(t Tactic) []Request {
	var sum float64
	for _, r := range in.work {
		sum += float64(r.tokens())
	}
	n := float64(len(in.work)) * in.waste / sum
	bound := func(low, high float64) int { return int(max(low, min(high, math.Round(n)))) }
	var at []int64
	switch t {
	case RoundTheClock:
		for range bound(200, 500) {
			at = append(at, in.rng.Int64N(window.Week))
		}
	case Timer:
		at = in.tick(bound(60, 400))
	case TopUp, EndSurge: // Sunday evening
		for range bound(8, 150) {
			at = append(at, 6*window.Day+17*window.Hour+in.rng.Int64N(6*window.Hour))
		}
	default: // beside work
		for range bound(8, 400) {
			near := in.b.local(in.work[in.rng.IntN(len(in.work))].At) - in.start
			at = append(at, max(0, min(window.Week-1, near+in.rng.Int64N(2*window.Hour)-window.Hour)))
		}
	}
	slices.Sort(at)
	out := make([]Request, len(at))
	for i := range out {
		out[i] = *in.work[in.rng.IntN(len(in.work))]
		out[i].At, out[i].Duration, out[i].Wasted = in.start+at[i]-int64(in.b.Offset)*window.Minute, 4000, true
		out[i].Prompt, out[i].Target = in.rng.Uint64()|1, in.rng.Uint64()|1
	}
	switch t {
	case Duplicates:
		for i := range out {
			out[i].Prompt, out[i].Target = out[i%4].Prompt, out[i%4].Target
		}
	case VaguePrompts:
		for i := range out {
			out[i].New, out[i].Output = max(1, out[i].New/8), 4*out[i].Output
		}
	default:
	}
	in.scale(out)
	return out
}

// tick fires every few minutes of the working days, from nine o'clock.
func (in *injection) tick(n int) (at []int64) {
	period := []int64{5, 10, 15, 30}[in.rng.IntN(4)] * window.Minute
	for day := range int64(5) {
		for i := range int64(min(n/5+1, int(14*window.Hour/period))) {
			at = append(at, day*window.Day+9*window.Hour+i*period+in.rng.Int64N(4000))
		}
	}
	return at
}

// scale makes the tokens of requests add up to the waste.
func (in *injection) scale(requests []Request) {
	var sum float64
	for i := range requests {
		sum += float64(requests[i].tokens())
	}
	for i := range requests {
		r := &requests[i]
		r.weight = in.waste / sum
		size := *r
		r.size(&size)
		if !in.b.Prefixed {
			r.Prompt, r.Target = 0, 0
		}
	}
}
