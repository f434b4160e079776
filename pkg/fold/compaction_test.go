package fold

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/machine"
)

// The state is read back from what Apache Kafka's cleaner leaves of it: of each
// piece the newest, without the tombstones, and without the markers of the
// transactions that wrote what is gone.
func TestStateSurvivesCompaction(t *testing.T) {
	const n = 4000
	wantMid, wantOut := clean(t, input(14, n), machine.Shards)
	b, records := newBed(t, ktest.Apache(t)), input(14, n)
	var settings []kadm.AlterConfig
	for key, value := range map[string]string{"segment.ms": "300", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "0"} {
		settings = append(settings, kadm.AlterConfig{Name: key, Value: &value})
	}
	altered, err := b.adm.AlterTopicConfigs(t.Context(), settings, "first.state", "second.state")
	for _, a := range altered {
		if err == nil {
			err = a.Err
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	p := b.start(t, "a", machine.Shards, nil)
	// A segment is closed by a record that comes later: send until the cleaner has
	// been there, slowly, for it takes its time.
	sent, last := 0, time.Time{}
	ktest.Eventually(t, "the cleaner has been there", func() bool {
		if sent < n/2 && time.Since(last) > 250*time.Millisecond {
			b.send(t, records[sent:sent+10])
			sent, last = sent+10, time.Now()
		}
		return b.compacted(t, "first.state") && b.compacted(t, "second.state")
	})
	p.kill()
	b.send(t, records[sent:])
	p = b.start(t, "a", machine.Shards, nil)
	gotMid, gotOut := b.finish(t)
	p.stop(t)
	b.same(t, wantMid, wantOut, gotMid, gotOut)
}

// compacted reports whether every partition of a topic holds less than half of
// the offsets it has given out.
func (b *bed) compacted(t *testing.T, topic string) bool {
	t.Helper()
	ends, err := b.adm.ListCommittedOffsets(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	thinned := true
	ends.Each(func(end kadm.ListedOffset) {
		held := int64(0)
		span := span{topic: topic, partition: end.Partition, to: end.Offset}
		err := span.read(t.Context(), []kgo.Opt{kgo.SeedBrokers(b.Addrs...), kgo.KeepControlRecords()}, func(batch []*kgo.Record) error {
			held += int64(len(batch))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		thinned = thinned && 2*held < end.Offset
	})
	return thinned
}
