package fold

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/machine"
)

// counter is a small but complete machine: it counts records per key, emits the
// running count at once, and the counts of the keys that changed whenever the
// watermark passes ten seconds. As a source it takes its watermark from the
// records' values; behind a merge from their stamps.
type counter struct {
	source bool
	to     string
	shards []map[string]*tally
	w      int64
	header int64 // w as of the header, while replaying
	steps  uint64
	replay bool
	at     []machine.Position
}

type tally struct {
	Count uint64
	Due   int64
}

const beat = 10_000

func newCounter(source bool, to string, shards int) *counter {
	c := &counter{source: source, to: to, shards: make([]map[string]*tally, shards), w: math.MinInt64}
	for i := range c.shards {
		c.shards[i] = map[string]*tally{}
	}
	return c
}

func (c *counter) shard(key []byte) int { return machine.Shard(key) * len(c.shards) / machine.Shards }

func (c *counter) Step(r *machine.Record, out *machine.Outputs) {
	w := r.Position.W
	body := r.Value
	if c.source {
		w = int64(binary.BigEndian.Uint64(body))
	}
	if w > c.w {
		c.advance(w, out)
	}
	if len(r.Key) == 0 { // a watermark, or a tick
		return
	}
	if !c.replay {
		c.steps++
	}
	shard := c.shard(r.Key)
	if c.replay && r.Position.Compare(c.at[shard]) <= 0 {
		return
	}
	t := c.shards[shard][string(r.Key)]
	if t == nil {
		t = &tally{}
		c.shards[shard][string(r.Key)] = t
	}
	t.Count++
	if t.Due == 0 {
		t.Due = (floorDiv(c.w, beat) + 1) * beat
	}
	out.EmitBytes(c.to, machine.ByKey, r.Key, c.w, fmt.Appendf([]byte{0x2a}, "%s=%d", r.Key, t.Count), nil)
}

func (c *counter) advance(w int64, out *machine.Outputs) {
	type due struct {
		at  int64
		key string
	}
	var fire []due
	for _, shard := range c.shards {
		for key, t := range shard {
			if t.Due != 0 && t.Due <= w {
				fire = append(fire, due{t.Due, key})
			}
		}
	}
	slices.SortFunc(fire, func(a, b due) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return slices.Compare([]byte(a.key), []byte(b.key))
	})
	for _, f := range fire {
		t := c.shards[c.shard([]byte(f.key))][f.key]
		t.Due = 0
		out.EmitBytes(c.to, machine.ByKey, []byte(f.key), f.at, fmt.Appendf([]byte{0x32}, "%s:%d", f.key, t.Count), nil)
	}
	c.w = w
}

func (c *counter) W() int64    { return c.w }
func (c *counter) Shards() int { return len(c.shards) }

func (c *counter) AppendShard(dst []byte, shard int) []byte {
	b, err := json.Marshal(c.shards[shard])
	if err != nil {
		panic(err)
	}
	return append(dst, b...)
}

func (c *counter) LoadShard(shard int, data []byte) error {
	c.shards[shard] = map[string]*tally{}
	if len(data) == 0 {
		return nil
	}
	return json.Unmarshal(data, &c.shards[shard])
}

func (c *counter) AppendHeader(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(c.w)), c.steps)
}

func (c *counter) LoadHeader(data []byte) error {
	c.w, c.steps = int64(binary.BigEndian.Uint64(data)), binary.BigEndian.Uint64(data[8:])
	return nil
}

func (c *counter) Rewind(w int64, at []machine.Position) {
	c.header, c.w, c.at, c.replay = c.w, w, at, true
}

func (c *counter) Resume() {
	if c.w > c.header {
		panic(fmt.Sprintf("replay ended at watermark %d, header says %d", c.w, c.header))
	}
	c.w, c.replay, c.at = c.header, false, nil
}
