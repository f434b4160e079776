package traffic

import (
	"fmt"
	"math/rand/v2"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
)

// Kinds of outcome events.
const (
	PROpened         = "pr_opened"
	PRMerged         = "pr_merged"
	PRClosedUnmerged = "pr_closed_unmerged"
	PRReverted       = "pr_reverted"
	ReviewSubmitted  = "review_submitted"
	CICompleted      = "ci_completed"
	TicketDone       = "ticket_done"
	TicketReopened   = "ticket_reopened"
	DeploySucceeded  = "deployment_succeeded"
	DeployFailed     = "deployment_failed"
)

// How outcomes go: times in ms, delays in steps, shares of all.
const (
	meanLag            = 5 * Day
	reversalLag        = 5 * Day
	reversalMin        = 26 * Hour
	outcomeDelayMax    = 20
	pollerDelay        = 3
	shareReverted      = .07
	shareReopened      = .05
	shareUnmerged      = .08
	shareAround        = .25 // of pull requests with more than their end, in long periods
	shareSecond        = .03
	outcomesDelayed    = .05
	outcomesLate       = .01
	outcomesFastClock  = .01
	maximalLinesOfCode = 5_000
)

// object plays the life of one thing that a person works on and delivers a few
// days later.
func (g *Generator) object(rng *rand.Rand, p *org.Person, person, day, n int) {
	hour := choose(rng, p.Hours[:]...)
	begun := g.cfg.Start + int64(day)*Day + (int64(hour)*Hour+rng.Int64N(Hour)-int64(p.OffsetMinutes)*60_000+Day)%Day
	done := begun + 20*60_000 + int64(rng.ExpFloat64()*float64(meanLag))
	base := Outcome{
		Author: p, Repo: fmt.Sprintf("acme/%s-%d", repoNames()[rng.IntN(len(repoNames()))], 1+person%3),
		Number: 1_000_000 + person*100_000 + day*100 + n,
		Sha:    fmt.Sprintf("%016x%016x%08x", rng.Uint64(), rng.Uint64(), uint32(rng.Uint64())),
		Lines:  int64(lognormal(rng, 60, 1.3, 1, maximalLinesOfCode)),
	}
	switch choose(rng, .72, .2, .08) {
	case 0:
		g.pullRequest(rng, base, begun, done)
	case 1:
		g.credit(rng, base, TicketDone, TicketReopened, done, shareReopened)
	default:
		failed := base
		failed.Kind, failed.At, failed.Sha = DeployFailed, begun, ""
		failed.Number += 50 // another deployment
		if rng.Float64() < .2 {
			g.outcome(failed)
		}
		g.credit(rng, base, DeploySucceeded, "", done, 0)
	}
}

func (g *Generator) pullRequest(rng *rand.Rand, base Outcome, begun, done int64) {
	opened := base
	opened.Kind, opened.At, opened.Sha = PROpened, begun, ""
	if g.org.Target == nil || rng.Float64() < shareAround {
		g.outcome(opened)
		ci := base
		ci.Kind, ci.At = CICompleted, begun+9*60_000
		g.outcome(ci)
		review := base
		review.Kind, review.At, review.Sha = ReviewSubmitted, begun+(done-begun)/2, ""
		g.outcome(review)
	}
	if rng.Float64() < shareUnmerged {
		closed := base
		closed.Kind, closed.At, closed.Sha = PRClosedUnmerged, done, ""
		g.outcome(closed)
		return
	}
	g.credit(rng, base, PRMerged, PRReverted, done, shareReverted)
}

// credit delivers the object and, for a share of them, takes it back later.
func (g *Generator) credit(rng *rand.Rand, base Outcome, kind, reversal string, done int64, share float64) {
	won := base
	won.Kind, won.At = kind, done
	switch choose(rng, outcomesDelayed, outcomesLate, outcomesFastClock, 1-outcomesDelayed-outcomesLate-outcomesFastClock) {
	case 0:
		won.Delay = 1 + rng.IntN(outcomeDelayMax)
	case 1:
		if done >= g.cfg.Start+lateFirstDay*Day {
			won.Delay, share = lateMin+rng.IntN(lateMax-lateMin+1), 0
		}
	case 2:
		won.Skew, share = fastClock(rng), 0
		won.At += won.Skew
	}
	back := base
	if rng.Float64() < share {
		back.Kind, back.At = reversal, done+reversalMin+int64(rng.ExpFloat64()*float64(reversalLag))
		if back.At < g.cfg.End() {
			won.Reverted, won.ReversalAt = true, back.At
			back.Reverts, back.Sha = base.Sha, ""
		}
	}
	g.outcome(won)
	if won.Skew == 0 && won.Delay < lateMin && rng.Float64() < shareSecond {
		polled := won
		polled.Second, polled.Delay = true, won.Delay+pollerDelay
		g.outcome(polled)
	}
	if won.Reverted {
		g.outcome(back)
	}
}

func (g *Generator) outcome(o Outcome) {
	o.ID = fmt.Sprintf("%s-%s-%d", o.Kind, o.Repo, o.Number)
	if o.Second {
		o.ID += "-polled"
	}
	g.put(Outcomes, o.At-o.Skew, o.Delay, Item{Outcome: &o})
}

func repoNames() []string {
	return []string{"api", "web", "ledger", "mobile", "infra", "pipelines", "models", "docs"}
}
