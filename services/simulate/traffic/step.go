package traffic

import (
	"math/rand/v2"
	"slices"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
)

// maxItems is how many records a client puts into one request.
const maxItems = 400

// Shares of requests that are repeated: once more later, or at once because the
// answer was lost.
const (
	shareAgain = .02
	shareLost  = .015
	againMax   = 5
)

// step packs what is pending for a step into requests.
func (g *Generator) step(index int) *Step {
	start := g.cfg.Start + int64(index)*Hour
	st := &Step{Index: index, Start: start, End: start + Hour}
	rng := g.stream(streamStep, 0, index)
	if bucket := g.pending[index]; bucket != nil {
		for signal, items := range bucket {
			st.Requests = append(st.Requests, pack(rng, Signal(signal), items)...)
		}
	}
	delete(g.pending, index)
	for _, r := range st.Requests {
		g.repeat(rng, r, index)
	}
	st.Requests = append(st.Requests, g.again[index]...)
	delete(g.again, index)
	return st
}

// repeat decides whether a request is sent once more.
func (g *Generator) repeat(rng *rand.Rand, r *Request, index int) {
	if slices.ContainsFunc(r.Items, func(it Item) bool { return it.Fault > Repeat }) {
		return
	}
	switch choose(rng, shareLost, shareAgain, 1-shareLost-shareAgain) {
	case 0:
		r.Lost = true
	case 1:
		later := index + 1 + rng.IntN(againMax)
		if later < g.Steps() {
			again := *r
			again.Again = true
			g.again[later] = append(g.again[later], &again)
		}
	}
}

// pack splits a step's items of one signal by API key and size, a session's
// items together and in order.
func pack(rng *rand.Rand, signal Signal, items []Item) []*Request {
	byKey := map[string][]Item{}
	var keys []string
	for _, it := range items {
		key := keyOf(signal, &it)
		if _, ok := byKey[key]; !ok {
			keys = append(keys, key)
		}
		byKey[key] = append(byKey[key], it)
	}
	var out []*Request
	for _, key := range keys {
		list := byKey[key]
		slices.SortStableFunc(list, func(a, b Item) int { return compareSessions(a.Session, b.Session) })
		for len(list) > 0 {
			encoding := encodingOf(rng, signal)
			n := min(len(list), maxItems)
			if encoding == Structured || encoding == Binary {
				n = 1
			}
			out = append(out, &Request{Signal: signal, Encoding: encoding, Key: key, Items: list[:n:n]})
			list = list[n:]
		}
	}
	return out
}

func compareSessions(a, b *Session) int {
	switch {
	case a == b || a == nil || b == nil || a.ID == b.ID:
		return 0
	case a.ID < b.ID:
		return -1
	default:
		return 1
	}
}

func keyOf(signal Signal, it *Item) string {
	switch {
	case signal == Outcomes:
		return org.KeyOutcomes
	case signal == CloudUsage:
		return org.KeyUsage
	case signal == GenAI && it.Session.Service != nil:
		return it.Session.Service.Key
	case signal == GenAI && it.Session.Gateway:
		return org.KeyGateway
	default:
		return org.KeyFleet
	}
}

func encodingOf(rng *rand.Rand, signal Signal) Encoding {
	if signal == CloudUsage || signal == Outcomes {
		return []Encoding{Batch, Structured, Binary}[choose(rng, .9, .05, .05)]
	}
	return []Encoding{Protobuf, ProtobufGzip, JSON, JSONGzip, Chunked, GRPC}[choose(rng, .25, .25, .1, .05, .1, .25)]
}
