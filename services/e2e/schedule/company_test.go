package schedule

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
)

// The truth of package simulate reckons with steps of an hour and a watermark
// that trails the clock by outOfOrderness.
const (
	outOfOrderness = time.Hour + 5*time.Minute
	// tooLate is how far back in time an event is, to be late in any step.
	tooLate = 60 * traffic.Hour
)

// company invents the people whose reports are sent: two teams, somebody whom
// nobody knows, a program of its own and a nightly job. Its tenant tells one
// schedule's rows from another's.
func company(seed uint64, rng *rand.Rand, start time.Time) *org.Org {
	o := &org.Org{
		Tenant: fmt.Sprintf("seed-%d", seed),
		Teams:  []string{"payments", "search"},
		Services: []org.Service{
			{ID: "support-bot", Team: "search", Key: "svc-support-bot"},
			{ID: "nightly-batch", Team: "payments", Key: org.KeyUsage},
		},
	}
	for i := range 5 {
		p := &org.Person{
			ID: fmt.Sprintf("p%d", i), Email: fmt.Sprintf("p%d@acme.example", i), Login: fmt.Sprintf("login%d", i),
			Account: org.UUID(rng), Install: fmt.Sprintf("%064x", rng.Uint64()), Role: "engineer", SignedIn: true,
			Reporting: []org.Reporting{org.Everything, org.Everything, org.LogsOnly, org.MetricsOnly, org.SpansOnly}[i],
		}
		if i != 1 { // a stranger
			p.Known, p.ListsEmail = true, true
			p.Memberships = []org.Membership{{Team: o.Teams[i%2], From: start.AddDate(-1, 0, 0)}}
		}
		o.People = append(o.People, p)
	}
	for _, id := range []string{org.KeyFleet, org.KeyGateway, org.KeyOutcomes, "svc-support-bot", org.KeyUsage} {
		accounting := "billable"
		if id == org.KeyGateway {
			accounting = "observational"
		}
		o.Keys = append(o.Keys, org.Key{
			ID: id, Secret: fmt.Sprintf("%s-%s", o.Tenant, id), Accounting: accounting, Service: id == "svc-support-bot" || id == org.KeyUsage,
		})
	}
	return o
}

// hours invents what the company does and how it is told: a step an hour, all of
// its sessions within a few minutes, so that windows coincide.
type hours struct {
	rng   *rand.Rand
	org   *org.Org
	start int64
	steps []*traffic.Step
	items []map[traffic.Signal][]traffic.Item // by step
	next  int
}

func newHours(rng *rand.Rand, o *org.Org, start time.Time, n int) *hours {
	h := &hours{rng: rng, org: o, start: start.UnixMilli()}
	for i := range n {
		begin := h.start + int64(i)*traffic.Hour
		h.steps = append(h.steps, &traffic.Step{Index: i, Start: begin, End: begin + traffic.Hour})
		h.items = append(h.items, map[traffic.Signal][]traffic.Item{})
	}
	for i := range n {
		for range 2 + rng.IntN(2) {
			h.session(i)
		}
		h.others(i)
	}
	for i := range n {
		h.pack(i)
	}
	return h
}

var models = []string{"claude-sonnet-4-5-20250929", "claude-opus-4-5-20251101", "quartz-preview-1"}

func (h *hours) number() int { h.next++; return h.next }

// put tells an item in a step, or in a later one.
func (h *hours) put(step int, signal traffic.Signal, it traffic.Item) {
	h.items[step][signal] = append(h.items[step][signal], it)
}

// session is somebody's conversation with a tool, told through logs, spans and
// metrics as the installation has it.
func (h *hours) session(step int) {
	p := h.org.People[h.rng.IntN(len(h.org.People))]
	all := p.Reporting == org.Everything
	s := &traffic.Session{
		ID: org.UUID(h.rng), Person: p, Conversation: true, Version: "2.1.224", Terminal: "tmux", Provider: "anthropic",
		Logs: all || p.Reporting == org.LogsOnly, Spans: all || p.Reporting == org.SpansOnly, Metrics: all || p.Reporting == org.MetricsOnly,
		Gateway: h.rng.IntN(6) == 0,
	}
	binary.BigEndian.PutUint64(s.Trace[:], h.rng.Uint64()|1)
	told, now := step, h.steps[step].Start+20*60_000+h.rng.Int64N(60_000)
	switch h.rng.IntN(8) {
	case 0: // delivered when its windows are closed
		told = min(step+1+h.rng.IntN(3), len(h.steps)-1)
	case 1: // much too late for any score
		now -= tooLate
	case 2: // by a clock that is fast
		now += 2*traffic.Hour + h.rng.Int64N(traffic.Hour)
	}
	var calls []*traffic.Call
	for range 1 + h.rng.IntN(4) {
		now += 1_000 + h.rng.Int64N(20_000)
		calls = append(calls, h.call(s, told, now))
	}
	if s.Metrics {
		h.counters(s, told, calls)
	}
}

func (h *hours) call(s *traffic.Session, told int, end int64) *traffic.Call {
	n := h.number()
	c := &traffic.Call{
		End: end, DurationMs: 500, TTFTMs: 100, Model: models[h.rng.IntN(len(models))],
		Input: 1 + h.rng.Int64N(900), CacheRead: h.rng.Int64N(9_000), CacheWrite: h.rng.Int64N(2_000), Output: 1 + h.rng.Int64N(700),
		CostMicros: 1 + h.rng.Int64N(90_000), RequestID: fmt.Sprintf("req_%d", n), PromptID: s.ID, Source: "main", Seq: uint64(n),
	}
	binary.BigEndian.PutUint64(c.Span[:], uint64(n))
	if s.Logs {
		h.put(told, traffic.Logs, traffic.Item{Session: s, Call: c})
		if h.rng.IntN(10) == 0 {
			h.put(told, traffic.Logs, traffic.Item{Session: s, Call: c, Fault: traffic.Repeat})
		}
		if h.rng.IntN(3) == 0 {
			h.put(told, traffic.Logs, traffic.Item{Session: s, Activity: &traffic.Activity{
				At: end, Name: traffic.UserPrompt, PromptID: s.ID, Seq: uint64(h.number()), OK: true, Size: 17,
			}})
		}
	}
	if s.Spans {
		h.put(told, traffic.Spans, traffic.Item{Session: s, Call: c})
	}
	if s.Gateway { // which knows no conversation
		seen := &traffic.Session{ID: s.ID, Person: s.Person, Gateway: true, Provider: "anthropic", Dialect: 1, Trace: s.Trace}
		h.put(told, traffic.GenAI, traffic.Item{Session: seen, Call: c})
	}
	return c
}

// counters are what the metrics exporter sends of the session's calls.
func (h *hours) counters(s *traffic.Session, told int, calls []*traffic.Call) {
	last := calls[len(calls)-1].End
	for _, model := range models {
		var c traffic.Call
		for _, one := range calls {
			if one.Model == model {
				c.Input, c.Output, c.CacheRead, c.CacheWrite = c.Input+one.Input, c.Output+one.Output, c.CacheRead+one.CacheRead, c.CacheWrite+one.CacheWrite
				c.CostMicros += one.CostMicros
			}
		}
		for _, point := range []struct {
			metric, kind string
			value        int64
		}{
			{"token.usage", "input", c.Input},
			{"token.usage", "output", c.Output},
			{"token.usage", "cacheRead", c.CacheRead},
			{"token.usage", "cacheCreation", c.CacheWrite},
			{"cost.usage", "", c.CostMicros},
		} {
			if point.value > 0 {
				h.put(told, traffic.Metrics, traffic.Item{Session: s, Point: &traffic.Point{
					Start: calls[0].End - 500, End: last, Metric: point.metric, Type: point.kind, Model: model, Source: "main", Value: point.value,
				}})
			}
		}
	}
}

// others are a program's spans, the nightly job's events, changes that are
// merged and taken back, and records that nobody can use.
func (h *hours) others(step int) {
	begin := h.steps[step].Start + 20*60_000
	bot := &traffic.Session{
		ID: org.UUID(h.rng), Service: &h.org.Services[0], Team: h.org.Services[0].Team, Spans: true, Provider: "openai",
		Conversation: h.rng.IntN(2) == 0, Dialect: h.rng.IntN(3),
	}
	binary.BigEndian.PutUint64(bot.Trace[:], h.rng.Uint64()|1)
	for range h.rng.IntN(3) {
		n := h.number()
		c := &traffic.Call{
			End: begin + h.rng.Int64N(60_000), DurationMs: 300, Model: "local-coder-32b", RequestID: fmt.Sprintf("resp_%d", n),
			Input: 1 + h.rng.Int64N(800), Output: 3 + h.rng.Int64N(300), Failed: h.rng.IntN(10) == 0,
		}
		binary.BigEndian.PutUint64(c.Span[:], uint64(n))
		h.put(step, traffic.GenAI, traffic.Item{Session: bot, Call: c})
	}
	night := &traffic.Session{ID: org.UUID(h.rng), Service: &h.org.Services[1], Team: h.org.Services[1].Team, Conversation: true, Provider: "anthropic"}
	for range h.rng.IntN(3) {
		h.put(step, traffic.CloudUsage, traffic.Item{Session: night, Call: &traffic.Call{
			End: begin + h.rng.Int64N(60_000), Model: "claude-haiku-4-5-20251001", DurationMs: 900,
			Input: 200 + h.rng.Int64N(3_000), Output: 20 + h.rng.Int64N(400), RequestID: fmt.Sprintf("batch_%d", h.number()),
		}})
	}
	if h.rng.IntN(2) == 0 {
		h.change(step, begin)
	}
	if h.rng.IntN(4) == 0 {
		h.put(step, traffic.CloudUsage, traffic.Item{Session: night, Fault: traffic.NoID, Call: &traffic.Call{
			End: begin, Model: models[0], Input: 1, Output: 1, RequestID: "nameless",
		}})
	}
}

// change is a pull request that is merged, perhaps announced again by a poller,
// perhaps reverted.
func (h *hours) change(step int, at int64) {
	n := h.number()
	merged := traffic.Outcome{
		At: at + h.rng.Int64N(60_000), Kind: traffic.PRMerged, Author: h.org.People[0], Repo: fmt.Sprintf("acme/api-%d", h.rng.IntN(3)),
		Number: n, ID: fmt.Sprintf("merged-%d", n), Sha: fmt.Sprintf("%040x", n), Lines: 10,
	}
	later := step + 1 + h.rng.IntN(2)
	merged.Reverted = h.rng.IntN(3) == 0 && later < len(h.steps)
	h.put(step, traffic.Outcomes, traffic.Item{Outcome: &merged})
	if h.rng.IntN(3) == 0 {
		polled := merged
		polled.Second, polled.ID = true, merged.ID+"-polled"
		h.put(step, traffic.Outcomes, traffic.Item{Outcome: &polled})
	}
	if merged.Reverted {
		reverted := merged
		reverted.At, reverted.Kind, reverted.ID = h.steps[later].Start+20*60_000, traffic.PRReverted, fmt.Sprintf("reverted-%d", n)
		reverted.Reverts, reverted.Sha = merged.Sha, ""
		h.put(later, traffic.Outcomes, traffic.Item{Outcome: &reverted})
	}
}

// pack makes requests of a step's items, and lets clients repeat some.
func (h *hours) pack(step int) {
	st := h.steps[step]
	for signal := range traffic.Signals {
		byKey := map[string][]traffic.Item{}
		var keys []string
		for _, it := range h.items[step][signal] {
			key := keyOf(signal, &it)
			if byKey[key] == nil {
				keys = append(keys, key)
			}
			byKey[key] = append(byKey[key], it)
		}
		for _, key := range keys {
			for items := byKey[key]; len(items) > 0; {
				n := min(1+h.rng.IntN(12), len(items))
				h.request(step, &traffic.Request{Signal: signal, Encoding: h.encoding(signal, n), Key: key, Items: items[:n:n]})
				items = items[n:]
			}
		}
	}
	h.rng.Shuffle(len(st.Requests), func(i, j int) { st.Requests[i], st.Requests[j] = st.Requests[j], st.Requests[i] })
}

func (h *hours) request(step int, r *traffic.Request) {
	st := h.steps[step]
	st.Requests = append(st.Requests, r)
	for i := range r.Items {
		if r.Items[i].Fault > traffic.Repeat {
			return
		}
	}
	switch h.rng.IntN(10) {
	case 0: // the answer was lost
		r.Lost = true
	case 1: // an hour later, or at once
		again := *r
		again.Again = true
		if later := min(step+1, len(h.steps)-1); later > step {
			h.steps[later].Requests = append(h.steps[later].Requests, &again)
		}
	}
}

func (h *hours) encoding(signal traffic.Signal, n int) traffic.Encoding {
	choices := []traffic.Encoding{traffic.Protobuf, traffic.ProtobufGzip, traffic.JSON, traffic.Chunked}
	if signal == traffic.CloudUsage || signal == traffic.Outcomes {
		if choices = []traffic.Encoding{traffic.Batch}; n == 1 {
			choices = append(choices, traffic.Structured, traffic.Binary)
		}
	}
	return choices[h.rng.IntN(len(choices))]
}

func keyOf(signal traffic.Signal, it *traffic.Item) string {
	switch {
	case signal == traffic.Outcomes:
		return org.KeyOutcomes
	case signal == traffic.CloudUsage:
		return org.KeyUsage
	case signal == traffic.GenAI && it.Session.Service != nil:
		return it.Session.Service.Key
	case signal == traffic.GenAI:
		return org.KeyGateway
	default:
		return org.KeyFleet
	}
}
