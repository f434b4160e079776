package signal

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

type weekOf = *goodhartv1.Week

func fireContext(w weekOf, _ int) {
	w.ContextLnSum += int64(float64(w.ContextRequests) * 1e6 * math.Log(4))
	w.ContextTokens *= 4
	multiply(w, 4, 4)
}

func fireRepeats(w weekOf, _ int) {
	w.RepeatedRequests, w.RepeatedTokens, w.RepeatedCostNanos = 150, 7_500_000, 20e9
}

func firePrompts(w weekOf, _ int) {
	w.PromptLnSum += int64(float64(w.PromptRequests) * 1e6 * math.Log(4))
	w.AbandonedSessions = 18
}

func fireClock(w weekOf, _ int) {
	w.Hours = hoursBitmap(140)
	w.SinklessCostNanos = w.SessionCostNanos * 6 / 10
}

func fireSink(w weekOf, _ int) {
	w.SinklessSessions = 30
	multiply(w, 2, 3)
}

func fireParallel(w weekOf, k int) {
	w.BusyMs = 6 * w.UnionMs
	fireRepeats(w, k)
}

func fireCheap(w weekOf, k int) {
	multiply(w, 4, 1)
	w.Models = []*goodhartv1.ModelUse{
		{Model: "large", Requests: 100, Tokens: 10_000_000, CostNanos: 22e9},
		{Model: "small", Requests: 300, Tokens: 70_000_000, CostNanos: 18e9},
	}
	fireRepeats(w, k)
}

func fireCache(w weekOf, _ int) { w.CacheTurnReadTokens = w.CacheTurnInputTokens / 5 }

// fireLate puts most of a large week on Friday.
func fireLate(w weekOf, _ int) {
	for day, part := range []float64{0.05, 0.05, 0.05, 0.05, 0.8} {
		w.DayTokens[day] = int64(part * 60e6)
	}
	w.InputUncachedTokens, w.CacheReadTokens = 60e6, 0
}

func weeklyTarget() []policy.Target {
	return []policy.Target{{ID: "T", Metric: policy.Tokens, Threshold: 40e6, Period: policy.Week, Scope: policy.ScopeTenant, AnnouncedAt: policy.Day(firstWeek)}}
}

// registeredSubject is an automation.
func registeredSubject(p *policy.Policy, _ int64) {
	p.Automation = []policy.Automation{{ID: "reports", Subject: subject}}
}

// unconnected leaves most of the team's systems unseen.
func unconnected(p *policy.Policy, _ int64) {
	seen := int64(59)
	p.Teams[0].Connected = &seen
}

// nearTarget moves the target to what is usual.
func nearTarget(p *policy.Policy, _ int64) { p.Targets[0].Threshold = 20e6 }

// resample scales a sample and all of its sums.
func resample(n int64, sample *int64, sums ...*int64) {
	for _, sum := range sums {
		*sum = int64(float64(*sum) / float64(*sample) * float64(n))
	}
	*sample = n
}

func scenarios() []scenario {
	return []scenario{
		{
			code: "S1", history: 1, weeks: 3, fire: fireContext, needsHistory: true,
			sample: func(w weekOf, n int64) { // of few, the shift must be larger
				w.ContextRequests, w.ContextLnSum = n, int64(float64(n)*1e6*(3+math.Log(6)))
			},
			below: map[string]innocent{
				"context per output, times the usual": {week: func(w weekOf, _ int) { w.ContextLnSum = int64(400e6 * (3 + math.Log(2.9))) }},
				"own z of it":                         {week: func(w weekOf, _ int) { setMAD(w, goodhartv1.Statistic_STATISTIC_CONTEXT, 0.35) }},
				"rise of the statistic, by its standard error 1.61/√n": {week: func(w weekOf, _ int) {
					w.ContextRequests, w.ContextLnSum = 30, int64(30e6*(3+math.Log(4)))
				}},
				// Less than twice the tokens in as many requests, where the context is four times
				// as large; and four times the tokens in more than twice as many.
				"tokens per request, times the usual": {week: func(w weekOf, k int) {
					if k == 0 {
						multiply(w, 0.4, 0.4)
						return
					}
					w.Requests = w.Requests * 5 / 2
				}},
			},
			lookAlikes: map[string]innocent{
				"a new model":             model,
				"another repository":      {week: onset(func(w weekOf) { w.RepositoryChanged = true })},
				"retrieval switched on":   version,
				"compaction switched off": team,
				"a declared migration":    {declares: event(policy.Migration)},
				"a declared incident":     {declares: event(policy.Incident)},
			},
		},
		{
			code: "S2", history: 1, weeks: 3, fire: fireRepeats,
			sample: func(w weekOf, n int64) {
				resample(n, &w.PairRequests, &w.RepeatedRequests, &w.RepeatedTokens, &w.PairTokens)
			},
			below: map[string]innocent{
				"share of tokens in repeats":     {week: func(w weekOf, _ int) { w.RepeatedTokens = w.PairTokens * 29 / 100 }},
				"probability by chance, at most": {week: func(w weekOf, _ int) { w.RepeatedRequests = 8 }},
				"share above the team's median": {rest: func(w weekOf) {
					w.RepeatedTokens = w.PairTokens * 31 / 100
					setUsual(w, goodhartv1.Statistic_STATISTIC_REPEATED, 0.31)
				}},
				"requests where p0 is 0.03 or more": {
					rest: func(w weekOf) { w.RepeatedRequests = 20 },
					week: func(w weekOf, _ int) {
						resample(49, &w.PairRequests, &w.RepeatedRequests, &w.RepeatedTokens, &w.PairTokens)
					},
				},
			},
			lookAlikes: map[string]innocent{
				"retries": {week: func(w weekOf, _ int) {
					w.RetriedRequests, w.RepeatedRequests, w.RepeatedTokens = w.RepeatedRequests, 2, 100_000
				}},
				"one change in many files":    {week: func(w weekOf, _ int) { w.PairRequests, w.RepeatedRequests, w.RepeatedTokens = 2000, 2, 100_000 }},
				"an evaluation harness or CI": {service: true},
				"scheduled reports":           {declares: registeredSubject},
				"templates":                   {week: func(w weekOf, _ int) { setUsual(w, goodhartv1.Statistic_STATISTIC_REPEATED, 0.45) }},
				"a declared migration":        {declares: event(policy.Migration)},
				"a habit of the team":         team,
				"a client that resends":       version,
			},
		},
		{
			code: "S3", history: 1, weeks: 3, fire: firePrompts, needsHistory: true,
			sample: func(w weekOf, n int64) { resample(n, &w.PromptRequests, &w.PromptLnSum) },
			below: map[string]innocent{
				"output per new token, times the usual": {week: func(w weekOf, _ int) { w.PromptLnSum = int64(400e6 * (2 + math.Log(2.9))) }},
				"own z of it":                           {week: func(w weekOf, _ int) { setMAD(w, goodhartv1.Statistic_STATISTIC_PROMPT, 0.35) }},
				"probability that the rate of abandoned answers is at most twice the peers', at most": {week: func(w weekOf, _ int) { w.AbandonedSessions = 4 }},
				"sessions": {week: func(w weekOf, _ int) { w.Sessions, w.AbandonedSessions = 19, 15 }},
				"peers":    {rest: func(w weekOf) { w.Tool = "codex" }},
			},
			lookAlikes: map[string]innocent{
				"documentation or scaffolding":   {week: func(w weekOf, _ int) { w.AbandonedSessions = 2 }},
				"learning or teaching":           {others: many, week: func(w weekOf, _ int) { w.PromptLnSum += 400e6 * 2 }},
				"a reasoning model":              model.silent(),
				"prompt skill":                   asks,
				"a client that shortens prompts": version.silent(),
				"a task of the team":             team,
			},
		},
		{
			code: "S4", history: 1, weeks: 3, fire: func(w weekOf, _ int) { w.PaddedTurns = w.DenseTurns / 2 },
			sample: func(w weekOf, n int64) { resample(n, &w.DenseTurns, &w.PaddedTurns) },
			below: map[string]innocent{
				"compression ratio of a padded turn, below": {week: func(w weekOf, _ int) { w.PaddedTurns = 0 }},
				"probability by chance, at most":            {week: func(w weekOf, _ int) { w.PaddedTurns = 1 }},
			},
			lookAlikes: map[string]innocent{
				"logs and tables": asks, "generated or minified text": asks, "encoded data": asks,
				"a source of the team": team.silent(),
			},
		},
		{
			code: "S5", history: 1, weeks: 3, fire: fireClock, needsHistory: true,
			sample: func(w weekOf, n int64) { w.Requests = n },
			below: map[string]innocent{
				"distinct hours":              {week: func(w weekOf, _ int) { w.Hours = hoursBitmap(99) }},
				"usual distinct hours, below": {week: func(w weekOf, _ int) { setUsual(w, goodhartv1.Statistic_STATISTIC_HOURS, 90) }},
				"or: coefficient of variation of the gaps of a day, below": {week: func(w weekOf, _ int) { w.Hours, w.GapCv = hoursBitmap(45), 300_000 }},
				"or: probability of the period by chance, at most":         {week: func(w weekOf, _ int) { w.Hours, w.PeriodResultant = hoursBitmap(45), 588_000 }},
			},
			lookAlikes: map[string]innocent{
				"a registered automation":         {declares: registeredSubject},
				"CI and service accounts":         {service: true},
				"on-call duty":                    {declares: event(policy.OnCall)},
				"travel":                          {week: func(w weekOf, _ int) { w.TzOffsetMin = -480 }},
				"a shared or stolen key":          asks,
				"long batch jobs":                 {week: func(w weekOf, _ int) { w.SinklessCostNanos = w.SessionCostNanos / 4 }},
				"a change of the client":          version,
				"a launch of the team":            team,
				"a declared release or migration": {declares: event(policy.Release)},
			},
		},
		{
			code: "S6", history: 1, weeks: 3, fire: fireSink, needsHistory: true,
			sample: func(w weekOf, n int64) { resample(n, &w.Sessions, &w.SinklessSessions) },
			below: map[string]innocent{
				"probability that the rate is at most twice the peers', at most": {week: func(w weekOf, _ int) { w.SinklessSessions = 20 }},
				"own z of ln cost": {week: func(w weekOf, _ int) { w.CostNanos /= 3 }},
				"share of the team's systems whose outcomes are seen": {declares: unconnected},
				"peers": {rest: func(w weekOf) { w.Tool = "codex" }},
			},
			lookAlikes: map[string]innocent{
				"reading, design, review, learning": {others: many},
				"incident triage":                   {declares: event(policy.Incident)},
				"outcomes that are not seen":        {declares: unconnected},
				"a change of the client":            version.silent(),
				"a phase of the team":               team.silent(),
			},
		},
		{
			code: "S7", history: 1, weeks: 3, fire: fireParallel, needsHistory: true,
			sample: func(w weekOf, n int64) { w.TimedRequests = n },
			below: map[string]innocent{
				"mean concurrency": {week: func(w weekOf, _ int) { w.BusyMs = w.UnionMs * 39 / 10 }},
				"own z of it":      {week: func(w weekOf, _ int) { setMAD(w, goodhartv1.Statistic_STATISTIC_CONCURRENCY, 1.2) }},
			},
			lookAlikes: map[string]innocent{
				"fan-out over worktrees": {week: func(w weekOf, _ int) { w.RepeatedRequests, w.RepeatedTokens = 2, 100_000 }},
				"a change of the client": version.silent(),
				"a way of the team":      team.silent(),
			},
		},
		{
			code: "S8", history: 5, weeks: 5, fire: bunched, targets: weeklyTarget(),
			below: map[string]innocent{
				"periods just above the target": {week: func(w weekOf, k int) {
					if k == 0 {
						evenly(w)
					}
				}},
				"probability by chance, at most": {declares: nearTarget, week: natural},
				"share in the last tenth of the working days": {week: func(w weekOf, _ int) {
					w.DayTokens[0], w.DayTokens[4] = w.DayTokens[0]+w.DayTokens[4]*2/5, w.DayTokens[4]*3/5
				}},
			},
			lookAlikes: map[string]innocent{
				"a budget":                        {week: func(w weekOf, _ int) { w.DayTokens[4] -= 2e6 }},
				"a natural level near the target": {declares: nearTarget, week: natural},
				"a rhythm of the team":            team,
			},
		},
		{
			code: "S9", history: 6, weeks: 2, fire: fireLate, targets: weeklyTarget(),
			sample: func(w weekOf, n int64) { clear(w.DayRequests); w.DayRequests[0], w.DayRequests[4] = n/2, n-n/2 },
			below: map[string]innocent{
				"late share": {week: func(w weekOf, _ int) { w.DayTokens[0], w.DayTokens[4] = 24_600_000, 26_400_000 }},
				// Who is late as ever once, and very late then.
				"own z of its logit, in each": {
					before: func(s *SubjectState) {
						for i := range s.Period.Closed {
							s.Period.Closed[i].LateLogit += 1.1
						}
					},
					week: func(w weekOf, k int) {
						if k == 0 {
							w.DayTokens[0], w.DayTokens[4] = w.DayTokens[0]+20_500_000, w.DayTokens[4]-20_500_000
						}
					},
				},
				"their sum, by the root of their number": {before: func(s *SubjectState) {
					for i := range s.Period.Closed {
						s.Period.Closed[i].LateLogit += float64(i%2) * 1.6
					}
				}},
				"own z of ln amount, mean":                    {week: func(w weekOf, _ int) { multiply(w, 0.35, 1) }},
				"mean logit above that of all their outcomes": {week: func(w weekOf, _ int) { copy(w.DayOutcomes, []int64{0, 0, 0, 1, 4}) }},
			},
			lookAlikes: map[string]innocent{
				"the close of a sprint or quarter": team,
				"a release":                        {declares: event(policy.Release)},
				"part-time work":                   {week: func(w weekOf, k int) { evenly(w) }},
				"a vacation early in the period":   {week: func(w weekOf, _ int) { awayEarly(w) }},
				"a declared vacation":              {declares: event(policy.Vacation)},
			},
		},
		{
			code: "S11", history: 5, weeks: 3, fire: fireCheap, needsHistory: true,
			sample: func(w weekOf, n int64) {
				w.Requests = n
				if n == 0 {
					w.Models = nil
				}
			},
			below: map[string]innocent{
				"rise of the cheap share":   {week: func(w weekOf, _ int) { w.Models[0].Tokens, w.Models[0].CostNanos = 130_000_000, 400e9 }},
				"own z of ln tokens":        {week: func(w weekOf, _ int) { multiply(w, 0.3, 1) }},
				"own z of ln cost, at most": {week: func(w weekOf, _ int) { multiply(w, 1, 3) }},
			},
			lookAlikes: map[string]innocent{
				"good routing":                {week: func(w weekOf, _ int) { w.RepeatedRequests, w.RepeatedTokens = 2, 100_000 }},
				"another model":               elsewhere,
				"a change of the client":      version,
				"a way of the team":           team,
				"a declared change of models": {declares: event(policy.ModelChange)},
			},
		},
		{
			code: "S12", history: 1, weeks: 3, fire: fireCache, needsHistory: true,
			sample: func(w weekOf, n int64) { w.CacheTurns = n },
			below: map[string]innocent{
				"drop of the cache share": {week: func(w weekOf, _ int) { w.CacheTurnReadTokens = w.CacheTurnInputTokens * 51 / 100 }},
				"own z of the drop":       {week: func(w weekOf, _ int) { setMAD(w, goodhartv1.Statistic_STATISTIC_CACHE, 0.15) }},
			},
			lookAlikes: map[string]innocent{
				"a new version of the client": version,
				"an incident of the provider": model,
				"another model":               {week: onset(func(w weekOf) { w.ModelChanged = true })},
				"idle sessions":               {week: func(w weekOf, _ int) { w.CacheTurnReadTokens, w.CacheTurnInputTokens = 800, 1000 }},
				"a setting of the team":       team,
				"a declared change of models": {declares: event(policy.ModelChange)},
			},
		},
	}
}

// silent: nobody else is asked either, because a supporting signal asks nobody.
func (i innocent) silent() innocent {
	i.scope = ""
	return i
}

// many: half of the company does the same.
func many(i int) bool { return i%2 == 0 }

// natural: the subject's amounts spread around the target as they always did.
func natural(w weekOf, k int) {
	amount := []float64{21e6, 26e6, 21e6, 16e6, 21e6}[k]
	for day, part := range []float64{0.1, 0.1, 0.15, 0.15, 0.5} {
		w.DayTokens[day] = int64(part * amount)
	}
}

// bunched: the same, but at a target that is far from what is usual.
func bunched(w weekOf, k int) {
	amount := []float64{41e6, 20e6, 41e6, 20e6, 41e6}[k]
	for day, part := range []float64{0.1, 0.1, 0.15, 0.15, 0.5} {
		w.DayTokens[day] = int64(part * amount)
	}
}

func evenly(w weekOf) {
	for day := range 5 {
		w.DayTokens[day] = 4_000_000
	}
}

// awayEarly: the subject worked on Thursday and Friday alone, evenly.
func awayEarly(w weekOf) {
	clear(w.DayTokens)
	clear(w.DayRequests)
	w.DayTokens[3], w.DayTokens[4] = 30_000_000, 30_000_000
	w.DayRequests[3], w.DayRequests[4] = 200, 200
	copy(w.DayOutcomes, []int64{0, 0, 0, 5, 0})
}

func setMAD(w weekOf, s goodhartv1.Statistic, mad float64) {
	for _, b := range w.Baselines {
		if b.Statistic == s {
			b.Mad = int64(mad * 1e6)
		}
	}
}

func setUsual(w weekOf, s goodhartv1.Statistic, median float64) {
	for _, b := range w.Baselines {
		if b.Statistic == s {
			b.Median = int64(median * 1e6)
		}
	}
}
