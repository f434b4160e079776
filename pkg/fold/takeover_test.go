package fold

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/machine"
)

// trap kills a process at the moment a response has come in, before the client
// has seen it.
type trap struct {
	key    kmsg.Key
	victim atomic.Pointer[process]
	sprung chan struct{}
}

func newTrap(key kmsg.Key) *trap { return &trap{key: key, sprung: make(chan struct{})} }

// OnBrokerRead implements kgo.HookBrokerRead.
func (h *trap) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if key != h.key.Int16() || err != nil {
		return
	}
	if p := h.victim.Swap(nil); p != nil {
		p.kill()
		close(h.sprung)
	}
}

// wait returns once the process is dead.
func (h *trap) wait(t *testing.T) {
	t.Helper()
	ktest.Eventually(t, "the trap springs", func() bool {
		select {
		case <-h.sprung:
			return true
		default:
			return false
		}
	})
}

// A process that dies between the commit of its offsets and the end of its
// transaction leaves a group that tells nobody where to go on. Its successor
// under the same name ends the transaction itself instead of waiting until the
// brokers give it up.
func TestSuccessorEndsTheOpenTransaction(t *testing.T) {
	const n = 2000
	wantMid, wantOut := clean(t, input(6, n), machine.Shards)
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b, records := newBed(t, c), input(6, n)
		h := newTrap(kmsg.TxnOffsetCommit)
		dying := b.start(t, "a", machine.Shards, func(cfg *Config) {
			cfg.patience.transaction = 10 * time.Minute
			if cfg.Stage.Name == "ledger" {
				cfg.Client = append(cfg.Client, kgo.WithHooks(h))
			}
		})
		b.send(t, records[:n/2])
		b.read(t, "out", func(m map[int32][]string) bool { return running(m) > n/4 })
		h.victim.Store(dying)
		b.send(t, records[n/2:])
		h.wait(t)
		began := time.Now()
		p := b.start(t, "a", machine.Shards, nil)
		gotMid, gotOut := b.finish(t)
		t.Logf("caught up %v after the death", time.Since(began))
		p.stop(t)
		b.same(t, wantMid, wantOut, gotMid, gotOut)
	})
}
