package dead_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/processor"
)

// Records of a form that the ledger learns later die, are replayed too early,
// die again, are replayed when it knows them, and count once. Every hour has as
// many fates as records all the while, and replaying on changes nothing.
func TestReplayOfTheLedgersLetters(t *testing.T) {
	each(t, newBed, func(b *bed) {
		b.sink("")
		b.processor(processor.Subject, processor.Tenant)
		stop := b.olderLedger()
		events := []*goodhartv1.Event{
			b.usage("claude-code", 1), b.usage("claude-code", 2), b.usage("claude-code", 3), b.usage(newer, 1), b.usage(newer, 2),
		}
		b.accept(events...)
		b.tick()
		b.until(balance, "accepted 5, duplicate 0, stored 3, dead 2")
		b.conserved()

		b.says("list --count", "bad_value  ledger     2        2")
		before := len(b.records(schemas.TopicEvents))
		b.says("replay --reason bad_value", "2 letters", "2 to publish to goodhart.events.v1 again", "nothing was done: say --yes to replay 2")
		if n := len(b.records(schemas.TopicEvents)); n != before {
			b.Fatalf("a dry run published %d records", n-before)
		}
		b.says("replay 0:0 --yes", "1 letters", "1 published") // too early
		b.tick()
		b.until(balance, "accepted 6, duplicate 0, stored 3, dead 3")
		b.conserved()

		stop()
		b.processor(processor.Ledger)
		b.says("replay --component ledger --yes", "3 letters", "2 published to goodhart.events.v1 again", "1 left: the same record is replayed by another letter of this run")
		b.tick()
		b.until(balance, "accepted 8, duplicate 0, stored 5, dead 3")
		b.conserved()
		want := []string{"1 0:0", "1 0:0", "1 0:1"}
		if diff := cmp.Diff(want, replays(b)); diff != "" {
			b.Errorf("replay headers (-want +got):\n%s", diff)
		}

		b.says("replay --all --yes", "3 letters", "2 left: it is stored already")
		b.says("replay --all --force --yes", "2 left: it is stored already")
		// A replay that another one overtakes is a re-send like any.
		b.accept(events...)
		b.tick()
		b.until(balance, "accepted 13, duplicate 5, stored 5, dead 3")
		b.conserved()
		b.stored(5)
		b.until("SELECT toString(sum(u.requests)) FROM core.usage_hour AS u", "5")
		counted(b, 5)
	})
}

// elsewhere is a subject whose facts go to another partition than the event's.
func elsewhere(e *goodhartv1.Event) string {
	of := func(subject string) int32 { return schemas.Partition([]byte(e.Tenant+"|"+subject), partitions) }
	for n := 2; ; n++ {
		if subject := fmt.Sprint("p_", n); of(subject) != of(e.Subject) {
			return subject
		}
	}
}

// replays are the headers of replayed records.
func replays(b *bed) []string {
	b.Helper()
	var found []string
	for _, r := range b.records(schemas.TopicEvents) {
		if len(r.Headers) == 2 && r.Headers[0].Key == "x.replay" && r.Headers[1].Key == "x.replay.letter" {
			found = append(found, string(r.Headers[0].Value)+" "+string(r.Headers[1].Value))
		}
	}
	return found
}

// counted checks how many requests the subject fold passes on.
func counted(b *bed, want int64) {
	b.Helper()
	var n int64
	ktest.Eventually(b.T, "requests in goodhart.features.v1", func() bool {
		n = 0
		for _, r := range b.records(schemas.TopicFeatures) {
			var f goodhartv1.Feature
			if err := f.UnmarshalVT(r.Value); err != nil {
				b.Fatal(err)
			}
			for _, cell := range f.Cells {
				n += cell.Requests
			}
		}
		return n >= want
	})
	if n != want {
		b.Errorf("the folds counted %d requests, want %d", n, want)
	}
}

// Facts that the sink learns to store later get their rows under their own
// places, once, whoever stores them.
func TestReplayOfTheSinksLetters(t *testing.T) {
	each(t, newBed, func(b *bed) {
		future := int32(len(goodhartv1.Quality_name))
		stop := b.sink("")
		b.processor(processor.Ledger, processor.Subject, processor.Tenant)
		// A judgement that cannot be stored is a dead letter, and no record's fate.
		b.produce(&kgo.Record{Topic: schemas.TopicScores, Value: []byte(`{"kind": "riddle", "tenant": "acme"}`), Timestamp: b.accepted})
		b.until("SELECT toString(count()) FROM core.dead AS d WHERE d.topic = 'goodhart.scores.v1'", "1")
		strange := func(n int) *goodhartv1.Event {
			e := b.usage("claude-code", n)
			e.Quality = []goodhartv1.Quality{goodhartv1.Quality(future)}
			return e
		}
		b.accept(b.usage("claude-code", 1), strange(2), strange(3))
		b.until("SELECT toString(count()) FROM core.dead", "3")
		alone := strange(4) // in its partition of facts.v1
		alone.Subject = elsewhere(alone)
		b.accept(alone)
		b.tick()
		b.until(balance, "accepted 4, duplicate 0, stored 1, dead 3")
		b.conserved()
		b.says("replay --all --yes", "4 letters", fmt.Sprintf("3 left: it would die again: out_of_range: event.quality %d does not fit", future),
			"1 left: it would die again: unknown_kind: kind riddle")

		stop()
		goodhartv1.Quality_name[future] = "QUALITY_FUTURE"
		defer delete(goodhartv1.Quality_name, future)
		stop = b.sink("")
		b.says("replay --component sink", "3 to store", "1 left: it would die again", "nothing was done")
		b.stored(1)
		b.says("replay 0:1 --yes", "1 stored")
		b.until(balance, "accepted 5, duplicate 0, stored 2, dead 3")
		b.says("replay 0:1 0:2 --yes", "1 stored", "1 left: it is stored already")
		b.until(balance, "accepted 6, duplicate 0, stored 3, dead 3")
		b.until("SELECT toString(countIf(has(u.quality, 'future'))) FROM core.usage AS u", "2")
		b.conserved()

		// A sink that reads everything again finds those rows as its own, and stores
		// the third. It knows nothing of letters: that fate is told by a replay.
		stop()
		adm := kadm.NewClient(b.client)
		if _, err := adm.LeaveGroup(b.Context(), kadm.LeaveGroup(schemas.GroupSink).InstanceIDs("sink")); err != nil {
			b.Fatal(err)
		}
		if _, err := adm.DeleteGroup(b.Context(), schemas.GroupSink); err != nil {
			b.Fatal(err)
		}
		b.sink("start")
		b.caughtUp(schemas.GroupSink, schemas.TopicFacts)
		b.until(balance, "accepted 6, duplicate 0, stored 4, dead 3")
		b.says("replay --all --yes", "1 stored", "2 left: it is stored already")
		b.says("replay --all --yes --force", "3 left: it is stored already")
		b.accept(b.usage("claude-code", 5))
		b.tick()
		b.until(balance, "accepted 8, duplicate 0, stored 5, dead 3")
		b.stored(5)
		b.until("SELECT toString(sum(u.requests)) FROM core.usage_hour AS u", "5")
		b.conserved()
		counted(b, 5)
	})
}
