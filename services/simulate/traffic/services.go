package traffic

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
)

// serviceDay plays the programs that call models on their own account and
// report spans after the GenAI conventions, each in its own way.
func (g *Generator) serviceDay(rng *rand.Rand, index, day int) {
	svc := &g.org.Services[index]
	perDay := float64(g.cfg.Events) * .07 / float64(g.cfg.Days*len(g.org.Services))
	for range poisson(rng, perDay/4) {
		s := &Session{ID: org.UUID(rng), Service: svc, Team: svc.Team, Spans: true, Dialect: rng.IntN(3)}
		binary.BigEndian.PutUint64(s.Trace[:], rng.Uint64()|1)
		binary.BigEndian.PutUint64(s.Trace[8:], rng.Uint64())
		var model string
		switch index % 3 {
		case 0: // a bot on a cloud, one conversation per customer
			s.Conversation, s.Provider, model = true, "aws.bedrock", modelBedrock
		case 1: // an indexer without conversations, on a model without a price
			s.Provider, model = "openai", modelOpen
		case 2: // a scheduled job without conversations
			s.Provider, model = "anthropic", modelOldOpus
		}
		g.misfortune(rng, s, day)
		s.Uncached = index == 0 && g.org.LostCache > 0 && day >= g.org.LostCache
		g.serviceRun(rng, s, model, g.cfg.Start+int64(day)*Day+rng.Int64N(Day))
	}
	if r := g.org.Runaway; r != nil && r.Service == index && r.Hour/24 == day {
		g.runAway(rng, svc, r)
	}
}

// runAway plays a service that asks the same again and again, with everything it
// knows, until somebody stops it. The cache makes it cheap, and no less wrong.
func (g *Generator) runAway(rng *rand.Rand, svc *org.Service, r *org.Runaway) {
	s := &Session{ID: org.UUID(rng), Service: svc, Team: svc.Team, Spans: true, Conversation: true, Provider: "aws.bedrock", Runaway: true}
	binary.BigEndian.PutUint64(s.Trace[:], rng.Uint64()|1)
	binary.BigEndian.PutUint64(s.Trace[8:], rng.Uint64())
	begin := g.cfg.Start + int64(r.Hour)*Hour
	for at := begin + 10_000; at < begin+int64(r.Hours)*Hour; at += runawayPause {
		c := &Call{
			End: at, Model: modelBedrock, DurationMs: 900, Input: 3, CacheRead: 190_000, Output: 20,
			RequestID: fmt.Sprintf("resp_%011x%011x", rng.Uint64()>>20, rng.Uint64()>>20),
		}
		binary.BigEndian.PutUint64(c.Span[:], rng.Uint64()|1)
		g.put(GenAI, at, 0, Item{Session: s, Call: c})
	}
}

// runawayPause is the time between two requests of a service that runs away, ms.
const runawayPause = 6_000

func (g *Generator) serviceRun(rng *rand.Rand, s *Session, model string, now int64) {
	for range 1 + rng.IntN(7) {
		c := &Call{
			Model: model, DurationMs: int64(lognormal(rng, 2_500, .6, 200, 60_000)),
			Input:     int64(lognormal(rng, 900, 1, 10, 60_000)),
			Output:    int64(lognormal(rng, 250, .9, 1, 8_000)),
			RequestID: fmt.Sprintf("resp_%011x%011x", rng.Uint64()>>20, rng.Uint64()>>20),
			Failed:    rng.Float64() < .015,
		}
		if rng.Float64() < .6 {
			c.CacheRead = int64(lognormal(rng, 4_000, .5, 1_024, 60_000))
		}
		if s.Uncached {
			c.Input, c.CacheRead = c.Input+c.CacheRead, 0
		}
		if s.Provider == "openai" {
			c.Reasoning = c.Output / 3
		} else if rng.Float64() < .3 {
			c.CacheWrite = int64(lognormal(rng, 2_000, .5, 1_024, 30_000))
		}
		binary.BigEndian.PutUint64(c.Span[:], rng.Uint64()|1)
		now += c.DurationMs + int64(lognormal(rng, 20_000, 1, 500, 600_000))
		c.End = now + s.Skew
		c.DurationMs = min(c.DurationMs, c.End%Hour)
		g.put(GenAI, now, s.Delay, Item{Session: s, Call: c})
	}
}

// batchUsage plays a nightly job that reports its requests as CloudEvents.
func (g *Generator) batchUsage(rng *rand.Rand, day int) {
	svc := &g.org.Services[len(g.org.Services)-1]
	s := &Session{ID: org.UUID(rng), Service: svc, Team: svc.Team, Conversation: true, Provider: "anthropic"}
	now := g.cfg.Start + int64(day)*Day + 2*Hour
	count := max(1, int64(float64(g.cfg.Events)*.02/float64(g.cfg.Days)))
	for range count {
		now += 1 + rng.Int64N(2*nightHours*Hour/count)
		c := &Call{
			End: now, Model: modelSmall, DurationMs: 900, Input: 200 + rng.Int64N(3_000), Output: 20 + rng.Int64N(400),
			RequestID: fmt.Sprintf("batch_%011x%011x", rng.Uint64()>>20, rng.Uint64()>>20),
		}
		g.put(CloudUsage, now, 0, Item{Session: s, Call: c})
	}
}

const nightHours = 4
