package habit

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	days  = 7
	hours = 7 * 24
)

// week is a week that is not yet stated.
type week struct {
	// sums is what will be stated; what follows from the rest is set then.
	sums *goodhartv1.Week
	due  int64
	own  goodhartv1.Week // the place of sums, unless they were loaded

	dayRequests, dayTokens, dayCost, dayOutcomes [days]int64

	teams, tools, toolVersions, models, repositories tally

	phases [periods]phase
	gaps   [days]gaps
	hours  hourly

	repeats *repeats // nil before the first
}

// begin makes an unused week begin.
func (k *week) begin(start int64, offset int32, due int64) {
	k.sums, k.due = &k.own, due
	k.sums.WeekStartMs, k.sums.TzOffsetMin = start, offset
	k.layDays()
}

// layDays makes the days of the week the places that are added to.
func (k *week) layDays() {
	s := k.sums
	s.DayRequests, s.DayTokens = k.dayRequests[:], k.dayTokens[:]
	s.DayCostNanos, s.DayOutcomes = k.dayCost[:], k.dayOutcomes[:]
}

// hour is the local hour of a time within the week, 0 to 167.
func (k *week) hour(t int64) int {
	local := t + int64(k.sums.TzOffsetMin)*window.Minute - k.sums.WeekStartMs
	return int(max(0, min(hours-1, local/window.Hour)))
}

// add adds what is additive in a record.
func (k *week) add(u *Use) {
	s := k.sums
	s.Records++
	s.InputUncachedTokens += u.InputUncached
	s.CacheReadTokens += u.CacheRead
	s.CacheWriteTokens += u.CacheWrite
	s.OutputTokens += u.Output
	s.ReasoningTokens += u.Reasoning
	s.CostNanos += u.CostNanos
	if u.Unpriced {
		s.UnpricedRequests++
	}
	if u.UnknownTokens {
		s.UnknownTokenRequests++
	}
	hour := k.hour(u.TimeMs)
	day := hour / 24
	k.dayTokens[day] += u.tokens()
	k.dayCost[day] += u.CostNanos
	if m := k.models.of(u.Model); m != nil {
		m.tokens += u.tokens()
		m.costNano += u.CostNanos
		if u.Request {
			m.requests++
		}
	}
	if !u.Request {
		return
	}
	k.hours.add(hour)
	k.dayRequests[day]++
	s.Requests++
	if u.Failed {
		s.Errors++
	}
	k.teams.add(u.Team)
	k.tools.add(u.Tool)
	k.toolVersions.add(u.ToolVersion)
	k.repositories.add(u.Repository)
	k.content(u)
}

// content adds what says how a request was put.
func (k *week) content(u *Use) {
	s := k.sums
	if u.Has&(HasContext|HasOutput) == HasContext|HasOutput {
		s.ContextRequests++
		s.ContextTokens += u.context()
		s.ContextLnSum += lnRatio(u.context(), u.Output)
	}
	if u.Has&HasKappa != 0 {
		k.dense(u.KappaPPM)
	}
	if u.Has&HasSideEffects != 0 {
		s.SideEffects += u.SideEffects
	}
}

// answer adds how much came of a new turn.
func (k *week) answer(u *Use, newTurn int64) {
	k.sums.PromptRequests++
	k.sums.PromptLnSum += lnRatio(u.Output-u.Reasoning, newTurn)
}

// dense counts a turn whose compression ratio is known.
func (k *week) dense(ppm int64) {
	k.sums.DenseTurns++
	if ppm < paddedBelow {
		k.sums.PaddedTurns++
	}
}

// paddedBelow is the compression ratio, in millionths, below which a turn of 8 KiB
// is mostly filler: natural text and code stay above it in 999 of 1,000 cases.
const paddedBelow = 30_000

// lnRatio is ln((a+1)/(b+1)) in millionths.
func lnRatio(a, b int64) int64 { return ln(a) - ln(b) }

// ln is ln(n+1) in millionths, 0 for a negative n.
func ln(n int64) int64 { return int64(math.Round(math.Log(float64(max(n, 0))+1) * 1e6)) }

func (k *week) credit(c *Credit) {
	s := k.sums
	s.OutcomesProvisional += c.Provisional
	s.OutcomesFinal += c.Final
	s.OutcomesReverted += c.Reverted
	s.Credits = AddCredit(s.Credits, c)
	k.dayOutcomes[k.hour(c.TimeMs)/24] += c.Provisional + c.Final
}

func (k *week) act(a *Act) {
	k.sums.ReportedOutcomes += a.Outcomes
	k.sums.EditsAccepted += a.Accepted
	k.sums.EditsRejected += a.Rejected
	k.sums.SideEffects += a.SideEffects
	if a.HasKappa {
		k.dense(a.KappaPPM)
	}
}
