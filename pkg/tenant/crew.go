package tenant

import (
	"cmp"
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// crew is what the people of one role in one team did, for as long as an
// efficiency score asks: raw counts, which are valued when they are scored, so
// that past and present are worth what the configuration in force says.
type crew struct {
	role string
	days window.Tier[workday]
	// outcomes are sorted, see compareOutcomes.
	outcomes []outcome
}

// workday is one UTC day of a crew.
type workday struct {
	// cost is at constant price, nano-USD.
	cost, records, unpriced int64
	// people worked in the seven days that end with this one; it is counted at
	// the midnights after, while facts of the day may still come.
	people int64
}

// outcome is the standing credit of outcomes that are alike.
type outcome struct {
	day    int64
	kind   goodhartv1.OutcomeKind
	ticket uint64
	// stated is what the source says one is worth, −1 if it does not.
	stated int64
	linked link

	provisional, final int32
}

// link says whether an outcome is linked to usage.
type link int8

const (
	linkUnknown link = iota
	linkNone
	linkFound
)

func linkOf(found *bool) link {
	switch {
	case found == nil:
		return linkUnknown
	case *found:
		return linkFound
	}
	return linkNone
}

func compareOutcomes(a, b outcome) int {
	return cmp.Or(cmp.Compare(a.day, b.day), cmp.Compare(a.kind, b.kind), cmp.Compare(a.ticket, b.ticket),
		cmp.Compare(a.stated, b.stated), cmp.Compare(a.linked, b.linked))
}

// crew returns the crew of a role, which it creates if it is absent.
func (s *scope) crew(role string) *crew {
	at, found := slices.BinarySearchFunc(s.crews, role, func(c *crew, role string) int { return strings.Compare(c.role, role) })
	if !found {
		s.crews = slices.Insert(s.crews, at, &crew{role: strings.Clone(role)})
	}
	return s.crews[at]
}

// spend adds what a cell of the crew used in a minute.
func (c *crew) spend(start int64, cell *goodhartv1.Cell) {
	d := c.days.At(window.Floor(start, window.Day))
	d.cost += cell.CostNanos + cell.BaseDifferenceNanos
	d.records += cell.Records
	d.unpriced += cell.UnpricedRequests
}

// credit adds a change of credit.
func (c *crew) credit(o outcome) {
	at, found := slices.BinarySearchFunc(c.outcomes, o, compareOutcomes)
	if !found {
		c.outcomes = slices.Insert(c.outcomes, at, o)
		return
	}
	c.outcomes[at].provisional += o.provisional
	c.outcomes[at].final += o.final
}

// trim forgets the days before t.
func (c *crew) trim(t int64) {
	c.days.Trim(t)
	n, _ := slices.BinarySearchFunc(c.outcomes, t, func(o outcome, t int64) int { return cmp.Compare(o.day, t) })
	c.outcomes = slices.Delete(c.outcomes, 0, n)
}

// empty reports whether nothing is known of what it did.
func (c *crew) empty() bool { return c.days.Len()+len(c.outcomes) == 0 }

// takeCredit books a change of credit on the day of its object. What its author
// merged alone is worth nothing: nobody else accepted it.
func (f *Fold) takeCredit(m *goodhartv1.Feature) (reason string) {
	c := m.Credit
	if c == nil || m.Tenant == "" || m.Subject == "" {
		return "no_credit"
	}
	if c.ObjectDayMs < 0 || c.ObjectDayMs > f.w+window.Day || c.ObjectDayMs%window.Day != 0 {
		return "bad_credit"
	}
	f.stats.Credits++
	if c.ObjectDayMs < f.w-memoryOfDays {
		f.stats.TooOld++
		return ""
	}
	if c.Unreviewed {
		return ""
	}
	t := f.tenant(m.Tenant)
	t.begin(c.ObjectDayMs)
	s := t.scope(f, kindTeam, c.Team)
	in := s.crew(m.Role)
	o := outcome{
		day: c.ObjectDayMs, kind: c.Kind, ticket: c.Ticket, stated: -1, linked: linkOf(c.Linked),
		provisional: c.Provisional, final: c.Final,
	}
	if c.Millipoints != nil {
		o.stated = max(0, *c.Millipoints)
	}
	in.credit(o)
	if isPerson(m) {
		t.person(f, m.Subject).member(s).attend(in, c.ObjectDayMs).own.credit(o)
	}
	return ""
}

// begin notes the first midnight from which everything is known.
func (t *tenant) begin(start int64) {
	if t.since == 0 {
		t.since = max(1, window.Ceil(start, window.Day))
	}
}

// attendance says when a person worked in a crew: bit i of days is the day i
// before the last one.
type attendance struct {
	crew *crew
	last int64
	days uint32
	// own is what the person did in the crew, for as long as the person's own
	// efficiency score asks: see tellPeople.
	own crew
}

// attend notes that a person worked in a crew of the scope at t. The attendance is
// valid until the next one.
func (m *member) attend(c *crew, t int64) *attendance {
	day := window.Floor(t, window.Day) / window.Day
	var a *attendance
	for i := range m.attended {
		if m.attended[i].crew == c {
			a = &m.attended[i]
		}
	}
	if a == nil {
		m.attended = append(m.attended, attendance{crew: c, last: day})
		a = &m.attended[len(m.attended)-1]
	}
	if ahead := day - a.last; ahead > 0 {
		a.days <<= min(ahead, 32)
		a.last = day
	}
	a.days |= uint32(uint64(1) << min(a.last-day, 32))
	a.own.days.At(day * window.Day).people = 1
	return a
}

// worked reports whether the person worked in the seven days that end with a day
// since the epoch.
func (a *attendance) worked(day int64) bool {
	lo, hi := a.last-day, a.last-day+7 // bits
	if hi <= 0 || lo >= 32 {
		return false
	}
	mask := uint64(1)<<hi - 1
	if lo > 0 {
		mask &^= uint64(1)<<lo - 1
	}
	return uint64(a.days)&mask != 0
}

// settled is how many days back, at a midnight, facts may have come for since the
// midnight before.
const settled = 3

// countPeople counts who worked in each crew of a tenant, on the days that may
// have changed.
func (t *tenant) countPeople(midnight int64) {
	for _, s := range t.scopes {
		if s.kind != kindTeam {
			continue
		}
		for back := int64(1); back <= settled; back++ {
			s.countPeople(midnight - back*window.Day)
		}
	}
}

func (s *scope) countPeople(start int64) {
	for _, c := range s.crews {
		if c.days.Any(start, start+window.Day) {
			c.days.At(start).people = 0
		}
	}
	for _, m := range s.members {
		for i := range m.attended {
			if a := &m.attended[i]; a.worked(start / window.Day) {
				a.crew.days.At(start).people++
			}
		}
	}
}

// forgetCrews drops what no score asks for any more.
func (s *scope) forgetCrews(now int64) {
	for _, m := range s.members {
		for i := range m.attended {
			m.attended[i].own.trim(now - memoryOfPeople)
		}
		m.attended = slices.DeleteFunc(m.attended, func(a attendance) bool {
			return (a.last+32)*window.Day <= now && a.own.empty()
		})
	}
	s.crews = slices.DeleteFunc(s.crews, func(c *crew) bool {
		c.trim(now - memoryOfDays)
		return c.empty()
	})
	for i := range s.stated {
		s.stated[i] = slices.DeleteFunc(s.stated[i], func(x statement) bool { return x.end+score.Settling <= now })
	}
}

func saveCrew(c *crew) *goodhartv1.CrewState {
	m := &goodhartv1.CrewState{Role: c.role}
	for i := range c.days.Len() {
		start, d := c.days.Pane(i)
		m.Days = append(m.Days, &goodhartv1.CrewDay{
			StartMs: start, CostNanos: d.cost, Records: d.records, Unpriced: d.unpriced, People: d.people,
		})
	}
	m.Outcomes = each(c.outcomes, func(o outcome) *goodhartv1.CrewOutcome {
		saved := &goodhartv1.CrewOutcome{
			DayMs: o.day, Kind: o.kind, Ticket: o.ticket, Provisional: o.provisional, Final: o.final,
		}
		if o.stated >= 0 {
			saved.Millipoints = &o.stated
		}
		if o.linked != linkUnknown {
			saved.Linked = new(o.linked == linkFound)
		}
		return saved
	})
	return m
}

func (s *scope) loadCrew(m *goodhartv1.CrewState) {
	s.crew(m.Role).load(m)
}

func (c *crew) load(m *goodhartv1.CrewState) {
	for _, d := range m.Days {
		*c.days.At(d.StartMs) = workday{cost: d.CostNanos, records: d.Records, unpriced: d.Unpriced, people: d.People}
	}
	c.outcomes = each(m.Outcomes, func(saved *goodhartv1.CrewOutcome) outcome {
		o := outcome{
			day: saved.DayMs, kind: saved.Kind, ticket: saved.Ticket, stated: -1, linked: linkOf(saved.Linked),
			provisional: saved.Provisional, final: saved.Final,
		}
		if saved.Millipoints != nil {
			o.stated = *saved.Millipoints
		}
		return o
	})
}
