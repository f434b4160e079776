package traces

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

// Base is a log of people whose requests have sizes.
type Base struct {
	Name string
	// Clients: these are programs, no people.
	Clients bool
	// Start is the Monday of the first week, ms; Weeks are ISO weeks of local time,
	// which is Offset minutes east of UTC.
	Start  int64
	Weeks  int
	Offset int
	People []Person
	// Prefixed: cache reads, new turns and repeats are known.
	Prefixed bool
	// Target is the weekly tokens that an invented target asks of everybody: the middle
	// of all weeks in which somebody did something.
	Target int64
}

// Person is somebody, or some program, with all requests in order of time.
type Person struct {
	ID, Group string
	Requests  []Request
	// Tokens by week.
	Tokens []float64
	// Asked is how many requests there are by week.
	Asked []int
}

// Bases combines every log that has no sizes with every trace of sizes; a log with
// sizes is one by itself. Each person takes consecutive requests of the trace of
// sizes from a place of their own, its weight times.
func (s *Set) Bases() []*Base {
	var out []*Base
	for i := range s.logs {
		l := &s.logs[i]
		if l.sized {
			out = append(out, l.base(l.name, nil))
			continue
		}
		for j := range s.sizes {
			out = append(out, l.base(l.name+" × "+s.sizes[j].name, &s.sizes[j]))
		}
	}
	return out
}

func (l *log) base(name string, of *sizes) *Base {
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for i := range l.subjects {
		for _, r := range l.subjects[i].requests {
			first, last = min(first, r.At), max(last, r.At)
		}
	}
	shift := int64(0)
	for first+shift < earliest {
		shift += calendar
	}
	first, last = first+shift, last+shift
	b := &Base{Name: name, Clients: l.clients, Offset: l.offset, Prefixed: of != nil && of.prefixed}
	b.Start = window.WeekStart(b.local(first))
	b.Weeks = 1 + int((b.local(last)-b.Start)/window.Week)
	for i := range l.subjects {
		p := Person{ID: l.subjects[i].id, Group: l.subjects[i].group, Requests: slices.Clone(l.subjects[i].requests)}
		for j := range p.Requests {
			p.Requests[j].At += shift
		}
		if of != nil {
			at := rand.New(rand.NewPCG(uint64(i), 1)).IntN(len(of.requests))
			for j := range p.Requests {
				p.Requests[j].size(&of.requests[(at+j)%len(of.requests)])
			}
		}
		b.count(&p)
		b.People = append(b.People, p)
	}
	b.Target = b.target()
	return b
}

// The folds know days since 2000 alone. After 28 years weekdays and dates fall together
// again: older logs are moved by them.
const calendar = 1461 * window.Week

var earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// size gives a job the tokens of a request, its weight times.
func (r *Request) size(of *Request) {
	times := func(n int64) int64 {
		if n == Unknown {
			return Unknown
		}
		return int64(math.Round(float64(n) * r.weight))
	}
	r.Context, r.Output, r.Read, r.New = times(of.Context), times(of.Output), times(of.Read), times(of.New)
	r.Prompt, r.Target = of.Prompt, of.Target
}

// local is local time as if it were UTC, ms.
func (b *Base) local(at int64) int64 { return at + int64(b.Offset)*window.Minute }

// Week is the number of the week of a time.
func (b *Base) Week(at int64) int { return int((b.local(at) - b.Start) / window.Week) }

// count adds up the weeks of somebody.
func (b *Base) count(p *Person) {
	p.Tokens, p.Asked = make([]float64, b.Weeks), make([]int, b.Weeks)
	for i := range p.Requests {
		r := &p.Requests[i]
		p.Tokens[b.Week(r.At)] += float64(r.tokens())
		p.Asked[b.Week(r.At)]++
	}
}

// From is the first day.
func (b *Base) From() string { return time.UnixMilli(b.Start).UTC().Format(time.DateOnly) }

// Requests of all people.
func (b *Base) Requests() (n int) {
	for i := range b.People {
		n += len(b.People[i].Requests)
	}
	return n
}

// Spread is the median over people with five weeks and more of the standard deviation
// of ln tokens by week: how restless they are. NaN if there is nobody.
func (b *Base) Spread() float64 {
	var all []float64
	for i := range b.People {
		var n, sum, square float64
		for _, u := range b.People[i].Tokens {
			if u > 0 {
				n++
				sum += math.Log(u)
				square += math.Log(u) * math.Log(u)
			}
		}
		if n >= 5 {
			all = append(all, math.Sqrt(max(0, (square-sum*sum/n)/(n-1))))
		}
	}
	if len(all) == 0 {
		return math.NaN()
	}
	return middle(all)
}

// middle sorts values, of which there are some, and returns that in their middle, of
// two the greater.
func middle(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func (b *Base) target() int64 {
	all := []float64{1}
	for i := range b.People {
		for _, u := range b.People[i].Tokens {
			if u > 0 {
				all = append(all, u)
			}
		}
	}
	return max(1, int64(middle(all)))
}

// Hours are in how many distinct hours each subject asked in each week that had any
// request, ascending.
func (b *Base) Hours() []int {
	used := map[[3]int64]bool{}
	weeks := map[[2]int64]int{}
	for i := range b.People {
		for _, r := range b.People[i].Requests {
			week, hour := int64(b.Week(r.At)), b.local(r.At)/window.Hour
			if key := [3]int64{int64(i), week, hour}; !used[key] {
				used[key] = true
				weeks[[2]int64{int64(i), week}]++
			}
		}
	}
	return slices.Sorted(maps.Values(weeks))
}
