package traffic

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
)

// faults adds the day's records that must be refused, each among good ones.
func (g *Generator) faults(rng *rand.Rand, day int) {
	p := g.org.People[rng.IntN(len(g.org.People))]
	at := g.cfg.Start + int64(day)*Day + 9*Hour + rng.Int64N(8*Hour)
	s := &Session{ID: org.UUID(rng), Person: p, Logs: true, Metrics: true, Spans: true, Conversation: true, Version: "2.1.224", Terminal: "tmux", Provider: "anthropic"}
	binary.BigEndian.PutUint64(s.Trace[:], rng.Uint64()|1)
	call := func() *Call {
		s.seq++
		c := &Call{
			End: at, DurationMs: 1, Model: modelSonnet, Input: 10, Output: 10, Seq: s.seq, PromptID: s.ID,
			RequestID: fmt.Sprintf("req_%011x%011x", rng.Uint64()>>20, rng.Uint64()>>20), Source: "repl_main_thread",
		}
		binary.BigEndian.PutUint64(c.Span[:], rng.Uint64()|1)
		return c
	}
	point := func() *Point {
		s.seq++
		return &Point{
			Start: at - 2, End: at + int64(s.seq), Metric: "token.usage", Type: "input", Model: modelSonnet, Source: "main", Value: 11,
		}
	}
	ancient := call()
	ancient.End = 1_000
	g.put(Logs, at, 0, Item{Session: s, Call: call(), Fault: NegativeCount})
	g.put(Logs, at, 0, Item{Session: s, Call: ancient, Fault: Ancient})
	g.put(GenAI, at, 0, Item{Session: s, Call: call(), Fault: NegativeCount})
	g.put(Metrics, at, 0, Item{Session: s, Point: point(), Fault: Cumulative})
	g.put(Metrics, at, 0, Item{Session: s, Point: point(), Fault: NotANumber})
	g.put(CloudUsage, at, 0, Item{Session: s, Call: call(), Fault: NoID})
	g.put(CloudUsage, at, 0, Item{Session: s, Call: call(), Fault: NegativeCount})
}
