package tenant

import (
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// each applies a function to every element.
func each[A, B any](in []A, f func(A) B) []B {
	if len(in) == 0 {
		return nil
	}
	out := make([]B, len(in))
	for i := range in {
		out[i] = f(in[i])
	}
	return out
}

func saveWeeks(weeks []signal.Subject) []*goodhartv1.SubjectWeek {
	return each(weeks, func(s signal.Subject) *goodhartv1.SubjectWeek {
		return &goodhartv1.SubjectWeek{Subject: s.ID, IdentityType: s.Type, Role: s.Role, Week: s.Week}
	})
}

func loadWeeks(saved []*goodhartv1.SubjectWeek) []signal.Subject {
	return each(saved, func(s *goodhartv1.SubjectWeek) signal.Subject {
		return signal.Subject{ID: s.Subject, Type: s.IdentityType, Role: s.Role, Week: s.Week}
	})
}

// saveSignals is what the evaluation of signals remembers.
func saveSignals(s *signal.State) *goodhartv1.SignalState {
	return &goodhartv1.SignalState{
		Subjects: each(s.Subjects, saveHistory),
		Groups: each(s.Groups, func(g signal.GroupState) *goodhartv1.GroupHistory {
			return &goodhartv1.GroupHistory{Code: g.Code, Kind: g.Kind, Scope: g.Scope, Windows: each(g.Windows, saveWindow)}
		}),
		Signals: each(s.Signals, saveStanding),
		Mutes: each(s.Mutes, func(m signal.Mute) *goodhartv1.SignalMute {
			return &goodhartv1.SignalMute{Code: m.Code, Kind: m.Kind, Scope: m.Scope, UntilMs: m.Until}
		}),
		Repeats: each(s.Repeats, func(r signal.RepeatWeek) *goodhartv1.RepeatHistory {
			return &goodhartv1.RepeatHistory{WeekMs: r.Week, RepeatedRequests: r.Repeated, Pairs: r.Pairs}
		}),
		Adoption: each(s.Adoption, saveAdoption),
	}
}

func loadSignals(m *goodhartv1.SignalState) signal.State {
	return signal.State{
		Subjects: each(m.GetSubjects(), loadHistory),
		Groups: each(m.GetGroups(), func(g *goodhartv1.GroupHistory) signal.GroupState {
			return signal.GroupState{Code: g.Code, Kind: g.Kind, Scope: g.Scope, Windows: each(g.Windows, loadWindow)}
		}),
		Signals: each(m.GetSignals(), loadStanding),
		Mutes: each(m.GetMutes(), func(x *goodhartv1.SignalMute) signal.Mute {
			return signal.Mute{Code: x.Code, Kind: x.Kind, Scope: x.Scope, Until: x.UntilMs}
		}),
		Repeats: each(m.GetRepeats(), func(r *goodhartv1.RepeatHistory) signal.RepeatWeek {
			return signal.RepeatWeek{Week: r.WeekMs, Repeated: r.RepeatedRequests, Pairs: r.Pairs}
		}),
		Adoption: each(m.GetAdoption(), loadAdoption),
	}
}

func saveHistory(s signal.SubjectState) *goodhartv1.SubjectHistory {
	return &goodhartv1.SubjectHistory{
		Subject: s.Subject, WeekMs: s.Week, TzOffsetMin: s.TzOffsetMin,
		ModelChangedMs: s.ModelChanged, VersionChangedMs: s.VersionChanged,
		RepositoryChangedMs: s.RepositoryChanged, TzChangedMs: s.TzChanged,
		Families: each(s.Families, func(x signal.Family) *goodhartv1.FamilyHistory {
			return &goodhartv1.FamilyHistory{Code: x.Code, OnsetMs: x.Onset, Calm: x.Calm, Windows: each(x.Windows, saveWindow), HeldMs: x.Held, Usual: each(x.Usual, saveUsual)}
		}),
		Cheap:  s.Cheap,
		Period: savePeriod(&s.Period), Month: savePeriod(&s.Month),
	}
}

func loadHistory(m *goodhartv1.SubjectHistory) signal.SubjectState {
	return signal.SubjectState{
		Subject: m.Subject, Week: m.WeekMs, TzOffsetMin: m.TzOffsetMin,
		ModelChanged: m.ModelChangedMs, VersionChanged: m.VersionChangedMs,
		RepositoryChanged: m.RepositoryChangedMs, TzChanged: m.TzChangedMs,
		Families: each(m.Families, func(x *goodhartv1.FamilyHistory) signal.Family {
			return signal.Family{Code: x.Code, Onset: x.OnsetMs, Calm: x.Calm, Windows: each(x.Windows, loadWindow), Held: x.HeldMs, Usual: each(x.Usual, loadUsual)}
		}),
		Cheap:  m.Cheap,
		Period: loadPeriod(m.Period), Month: loadPeriod(m.Month),
	}
}

func saveUsual(u signal.Usual) *goodhartv1.Baseline {
	return &goodhartv1.Baseline{Statistic: u.Statistic, Median: u.Median, Mad: u.MAD, Weeks: u.Weeks}
}

func loadUsual(m *goodhartv1.Baseline) signal.Usual {
	return signal.Usual{Statistic: m.Statistic, Median: m.Median, MAD: m.Mad, Weeks: m.Weeks}
}

func saveWindow(w signal.Window) *goodhartv1.SignalWindow {
	return &goodhartv1.SignalWindow{WeekMs: w.Week, Fired: w.Fired, P: w.P}
}

func loadWindow(m *goodhartv1.SignalWindow) signal.Window {
	return signal.Window{Week: m.WeekMs, Fired: m.Fired, P: m.P}
}

func saveStanding(s signal.Standing) *goodhartv1.StandingSignal {
	m := &goodhartv1.StandingSignal{
		Id: s.ID, Code: s.Code, Kind: s.Kind, Scope: s.Scope, Team: s.Team,
		Label: string(s.Label), Severity: string(s.Severity), Status: string(s.Status), Rev: s.Rev,
		OpenedMs: s.OpenedAt, UpdatedMs: s.UpdatedAt, ResolvedMs: s.ResolvedAt, SeenMs: s.SeenAt,
		Reviewed: s.Reviewed, Quiet: s.Quiet, Crossed: s.Crossed,
	}
	if s.CostKnown {
		m.CostNanos = &s.CostNanos
	}
	return m
}

func loadStanding(m *goodhartv1.StandingSignal) signal.Standing {
	return signal.Standing{
		ID: m.Id, Code: m.Code, Kind: m.Kind, Scope: m.Scope, Team: m.Team,
		Label: signal.Label(m.Label), Severity: signal.Severity(m.Severity), Status: signal.Status(m.Status), Rev: m.Rev,
		OpenedAt: m.OpenedMs, UpdatedAt: m.UpdatedMs, ResolvedAt: m.ResolvedMs, SeenAt: m.SeenMs,
		Reviewed: m.Reviewed, Quiet: m.Quiet, Crossed: m.Crossed,
		CostNanos: m.GetCostNanos(), CostKnown: m.CostNanos != nil,
	}
}

func saveAdoption(a signal.AdoptionState) *goodhartv1.AdoptionHistory {
	return &goodhartv1.AdoptionHistory{
		Target: a.Target, Before: a.Before[:], After: a.After[:],
		Weeks: each(a.Weeks, func(w signal.AdoptionWeek) *goodhartv1.AdoptionWeek {
			return &goodhartv1.AdoptionWeek{WeekMs: w.Week, People: w.People, Excess: w.Excess, Variance: w.Variance}
		}),
	}
}

func loadAdoption(m *goodhartv1.AdoptionHistory) signal.AdoptionState {
	a := signal.AdoptionState{
		Target: m.Target,
		Weeks: each(m.Weeks, func(w *goodhartv1.AdoptionWeek) signal.AdoptionWeek {
			return signal.AdoptionWeek{Week: w.WeekMs, People: w.People, Excess: w.Excess, Variance: w.Variance}
		}),
	}
	copy(a.Before[:], m.Before)
	copy(a.After[:], m.After)
	return a
}

func savePeriod(p *signal.PeriodState) *goodhartv1.PeriodHistory {
	return &goodhartv1.PeriodHistory{
		Target: p.Target, Period: string(p.Period), Metric: string(p.Metric), StartMs: p.Start,
		Amount: p.Amount, Late: p.Late, Last: p.Last, Outcomes: p.Outcomes, LateOutcomes: p.LateOutcomes, Requests: p.Requests,
		EarlyDays: p.EarlyDays, LateDays: p.LateDays, Held: savePeriodUsual(p.Held),
		Closed: each(p.Closed, func(c signal.ClosedPeriod) *goodhartv1.ClosedPeriod {
			return &goodhartv1.ClosedPeriod{
				StartMs: c.Start, Amount: c.Amount, Requests: c.Requests,
				LnAmount: c.LnAmount, LateLogit: c.LateLogit, LateWorked: c.LateWorked, Outcomes: c.Outcomes, LateOutcomes: c.LateOutcomes,
				LastShare: c.LastShare, Counted: c.Counted, Hit: c.Hit, P: c.P, Surge: c.Surge, LateZ: c.LateZ, AmountZ: c.AmountZ,
			}
		}),
	}
}

func loadPeriod(m *goodhartv1.PeriodHistory) signal.PeriodState {
	return signal.PeriodState{
		Target: m.GetTarget(), Period: policy.Period(m.GetPeriod()), Metric: policy.Metric(m.GetMetric()), Start: m.GetStartMs(),
		Amount: m.GetAmount(), Late: m.GetLate(), Last: m.GetLast(), Outcomes: m.GetOutcomes(), LateOutcomes: m.GetLateOutcomes(),
		Requests: m.GetRequests(), EarlyDays: m.GetEarlyDays(), LateDays: m.GetLateDays(), Held: loadPeriodUsual(m.GetHeld()),
		Closed: each(m.GetClosed(), func(c *goodhartv1.ClosedPeriod) signal.ClosedPeriod {
			return signal.ClosedPeriod{
				Start: c.StartMs, Amount: c.Amount, Requests: c.Requests,
				LnAmount: c.LnAmount, LateLogit: c.LateLogit, LateWorked: c.LateWorked, Outcomes: c.Outcomes, LateOutcomes: c.LateOutcomes,
				LastShare: c.LastShare, Counted: c.Counted, Hit: c.Hit, P: c.P, Surge: c.Surge, LateZ: c.LateZ, AmountZ: c.AmountZ,
			}
		}),
	}
}

func savePeriodUsual(u signal.PeriodUsual) *goodhartv1.PeriodUsual {
	if u.From == 0 {
		return nil
	}
	return &goodhartv1.PeriodUsual{FromMs: u.From, Late: u.Late, LateSpread: u.LateSpread, Amount: u.Amount, AmountSpread: u.AmountSpread}
}

func loadPeriodUsual(m *goodhartv1.PeriodUsual) signal.PeriodUsual {
	return signal.PeriodUsual{From: m.GetFromMs(), Late: m.GetLate(), LateSpread: m.GetLateSpread(), Amount: m.GetAmount(), AmountSpread: m.GetAmountSpread()}
}
