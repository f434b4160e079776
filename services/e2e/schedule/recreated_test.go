package schedule

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/schemas"
)

// A topic that somebody deletes and makes anew under a running pipeline. Where
// records go on to be counted, its end is the end of the generation: whoever
// reads it says so and ends, and what it writes stands still. Topics that hold
// results alone may be made anew once what they held is stored: the sink ends,
// and when it is started again nothing is missing and nothing is there twice.
func TestTopicMadeAnew(t *testing.T) {
	b := newBench(t)
	const anew, lost = " was deleted and made anew", "its state is lost"
	for i, c := range []struct {
		topic string
		// ends says how the roles that read it end.
		ends map[string]string
		// still is the topic in which nothing is written from then on.
		still string
	}{
		{schemas.TopicEvents, map[string]string{processorRole: "ledger fold: " + schemas.TopicEvents + anew}, schemas.TopicFacts},
		{schemas.TopicFacts, map[string]string{processorRole: "subject fold: " + schemas.TopicFacts + anew, sinkRole: schemas.TopicFacts}, schemas.TopicFeatures},
		{schemas.TopicFeatures, map[string]string{processorRole: "tenant fold: " + schemas.TopicFeatures + anew}, schemas.TopicScores},
		{schemas.TopicLedgerState, map[string]string{processorRole: lost}, schemas.TopicFacts},
		{schemas.TopicSubjectState, map[string]string{processorRole: lost}, schemas.TopicFeatures},
		{schemas.TopicTenantState, map[string]string{processorRole: lost}, schemas.TopicScores},
		{schemas.TopicScores, map[string]string{sinkRole: schemas.TopicScores}, ""},
		{schemas.TopicSignals, map[string]string{sinkRole: schemas.TopicSignals}, ""},
		{schemas.TopicKPI, map[string]string{sinkRole: schemas.TopicKPI}, ""},
		{schemas.TopicSelf, map[string]string{sinkRole: schemas.TopicSelf}, ""},
		{schemas.TopicDead, map[string]string{sinkRole: schemas.TopicDead}, ""},
	} {
		t.Run(c.topic, func(t *testing.T) {
			t.Parallel()
			b.madeAnew(t, uint64(1_000_000+i), c.topic, c.still, c.ends)
		})
	}
}

func (b *bench) madeAnew(t *testing.T, seed uint64, topic, still string, ends map[string]string) {
	t.Helper()
	p := calmPlan(seed)
	var out outcome
	synctest.Test(t, func(t *testing.T) {
		w, end := b.open(t, p)
		defer end()
		const first = 2 // steps
		if err := w.play(0, first); err != nil {
			t.Fatal(err)
		}
		w.rest()
		before, err := w.drain()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := kadm.NewClient(w.client).DeleteTopics(t.Context(), topic); err != nil {
			t.Fatal(err)
		}
		if _, err := kschema.Migrate(t.Context(), w.client, kschema.Options{Counts: p.counts, Replication: 1}); err != nil {
			t.Fatal(err)
		}
		w.crews[collectorRole].start("collector-0")
		if topic == schemas.TopicEvents { // nobody gets an acknowledgement any more
			time.Sleep(time.Minute)
		} else if err := errors.Join(w.play(first, len(p.steps)), w.epilogue()); err != nil {
			t.Fatal(err)
		}
		if err := w.await(fmt.Sprintf("%v", ends), func() (bool, error) { return w.ended(ends), nil }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if still != "" {
			after, err := w.read(still)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(len(before[still]), len(after)); diff != "" {
				t.Errorf("%s goes on: %s", still, diff)
			}
			return
		}
		w.crews[sinkRole].restart()
		w.crews[collectorRole].dismiss()
		if out.wrote, err = w.drain(); err != nil {
			t.Fatal(err)
		}
		out.wrote[topic] = slices.Concat(before[topic], out.wrote[topic])
		out.plan, out.struck = p, map[string]int64{}
	})
	if out.plan == nil {
		return
	}
	for _, problem := range b.judge(t, out) {
		t.Error(clip(problem))
	}
}

// calmPlan is a schedule in which nothing goes wrong.
func calmPlan(seed uint64) *plan {
	p := draw(seed, epoch())
	p.brokers, p.aged, p.faults, p.cuts, p.stores = 1, false, nil, nil, nil
	p.acts = make([][]act, len(p.steps))
	return p
}

// ended reports whether the roles have ended as told, and no other.
func (w *world) ended(ends map[string]string) bool {
	for role, c := range w.crews {
		said := fmt.Sprint(c.complaints())
		if why, ok := ends[role]; ok != (len(c.complaints()) > 0) || !strings.Contains(said, why) {
			return false
		}
	}
	return true
}
