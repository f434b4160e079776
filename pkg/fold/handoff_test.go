package fold

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/machine"
)

// hasty notices quickly that somebody has died, as far as the group and the
// transactions go.
func hasty(cfg *Config) {
	cfg.patience.transaction, cfg.patience.rebalance = 3*time.Second, 2*time.Second
	cfg.Client = append(cfg.Client, kgo.SessionTimeout(3*time.Second), kgo.HeartbeatInterval(300*time.Millisecond))
}

// Handoffs that break off in the middle: the member that gives dies when its last
// transaction is about to end, the member that takes dies when it has been told
// what is its own. Whoever is left goes on from what was committed.
func TestBrokenHandoff(t *testing.T) {
	const n = 4000
	wantMid, wantOut := clean(t, input(4, n), machine.Shards)
	for _, test := range []struct {
		name         string
		giver, taker kmsg.Key // the response at which it dies
	}{
		{"the giver dies when its offsets are committed", kmsg.TxnOffsetCommit, -1},
		{"the giver dies when its transaction has ended", kmsg.EndTxn, -1},
		{"the taker dies when it has joined", -1, kmsg.SyncGroup},
		{"the taker dies when it knows its offsets", -1, kmsg.OffsetFetch},
		{"the taker dies when it reads the state", -1, kmsg.ListOffsets},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // it waits for timeouts
			ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
				b, records := newBed(t, c), input(4, n)
				trapped := func(h *trap) func(*Config) {
					return func(cfg *Config) {
						hasty(cfg)
						if cfg.Stage.Name == "ledger" {
							cfg.Client = append(cfg.Client, kgo.WithHooks(h))
						}
					}
				}
				giving, taking := newTrap(test.giver), newTrap(test.taker)
				giver := b.start(t, "giver", machine.Shards, trapped(giving))
				b.send(t, records[:n/4])
				b.read(t, "out", func(m map[int32][]string) bool { return running(m) > n/8 })
				sprung := giving
				if test.giver >= 0 {
					giving.victim.Store(giver)
				}
				taker := b.start(t, "taker", machine.Shards, trapped(taking))
				if test.taker >= 0 {
					taking.victim.Store(taker)
					sprung = taking
				}
				b.send(t, records[n/4:n/2])
				sprung.wait(t)
				b.send(t, records[n/2:])
				gotMid, gotOut := b.finish(t)
				b.same(t, wantMid, wantOut, gotMid, gotOut)
			}, kfake.GroupMinSessionTimeout(time.Second))
		})
	}
}

// A handoff that nothing disturbs puts the state where the next owner has little
// to replay, however long ago it was written before.
func TestHandoffSparesTheReplay(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	replayed := map[string]*prometheus.Registry{"giver": prometheus.NewRegistry(), "taker": prometheus.NewRegistry()}
	run := func(instance string) *process {
		return b.start(t, instance, machine.Shards, func(cfg *Config) {
			cfg.SnapshotPeriod = time.Hour
			if cfg.Stage.Name == "ledger" {
				cfg.Metrics = replayed[instance]
			}
		})
	}
	giver := run("giver")
	const n = 8000
	records := input(4, 2*n)
	b.send(t, records[:n])
	b.read(t, "out", func(m map[int32][]string) bool { return running(m) > n*3/4 })
	taker := run("taker")
	at := n
	ktest.Eventually(t, "half of the partitions are handed over", func() bool {
		at += 10
		b.send(t, records[at-10:at])
		return len(samples(t, replayed["taker"], "lag_records")) == partitions/2
	})
	got := 0.0
	for _, v := range samples(t, replayed["taker"], "replayed_records_total") {
		got += v
	}
	if got > n/10 {
		t.Errorf("%v of about %d records replayed", got, at/2)
	}
	taker.stop(t)
	giver.stop(t)
}
