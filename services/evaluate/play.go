package evaluate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/evaluate/folds"
	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
)

// judged is how long after its Monday the tenant fold judges a week.
const judged = window.Week + 3*window.Day

// play sends an organisation through the folds and notes what they say.
func play(ctx context.Context, s scenario, seed uint64, base organisation.Config) (*run, error) {
	c := s.config(base)
	o, err := organisation.New(seed, c)
	if err != nil {
		return nil, err
	}
	p := newPlayer(o, s)
	pipe := folds.New(p.take)
	pipe.Whole = s.Signals
	pipe.Tenant.ScoreOnly(wholeWeeks)
	pipe.Tenant.Observe(tenant.Observer{Week: func(in *signal.Input, _ *signal.State, result *signal.Result) {
		if result == nil {
			in.Observe = func(subject, code string, r *signal.Reading) { p.observe(in.WeekStart, subject, code, r) }
		}
	}})
	if err := through(ctx, o, pipe, func() { p.run.Events++ }); err != nil {
		return nil, fmt.Errorf("seed %d: %w", seed, err)
	}
	p.finish()
	return p.run, nil
}

// wholeWeeks are the ends that scores are compared with the truth for.
func wholeWeeks(end int64) bool { return end == window.WeekStart(end) }

// through sends everything that an organisation announces through the folds, and
// lets time pass until the last week was judged and no outcome of it can be taken
// back any more.
func through(ctx context.Context, o *organisation.Organisation, pipe *folds.Pipeline, sent func()) error {
	config, err := declare(o)
	if err != nil {
		return err
	}
	if err := pipe.Push(config, []byte(o.Config.Tenant)); err != nil {
		return err
	}
	n := 0
	for r := range o.Records() {
		if n++; n%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := pipe.Push(r.Event, r.Key); err != nil {
			return err
		}
		sent()
	}
	return pipe.Finish(o.Config.Tenant, startOf(&o.Config)+int64(o.Config.Weeks+3)*window.Week)
}

// player notes one run.
type player struct {
	o       *organisation.Organisation
	run     *run
	start   int64
	persons map[string]int // by pseudonym
	teams   map[string]int // by name
	kinds   kinds
	signals bool
	// fired and standing are of weeks of people: see baselines, and how many of
	// our signals opened or went on.
	fired, standing map[[2]int]float64
}

func newPlayer(o *organisation.Organisation, s scenario) *player {
	p := &player{
		o: o, start: startOf(&o.Config), signals: s.Signals,
		persons: map[string]int{}, teams: map[string]int{}, kinds: newKinds(), fired: map[[2]int]float64{}, standing: map[[2]int]float64{},
		run: &run{
			Scenario: s.Name, Seed: o.Seed, Weeks: o.Config.Weeks, Announced: o.Config.AnnouncedWeek,
			Alerts: map[string][]alert{}, Shared: map[string]int{}, Nulls: map[string]*chances{},
		},
	}
	for _, person := range o.People {
		p.persons[person.Subject] = person.Index
	}
	for _, t := range o.Teams {
		p.teams[t.Name] = t.Index
	}
	return p
}

// kinds of signals, by code.
type kinds map[string]signal.Kind

func newKinds() kinds {
	k := kinds{}
	for _, d := range signal.Catalogue() {
		k[d.Code] = d.Kind
	}
	return k
}

// raised returns the rule that an alert counts for, and the time it speaks of: a guard
// tells at once, any other signal when the week has been judged.
func (k kinds) raised(code string, openedAt int64) (rule string, at int64) {
	if k[code] == signal.Immediate {
		return ruleGuards, openedAt
	}
	return ruleOurs, openedAt - judged
}

// crossed notes how suspicious a week of a person is if a mechanism crossed its
// thresholds in it.
func (k kinds) crossed(fired map[[2]int]float64, at [2]int, code string, r *signal.Reading) {
	if r.Measure == signal.Fired && k[code] == signal.Mechanism {
		fired[at] = max(fired[at], suspicion(r.P))
	}
}

// week is the index of the week that a time lies in.
func (p *player) week(ms int64) int { return int((window.WeekStart(ms) - p.start) / window.Week) }

// take notes a record of the tenant fold.
func (p *player) take(topic string, body []byte) error {
	switch topic {
	case schemas.TopicSelf, schemas.TopicSignals:
		return p.takeSignal(body)
	case schemas.TopicKPI:
		return p.takeCard(body)
	case schemas.TopicScores:
		return p.takeScore(body)
	}
	return nil
}

func (p *player) takeSignal(body []byte) error {
	if !p.signals {
		return nil
	}
	var r struct {
		Kind, Subject, Code, Status string
		ScopeKind                   string `json:"scope_kind"`
		OpenedAt                    int64  `json:"opened_at"`
		UpdatedAt                   int64  `json:"updated_at"`
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return fmt.Errorf("read signal: %w", err)
	}
	rule, at := p.kinds.raised(r.Code, r.OpenedAt)
	person, known := p.persons[r.Subject]
	if goesOn := r.Status == string(signal.Opened) || r.Status == string(signal.Updated); goesOn && known && rule == ruleOurs {
		p.standing[[2]int{person, p.week(r.UpdatedAt - judged)}]++
	}
	if r.Status != string(signal.Opened) {
		return nil
	}
	switch week := p.week(at); {
	case r.Kind != signal.KindSelf:
		p.run.Shared[r.Code+" "+r.ScopeKind]++
	case !known:
		p.run.Shared[r.Code+" key"]++
	default:
		p.alert(rule, person, week, r.Code)
	}
	return nil
}

// observe notes a reading of a person's week.
func (p *player) observe(weekStart int64, subject, code string, r *signal.Reading) {
	person, known := p.persons[subject]
	week := p.week(weekStart)
	if !known || !p.signals || week < 0 || week >= p.run.Weeks {
		return
	}
	p.kinds.crossed(p.fired, [2]int{person, week}, code, r)
	if r.Measure != signal.Fired && r.Measure != signal.Quiet || p.kinds[code] != signal.Mechanism {
		return
	}
	if plan := p.o.Plan(person, week); plan.Wasted == 0 && plan.Useful > 0 {
		if p.run.Nulls[code] == nil {
			p.run.Nulls[code] = &chances{}
		}
		p.run.Nulls[code].add(r.P)
	}
}

func (p *player) takeCard(body []byte) error {
	type check struct {
		Check  string
		Alarm  bool
		Z      *float64
		Reason string
	}
	var r struct {
		Target, Verdict string
		Reasons         []string
		WeekStart       int64    `json:"week_start"`
		Share           *float64 `json:"excess_share"`
		Lo              *float64 `json:"excess_share_lo"`
		Hi              *float64 `json:"excess_share_hi"`
		Cost            *float64 `json:"excess_cost_nanos"`
		Placebo         *float64 `json:"placebo_excess"`
		From            *int64   `json:"compared_from"`
		To              *int64   `json:"compared_to"`
		Checks          []check
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return fmt.Errorf("read card: %w", err)
	}
	if p.week(r.WeekStart) >= p.run.Weeks {
		return nil // outcomes are settled after the last week, in which nobody works
	}
	c := card{Target: r.Target, Verdict: r.Verdict, Reasons: r.Reasons, Week: p.week(r.WeekStart)}
	for _, check := range r.Checks {
		if check.Alarm {
			c.Alarms = append(c.Alarms, check.Check)
		}
		if check.Check == "elasticity" {
			c.Decoupled, c.Z, c.ZKnown = check.Alarm, value(check.Z), check.Z != nil
		}
	}
	c.Known, c.Bounded = r.Share != nil, r.Lo != nil && r.Hi != nil
	c.Share, c.Lo, c.Hi, c.Placebo, c.Cost = value(r.Share), value(r.Lo), value(r.Hi), value(r.Placebo), value(r.Cost)
	if r.From != nil && r.To != nil {
		c.ComparedFrom, c.ComparedTo = p.week(*r.From), p.week(*r.To)
	}
	p.run.Cards = append(p.run.Cards, c)
	return nil
}

func value(x *float64) float64 {
	if x == nil {
		return 0
	}
	return *x
}

// takeScore notes the score of a team.
func (p *player) takeScore(body []byte) error {
	if !p.signals {
		return nil
	}
	if !bytes.HasPrefix(body, []byte(`{"kind":"`+score.KindEfficiency+`"`)) || !bytes.Contains(body, []byte(`"status":"`+score.StatusFinal+`"`)) {
		return nil // of what people did there are many more, and of what is provisional
	}
	var r struct {
		ScopeKind             string `json:"scope_kind"`
		Scope, Window, Status string
		Start                 int64 `json:"window_start"`
		End                   int64 `json:"window_end"`
		Score                 *float64
		Lo                    *float64 `json:"score_lo"`
		Hi                    *float64 `json:"score_hi"`
		Peers                 int      // those it is compared with, 0 where it is not
		Above                 *int     `json:"peers_above"`
		Below                 *int     `json:"peers_below"`
	}
	if err := json.Unmarshal(body, &r); err != nil {
		return fmt.Errorf("read score: %w", err)
	}
	team, known := p.teams[r.Scope]
	if r.ScopeKind != "team" || !known || r.Score == nil || r.Lo == nil || r.Hi == nil || !wholeWeeks(r.End) || r.Status != score.StatusFinal {
		return nil
	}
	from, to := p.week(r.Start), p.week(r.End)
	if to > p.run.Weeks {
		return nil // it holds days after the period, of which nothing is announced
	}
	it := efficiency{Team: team, From: from, Week: to, Window: r.Window, Score: *r.Score, Lo: *r.Lo, Hi: *r.Hi}
	if r.Above != nil && r.Below != nil {
		it.Peers, it.Told = r.Peers, *r.Above+*r.Below
	}
	p.run.Scores = append(p.run.Scores, it)
	return nil
}

// finish adds what is known once everything happened.
func (p *player) finish() {
	o, r := p.o, p.run
	sizes := map[int]int{}
	for _, person := range o.People {
		sizes[person.Team(r.Announced)]++
	}
	r.Tokens, r.Wasted = make([]float64, r.Weeks), make([]float64, r.Weeks)
	for _, who := range o.People {
		team := who.Team(r.Announced)
		it := person{Team: team, Role: who.Role, Size: sizes[team]}
		for range organisation.Looks() {
			it.Looks = append(it.Looks, 0)
		}
		for week := range r.Weeks {
			plan := o.Plan(who.Index, week)
			r.Tokens[week] += plan.Tokens()
			r.Wasted[week] += plan.Wasted
			if p.signals && (plan.Useful > 0 || plan.Wasted > 0) {
				r.Judged = append(r.Judged, judgedWeek{int32(who.Index), int32(week), plan.Wasted > 0})
			}
			if plan.Useful == 0 || plan.Wasted > 0 {
				continue
			}
			it.Honest++
			i := 0
			for look := range organisation.Looks() {
				if plan.Looks.Has(look) {
					it.Looks[i]++
				}
				i++
			}
		}
		r.People = append(r.People, it)
	}
	p.episodes()
	for i := range r.Cards {
		if c := &r.Cards[i]; c.ComparedTo > c.ComparedFrom {
			c.True, _ = o.Excess(c.ComparedFrom, c.ComparedTo)
			c.TrueCost = wastedCost(o, c.ComparedFrom, c.ComparedTo)
		}
	}
	if p.signals {
		p.trueScores()
		p.rules()
	}
}

// trueScores sets the truth of the scores.
func (p *player) trueScores() {
	peers := peersOf(p.o)
	for i := range p.run.Scores {
		s := &p.run.Scores[i]
		s.True = 100 * peers.efficiency(s.Team, s.From, s.Week)
		s.TrueOfPersons = 100 * p.o.Efficiency(s.Team, s.From, s.Week) / p.o.Efficiency(organisation.AllTeams, s.From, s.Week)
	}
}

// rules lets the baselines judge the same weeks, and ranks these by each rule.
func (p *player) rules() {
	b := baselines{
		tokens: make([][]float64, len(p.o.People)), roles: make([]string, len(p.o.People)),
		announced: p.run.Announced, leaders: leaderboard, fired: p.fired,
	}
	for i := range p.o.Truth() {
		row := &p.o.Truth()[i]
		b.tokens[row.Person] = append(b.tokens[row.Person], float64(row.Tokens))
	}
	for i, who := range p.o.People {
		b.roles[i] = who.Role
	}
	b.cheap(func(rule string, statistic func(person, week int) float64, above float64) {
		p.run.join(rule, len(p.o.People), func(i, w int) bool { return statistic(i, w) > above }, func(i, w int) alert {
			return p.alertOf(i, w, "")
		})
		p.run.rank(rule, statistic)
	})
	p.run.rank(ruleOurs, func(i, w int) float64 { return p.standing[[2]int{i, w}] })
}

// wastedCost is what gaming cost in weeks, nano-USD.
func wastedCost(o *organisation.Organisation, from, to int) (nanos float64) {
	for _, row := range o.Truth() {
		if row.Week >= from && row.Week < to {
			nanos += float64(row.WastedCost)
		}
	}
	return nanos
}

func (p *player) episodes() {
	for _, e := range p.o.Episodes() {
		it := episode{
			Person: e.Person, Tactic: e.Tactic.String(), Adaptive: e.Adaptive, Intensity: e.Intensity, Derived: e.Derived,
			From: e.From, To: e.To,
		}
		if e.Second != organisation.NoTactic {
			it.Second = e.Second.String()
		}
		for week := e.From; week <= e.To; week++ {
			it.Wasted = append(it.Wasted, p.o.Plan(e.Person, week).Wasted)
		}
		p.run.Episodes = append(p.run.Episodes, it)
	}
}

// windowsLooked is on how many weeks an alert of ours rests: two of three.
const windowsLooked = 3

// alert notes an alert.
func (p *player) alert(rule string, person, week int, code string) {
	p.run.Alerts[rule] = append(p.run.Alerts[rule], p.alertOf(person, week, code))
}

// alertOf is an alert with what may have looked like gaming in its windows.
func (p *player) alertOf(person, week int, code string) alert {
	a := alert{Person: person, Code: code, From: week, To: week}
	for w := max(0, week-windowsLooked+1); w <= min(week, p.run.Weeks-1); w++ {
		a.Looks |= p.o.Plan(person, w).Looks
	}
	return a
}
