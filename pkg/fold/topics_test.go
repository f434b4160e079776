package fold

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/machine"
)

// ends waits until one of the process's folds ends by itself, with an error
// that says what happened.
func (p *process) ends(t *testing.T, want string) {
	t.Helper()
	select {
	case err := <-p.done:
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	case <-time.After(60 * time.Second):
		t.Fatalf("the fold runs on, want an error with %q", want)
	}
}

// A topic that is deleted and made anew begins again at offset 0: what lies there
// is not what the state was made of, wherever the offsets stand.
func TestInputTopicRecreated(t *testing.T) {
	t.Parallel()
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b, records := newBed(t, c), input(5, 500)
		p := b.start(t, "a", machine.Shards, nil)
		b.send(t, records)
		b.finish(t)
		before := b.id(t, "in")
		if _, err := b.adm.DeleteTopics(t.Context(), "in"); err != nil {
			t.Fatal(err)
		}
		ktest.Eventually(t, "the topic can be made anew", func() bool {
			_, err := b.adm.CreateTopic(t.Context(), partitions, b.Replication, nil, "in")
			return err == nil
		})
		b.client.PurgeTopicsFromClient("in")
		ktest.Eventually(t, "the topic has another id", func() bool { id := b.id(t, "in"); return id != before && id != kadm.TopicID{} })
		b.send(t, append(input(6, 2000), input(7, 500)...)) // past the offsets of before
		p.ends(t, "was deleted and made anew")
		p.kill()
		b.start(t, "a", machine.Shards, nil).ends(t, "was deleted and made anew")
	})
}

// id is Kafka's id of a topic; zero while there is none.
func (b *bed) id(t *testing.T, topic string) kadm.TopicID {
	t.Helper()
	topics, err := b.adm.ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return topics[topic].ID
}

// Partitions that somebody adds belong to no state: the fold ends, and does not
// start again.
func TestPartitionsAdded(t *testing.T) {
	t.Parallel()
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b, records := newBed(t, c), input(5, 500)
		p := b.start(t, "a", machine.Shards, nil)
		b.send(t, records)
		b.finish(t)
		if _, err := b.adm.CreatePartitions(t.Context(), 1, "in"); err != nil {
			t.Fatal(err)
		}
		const want = "in has a partition 4, and 4 partitions are on record"
		p.ends(t, want)
		p.kill()
		b.start(t, "a", machine.Shards, nil).ends(t, want)
	})
}

// Input that retention deletes before it is folded, or before a restore has
// replayed it, is gone for good: trying again for ever would hide that.
func TestInputOutrun(t *testing.T) {
	for _, test := range []struct {
		name   string
		beyond bool // of the committed offset
	}{{"before the replay", false}, {"before the fold", true}} {
		t.Run(test.name, func(t *testing.T) {
			ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
				b := newBed(t, c)
				p := b.start(t, "a", machine.Shards, func(cfg *Config) { cfg.SnapshotPeriod = time.Hour })
				b.send(t, input(5, 500))
				b.finish(t)
				p.kill()
				if test.beyond {
					b.send(t, input(6, 500))
				}
				ends, err := b.adm.ListEndOffsets(t.Context(), "in")
				if err != nil {
					t.Fatal(err)
				}
				if _, err := b.adm.DeleteRecords(t.Context(), ends.Offsets()); err != nil {
					t.Fatal(err)
				}
				b.start(t, "a", machine.Shards, nil).ends(t, "no longer in the log")
			})
		})
	}
}
