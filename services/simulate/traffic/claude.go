package traffic

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
)

// Delays in steps: Delayed sessions reach windows that are already closed,
// late ones come more than 48 h behind the watermark.
const (
	delayMin, delayMax = 2, 30
	lateMin, lateMax   = 52, 66
	lateFirstDay       = 3
)

// Names of events that are not requests.
const (
	UserPrompt   = "user_prompt"
	ToolDecision = "tool_decision"
	ToolResult   = "tool_result"
	APIError     = "api_error"
	Compaction   = "compaction"
)

// OldVersion of the tool sent numbers as strings.
const OldVersion = "2.1.81"

// session begins a session of a person with the coding tool.
func (g *Generator) session(rng *rand.Rand, p *org.Person) *Session {
	s := &Session{
		ID: org.UUID(rng), Person: p, Conversation: true,
		Version:  []string{OldVersion, "2.1.158", "2.1.212", "2.1.224"}[choose(rng, .05, .15, .3, .5)],
		Terminal: []string{"vscode", "iTerm.app", "tmux", "ghostty"}[choose(rng, .4, .3, .2, .1)],
		Skew:     int64((rng.Float64() - .5) * 80_000), // honest clocks are off by up to 40 s
	}
	binary.BigEndian.PutUint64(s.Trace[:], rng.Uint64()|1)
	binary.BigEndian.PutUint64(s.Trace[8:], rng.Uint64())
	switch p.Reporting {
	case org.LogsOnly:
		s.Logs = true
	case org.MetricsOnly:
		s.Metrics = true
	case org.SpansOnly:
		s.Spans = true
	default:
		s.Logs, s.Metrics, s.Spans = true, true, true
	}
	s.Gateway = rng.Float64() < .04
	return s
}

// claudeSession plays a session in which somebody works, and returns its tokens
// and how many of them bought nothing.
func (g *Generator) claudeSession(rng *rand.Rand, p *org.Person, day int) (tokens, wasted int64) {
	s := g.session(rng, p)
	g.misfortune(rng, s, day)
	start := g.startTime(rng, p, day)
	play := &playing{g: g, rng: rng, s: s, now: start, context: int64(lognormal(rng, 18_000, .2, 9_000, 30_000))}
	play.factor, play.bloated = size(p, day)
	play.model = pickModel(rng)
	if s.Long = play.model == modelLong; s.Long && !s.Logs && !s.Spans {
		s.Long, play.model = false, modelSonnet
	}
	play.run(int(lognormal(rng, callsPerSession(p)*g.length*.73, .8, 2, 150)))
	return play.tokens, play.wasted
}

// misfortune makes a few sessions report late, much later, or with a clock
// that runs ahead.
func (g *Generator) misfortune(rng *rand.Rand, s *Session, day int) {
	switch choose(rng, .03, .012, .012, .946) {
	case 0:
		s.Delay = delayMin + rng.IntN(delayMax-delayMin+1)
	case 1:
		if day >= lateFirstDay {
			s.Delay = lateMin + rng.IntN(lateMax-lateMin+1)
		}
	case 2:
		s.Skew = fastClock(rng)
	}
}

// fastClock is far enough ahead that everything in an hour's step lies more
// than five minutes after the hour's end.
func fastClock(rng *rand.Rand) int64 { return Hour + 10*60_000 + rng.Int64N(3*Hour) }

// startTime draws when a session of the day begins.
func (g *Generator) startTime(rng *rand.Rand, p *org.Person, day int) int64 {
	hour := choose(rng, p.Hours[:]...)
	local := int64(hour)*Hour + rng.Int64N(Hour)
	midnight := g.cfg.Start + int64(day)*Day
	at := midnight + (local-int64(p.OffsetMinutes)*60_000+Day)%Day
	return at
}

// playing is a session under way. Times are true; what devices say is shifted
// by the session's skew.
type playing struct {
	g       *Generator
	rng     *rand.Rand
	s       *Session
	model   string
	now     int64
	context int64
	cached  int64
	step    int64 // the hour whose counters are being summed
	totals  counters
	prompt  string
	// factor is how much more than they need the contexts hold; what is above 1
	// is wasted if bloated is set, and everything if wasteful is.
	factor            float64
	bloated, wasteful bool
	// tokens so far, and those that bought nothing.
	tokens, wasted int64
}

func (p *playing) run(calls int) {
	p.step = p.now / Hour
	p.totals.first = true
	for calls > 0 {
		p.now += int64(lognormal(p.rng, 45_000, 1, 3_000, 1_500_000))
		p.prompt = org.UUID(p.rng)
		p.activity(UserPrompt, "", true, int64(lognormal(p.rng, 180, 1.1, 3, 20_000)), 0)
		if p.rng.Float64() < .25 {
			p.call(modelSmall, "generate_session_title", 900)
			calls--
		}
		for n := 1 + p.rng.IntN(7); n > 0 && calls > 0; n-- {
			p.call(p.model, "repl_main_thread", p.context)
			calls--
			if n > 1 {
				p.tool()
			}
		}
	}
	p.flush()
}

// activity reports an event that is not a request: as a log, and prompts and
// tools as spans too.
func (p *playing) activity(name, tool string, ok bool, size, duration int64) {
	p.s.seq++
	p.tick()
	a := &Activity{
		At: p.now + p.s.Skew, Name: name, Tool: tool, PromptID: p.prompt, Seq: p.s.seq, OK: ok, Size: size, DurationMs: duration,
	}
	if p.s.Logs && !p.s.Person.Terse {
		p.g.put(Logs, p.now, p.s.Delay, Item{Session: p.s, Activity: a})
	}
	if p.s.Spans && (name == UserPrompt || name == ToolResult) {
		binary.BigEndian.PutUint64(a.Span[:], p.rng.Uint64()|1)
		p.g.put(Spans, p.now, p.s.Delay, Item{Session: p.s, Activity: a})
	}
}

// call makes one model request; context is how long its prompt is.
func (p *playing) call(model, source string, context int64) {
	c := &Call{
		Model: model, Source: source, PromptID: p.prompt,
		DurationMs: int64(lognormal(p.rng, 6_000, .7, 400, 120_000)),
		Input:      2 + p.rng.Int64N(12),
		Output:     int64(lognormal(p.rng, 320, 1.1, 1, 16_000)),
		RequestID:  fmt.Sprintf("req_%011x%011x", p.rng.Uint64()>>20, p.rng.Uint64()>>20),
	}
	if p.rng.Float64() < .015 {
		p.activity(APIError, "", false, 529, c.DurationMs)
	}
	c.TTFTMs = c.DurationMs / 5
	p.now += c.DurationMs
	p.s.seq++
	c.Seq = p.s.seq
	binary.BigEndian.PutUint64(c.Span[:], p.rng.Uint64()|1)
	if source == "repl_main_thread" {
		c.CacheRead, c.CacheWrite = p.cached, context-p.cached
		p.cached = context
		p.grow(c.Output)
	} else {
		c.Input = context
	}
	p.swell(c)
	c.CostMicros = toolCostMicros(c)
	c.End = p.now + p.s.Skew
	c.DurationMs = min(c.DurationMs, c.End%Hour) // starts and ends in one hour
	p.tick()
	p.report(c)
}

// swell makes a request carry more than it needs, and counts.
func (p *playing) swell(c *Call) {
	needed := c.Input + c.CacheRead + c.CacheWrite + c.Output
	if p.factor > 1 {
		c.CacheRead = int64(float64(c.CacheRead) * p.factor)
		c.CacheWrite = int64(float64(c.CacheWrite) * p.factor)
	}
	all := c.Input + c.CacheRead + c.CacheWrite + c.Output
	switch {
	case p.wasteful:
		c.Wasted = all
	case p.bloated:
		c.Wasted = all - needed
	}
	p.tokens, p.wasted = p.tokens+all, p.wasted+c.Wasted
}

// grow lengthens the context by what was said, and compacts it at the limit.
func (p *playing) grow(output int64) {
	limit := int64(165_000)
	if p.s.Long {
		limit = 600_000
	}
	p.context += output + int64(lognormal(p.rng, 1_300, 1.2, 20, 40_000))
	if p.s.Long {
		p.context += 20_000
	}
	if p.context > limit {
		p.activity(Compaction, "", true, p.context, 0)
		p.context, p.cached = 30_000, 0
	}
}

func (p *playing) report(c *Call) {
	s, g := p.s, p.g
	if s.Logs {
		g.put(Logs, p.now, s.Delay, Item{Session: s, Call: c})
		if p.rng.Float64() < .004 {
			g.put(Logs, p.now, s.Delay, Item{Session: s, Call: c, Fault: Repeat})
		}
	}
	if s.Spans {
		g.put(Spans, p.now, s.Delay, Item{Session: s, Call: c})
	}
	if s.Gateway {
		g.put(GenAI, p.now, s.Delay, Item{Session: gatewaySession(s), Call: c})
	}
	p.totals.add(c)
}

// gatewaySession is how a gateway sees a session: it knows no conversation.
func gatewaySession(s *Session) *Session {
	return &Session{ID: s.ID, Person: s.Person, Gateway: true, Provider: "anthropic", Dialect: 1, Delay: s.Delay, Skew: s.Skew, Trace: s.Trace}
}

// tool runs one of the tool's tools between two requests.
func (p *playing) tool() {
	name := []string{"Bash", "Read", "Edit", "Grep", "Write", "mcp__tracker__search"}[choose(p.rng, .3, .28, .18, .14, .06, .04)]
	accept := p.rng.Float64() < .94
	if p.rng.Float64() < .35 || name == "Edit" || name == "Write" {
		p.activity(ToolDecision, name, accept, 0, 0)
		if name == "Edit" || name == "Write" {
			p.totals.decide(accept)
		}
	}
	if !accept {
		return
	}
	duration := int64(lognormal(p.rng, 400, 1.4, 5, 90_000))
	p.now += duration
	size := int64(lognormal(p.rng, 1_500, 1.3, 0, 100_000))
	p.activity(ToolResult, name, p.rng.Float64() < .95, size, duration)
	switch {
	case name == "Bash" && p.rng.Float64() < .03:
		p.totals.commits++
	case name == "Edit" || name == "Write":
		p.totals.added += size / 60
		p.totals.removed += size / 200
	}
}

// tick closes the counters of an hour when time has passed into the next.
func (p *playing) tick() {
	if hour := p.now / Hour; hour != p.step {
		p.flush()
		p.step = hour
	}
}
