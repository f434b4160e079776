package chsink

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
)

// A schedule of faults from a seed: inserts vanish or land without an answer,
// commits fail, sinks stop, are killed and start, the server is killed, records
// are bad. Tables and rollups must agree with what was produced, to the row.
// CHSINK_SEED repeats a schedule.
func TestRandomFaults(t *testing.T) {
	seeds := []uint64{1, 2, 3}
	if s, err := strconv.ParseUint(os.Getenv("CHSINK_SEED"), 10, 64); err == nil {
		seeds = []uint64{s}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			each(t, randomPartitions, func(b *bed) { b.randomFaults(seed) })
		})
	}
}

const randomPartitions = 3

func (b *bed) randomFaults(seed uint64) {
	t := b.tb
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	g := b.gateCommits()
	var rows, notes, bad int64
	produce := func() {
		for p := range int32(randomPartitions) {
			var values [][]byte
			for range rng.IntN(40) {
				switch rng.IntN(20) {
				case 0:
					values = append(values, []byte("{"))
					bad++
				case 1:
					values = append(values, []byte(`{"quiet":true}`))
				default:
					e := month(rng.IntN(6), fmt.Sprint("w", rng.IntN(5)))
					note := ""
					if rng.IntN(4) == 0 {
						note = `,"note":"n"`
						notes++
					}
					values = append(values, fmt.Appendf(nil, `{"ms":%d,"amount":10,"who":%q%s}`, e.Ms, e.Who, note))
					rows++
				}
			}
			if len(values) > 0 {
				b.produceRaw(p, values...)
			}
		}
	}
	var mu sync.Mutex
	fates := rand.New(rand.NewPCG(seed, 1))
	for range 6 {
		produce()
		cfg := b.config("a")
		cfg.Limits.Age = 20 * time.Millisecond
		cfg.Limits.Rows = 1 + rng.IntN(30)
		line := &ktest.Line{}
		cfg.Client = append(cfg.Client, kgo.HeartbeatInterval(200*time.Millisecond), kgo.Dialer(line.Dial), kgo.RetryTimeout(time.Second))
		p := b.through(&cfg)
		p.rule(func(int, sent) fate {
			mu.Lock()
			defer mu.Unlock()
			return []fate{pass, pass, lose, loseAnswer}[fates.IntN(4)]
		})
		if commits := rng.IntN(30); b.kafka.Fake != nil {
			g.allow(int64(commits))
		}
		s := b.start(cfg)
		enough := 1 + rng.IntN(12)
		look := func() any { return [2]any{len(p.inserts()), b.totals()} }
		b.untilMoving("enough inserts, an end of commits, or of records", look, func() bool {
			return len(p.inserts()) >= enough || g.left.Load() <= 0 || b.totals().Rows == rows
		})
		switch rng.IntN(4) {
		case 0:
			b.server.Kill()
			produce()
			s.stop()
			b.server.Restart()
		case 1:
			line.Cut()
			produce()
			s.kill()
		default:
			s.stop()
		}
		g.open()
	}
	cfg := b.config("a")
	s := b.start(cfg)
	want := exact(rows, notes)
	b.untilStored(want)
	s.stop()
	if diff := cmp.Diff(want, b.totals()); diff != "" {
		t.Errorf("seed %d: %s", seed, diff)
	}
	places := map[string]bool{}
	for _, letter := range b.letters() {
		places[letter] = true
	}
	if int64(len(places)) != bad {
		t.Errorf("seed %d: dead letters of %d records, want %d", seed, len(places), bad)
	}
}
