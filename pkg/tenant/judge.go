package tenant

import (
	"cmp"
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// judged is how long after its Monday a week is judged: at the midnight when the
// weeks of all subjects, wherever on earth they are, have been stated.
const judged = window.Week + 3*window.Day

// takeWeek keeps a week of a subject until it is judged with those of the others.
func (f *Fold) takeWeek(m *goodhartv1.Feature) (reason string) {
	if m.Week == nil || m.Tenant == "" || m.Subject == "" {
		return "no_week"
	}
	start := m.Week.WeekStartMs
	if start != window.WeekStart(start) {
		return "bad_week"
	}
	if start+judged < f.w {
		f.stats.TooOld++
		return ""
	}
	f.stats.Weeks++
	f.newest = max(f.newest, start)
	t := f.tenant(m.Tenant)
	t.weeks = append(t.weeks, signal.Subject{ID: m.Subject, Type: m.IdentityType, Role: m.Role, Week: m.Week})
	return ""
}

// cross lets a rate guard open or resolve its signal at once.
func (f *Fold) cross(m *goodhartv1.Feature, out *machine.Outputs) (reason string) {
	if m.Guard == nil || m.Tenant == "" || m.Subject == "" {
		return "no_guard"
	}
	t := f.tenant(m.Tenant)
	crossing := signal.Crossing{
		Tenant: t.name, Subject: m.Subject, Type: m.IdentityType, Guard: m.Guard, At: f.w,
		Policy: t.policy, ConfigVersion: t.config.GetVersion(),
	}
	s, said := t.signals.Cross(&crossing)
	if said {
		if f.observer.Crossing != nil {
			f.observer.Crossing(&crossing, &s)
		}
		f.emitSignal(&s, out)
	}
	return ""
}

// judgeWeeks judges the week of every tenant that is due at a midnight.
func (f *Fold) judgeWeeks(midnight int64, out *machine.Outputs) {
	week := midnight - judged
	if week != window.WeekStart(week) {
		return
	}
	for _, t := range f.order {
		f.judgeWeek(t, week, out)
	}
}

func (f *Fold) judgeWeek(t *tenant, week int64, out *machine.Outputs) {
	var subjects []signal.Subject
	t.weeks = slices.DeleteFunc(t.weeks, func(s signal.Subject) bool {
		start := s.Week.WeekStartMs
		if start == week {
			subjects = append(subjects, s)
		}
		return start <= week
	})
	for i := range subjects {
		if s := &subjects[i]; isHuman(s.ID, s.Type) {
			t.panel.add(s, t.policy)
		}
	}
	t.panel.trim(week, f.cfg.PanelWeeks)
	t.trimScored(week, f.cfg.PanelWeeks)
	if len(subjects) == 0 && t.quiet() {
		return
	}
	publishable := t.publishable(week)
	in := signal.Input{
		Tenant: t.name, WeekStart: week, At: f.w, Subjects: subjects, Policy: t.policy, ConfigVersion: t.config.GetVersion(),
		MinimumGroup: f.cfg.MinimumGroup, Publishable: publishable,
	}
	if f.observer.Week != nil {
		f.observer.Week(&in, &t.signals, nil)
	}
	result := signal.Evaluate(&in, &t.signals)
	if f.observer.Week != nil {
		f.observer.Week(&in, &t.signals, &result)
	}
	for i := range result.Signals {
		f.emitSignal(&result.Signals[i], out)
	}
	for _, c := range result.Coverage {
		f.emitCoverage(&signal.WeekCoverage{Coverage: c, Tenant: t.name, WeekStart: week, W: f.w, ConfigVersion: t.config.GetVersion()}, out)
	}
	f.emitCards(t, week, publishable, result.Usage, out)
}

// publishable lists the teams that may be shown in a week.
func (t *tenant) publishable(week int64) map[string]bool {
	teams := map[string]bool{}
	for _, s := range t.scopes {
		for _, g := range s.groups {
			if s.kind == kindTeam && g.week == week && g.reason == score.ReasonOK {
				teams[s.name] = true
			}
		}
	}
	return teams
}

// quiet reports whether nothing waits to be judged and nobody who was is
// remembered.
func (t *tenant) quiet() bool {
	return len(t.weeks)+len(t.signals.Subjects)+len(t.signals.Signals)+len(t.signals.Mutes) == 0
}

// memory is how long after its last week a subject is remembered, at most.
const memory = 28 * window.Week

// configure puts a configuration into force.
func (t *tenant) configure(config *goodhartv1.Config, p *policy.Policy) {
	t.config, t.policy = config, p
	t.learned = nil // outcomes are worth something else now, and people are others
}

// sortWeeks orders weeks for a snapshot: they come in the order of the log, which
// no judgement depends on.
func sortWeeks(weeks []signal.Subject) {
	slices.SortStableFunc(weeks, func(a, b signal.Subject) int {
		return cmp.Or(cmp.Compare(a.Week.WeekStartMs, b.Week.WeekStartMs), strings.Compare(a.ID, b.ID))
	})
}
