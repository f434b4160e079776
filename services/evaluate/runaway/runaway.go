package runaway

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/evaluate/folds"
	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
)

// Config of a measurement. The zero value of a field is what Default has.
type Config struct {
	// Organisation is the company; its runaways and gamers are set here.
	Organisation organisation.Config
	// Runaways of a company.
	Runaways int
}

// Default is a company of 200 people over half a year, where nobody games and
// five agents run away.
func Default() Config {
	c := organisation.Default()
	c.People, c.Weeks, c.AnnouncedWeek = 200, 26, 18
	c.Gamers.Prevalence = 0
	return Config{Organisation: c, Runaways: 5}
}

// Class counts what a class of subjects heard.
type Class struct {
	Name string
	// Weeks of subjects with requests, and signals about them although nothing ran
	// away.
	Weeks, False int
}

// PerThousand is false signals by 1,000 weeks.
func (c *Class) PerThousand() float64 { return 1000 * float64(c.False) / float64(max(1, c.Weeks)) }

// Seed is what one company showed.
type Seed struct {
	Number uint64
	// Delays of the runaways that were told, sorted; Missed are the others.
	Delays []time.Duration
	Missed int
	// Classes are all subjects, then persons, services, then each look-alike, to
	// several of which a week can belong.
	Classes []Class
	Surges  Surges
}

// Median delay of a company's runaways; false if none was told.
func (s *Seed) Median() (time.Duration, bool) {
	if len(s.Delays) == 0 {
		return 0, false
	}
	return quantile(s.Delays, 50), true
}

// Run measures each seed.
func Run(cfg Config, seeds []uint64) (Result, error) {
	var r Result
	for _, number := range seeds {
		s, err := run(cfg, number)
		if err != nil {
			return Result{}, fmt.Errorf("seed %d: %w", number, err)
		}
		r.Seeds = append(r.Seeds, s)
	}
	return r, nil
}

// opened is a signal that began.
type opened struct {
	// subject, or the kind and name of another scope.
	kind, subject string
	// at is the newest event that was known then, ms.
	at int64
}

func run(cfg Config, number uint64) (Seed, error) {
	c := cfg.Organisation
	c.Runaways = cfg.Runaways
	o, err := organisation.New(number, c)
	if err != nil {
		return Seed{}, err
	}
	var guards, surges []opened
	hidden := map[teamWeek]bool{}
	p := folds.New(func(topic string, body []byte) error {
		if topic == schemas.TopicScores && bytes.Contains(body, []byte(`"`+score.KindGroupSize+`"`)) {
			var g struct {
				Team        string `json:"team"`
				Week        string `json:"iso_week"`
				Publishable bool   `json:"publishable"`
			}
			if err := json.Unmarshal(body, &g); err != nil {
				return fmt.Errorf("decode a group size: %w", err)
			}
			hidden[teamWeek{g.Team, g.Week}] = !g.Publishable
		}
		if topic != schemas.TopicSelf && topic != schemas.TopicSignals {
			return nil
		}
		var r signal.Record
		if err := json.Unmarshal(body, &r); err != nil {
			return fmt.Errorf("decode a record of %s: %w", topic, err)
		}
		x := opened{r.ScopeKind, cmp.Or(r.Subject, r.Scope), r.W + folds.OutOfOrderness}
		switch {
		case signal.Status(r.Status) != signal.Opened:
		case r.Code == "R3":
			surges = append(surges, x)
		case r.Code == "R1" || r.Code == "R2":
			guards = append(guards, x)
		}
		return nil
	})
	p.Whole = true
	last := int64(0)
	for r := range o.Records() {
		if err := p.Push(r.Event, r.Key); err != nil {
			return Seed{}, err
		}
		last = max(last, r.Event.TimeMs)
	}
	if err := p.Finish(c.Tenant, last+window.Day); err != nil {
		return Seed{}, err
	}
	s := Seed{Number: number, Surges: compareSurges(o, surges, hidden)}
	s.compare(o, guards)
	return s, s.Surges.measure(p.Tenant)
}

// afterwards is how long after its end a runaway still explains a signal.
const afterwards = 30 * window.Minute

// compare holds the signals against what happened.
func (s *Seed) compare(o *organisation.Organisation, signals []opened) {
	for _, r := range o.Runaways {
		told := slices.IndexFunc(signals, func(x opened) bool { return x.by(&r) })
		if told < 0 {
			s.Missed++
			continue
		}
		s.Delays = append(s.Delays, time.Duration(signals[told].at-r.FromMs)*time.Millisecond)
	}
	slices.Sort(s.Delays)

	persons := map[string]*organisation.Person{}
	for _, p := range o.People {
		persons[p.Subject] = p
	}
	count := newCount(o)
	for _, x := range signals {
		if slices.ContainsFunc(o.Runaways, func(r organisation.Runaway) bool { return x.by(&r) }) {
			continue
		}
		week := int(window.Floor(x.at-startOf(o), window.Week) / window.Week)
		if p := persons[x.subject]; p != nil && week < o.Config.Weeks {
			count.falsely(o.Plan(p.Index, week).Looks, true)
		} else {
			count.falsely(0, false)
		}
	}
	s.Classes = count.classes
}

func (x opened) by(r *organisation.Runaway) bool { return x.subject == r.Subject && x.during(r) }

func (x opened) during(r *organisation.Runaway) bool {
	return x.at >= r.FromMs && x.at <= r.ToMs+afterwards
}

func startOf(o *organisation.Organisation) int64 {
	start, _ := time.Parse(time.DateOnly, o.Config.Start) // it was validated
	return start.UnixMilli()
}

// count is the classes of one company.
type count struct{ classes []Class }

// newCount counts the weeks in which there was anything to tell of.
func newCount(o *organisation.Organisation) *count {
	c := &count{classes: []Class{{Name: "all subjects"}, {Name: "persons"}, {Name: "services"}}}
	for l := range organisation.Looks() {
		c.classes = append(c.classes, Class{Name: l.String()})
	}
	for _, row := range o.Truth() {
		if row.Requests > 0 {
			c.each(row.Looks, true, func(k *Class) { k.Weeks++ })
		}
	}
	for _, row := range o.ServiceTruth() {
		if row.Requests > 0 {
			c.each(0, false, func(k *Class) { k.Weeks++ })
		}
	}
	return c
}

func (c *count) falsely(looks organisation.Look, person bool) {
	c.each(looks, person, func(k *Class) { k.False++ })
}

func (c *count) each(looks organisation.Look, person bool, add func(*Class)) {
	add(&c.classes[0])
	if !person {
		add(&c.classes[2])
		return
	}
	add(&c.classes[1])
	at := 3
	for l := range organisation.Looks() {
		if looks.Has(l) {
			add(&c.classes[at])
		}
		at++
	}
}
