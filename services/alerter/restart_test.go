package alerter

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
)

// A receiver that is new hears what is open, as it is by now, and none of the
// history; killed before it has committed that, it hears it again.
func TestFirstStart(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b, hook := newBed(t, c), newPlace(t)
		b.publish(
			question("a", 0, statusOpened), question("b", 0, statusOpened), question("a", 1, statusUpdated),
			question("c", 0, statusOpened), question("c", 1, statusResolved), question("d", 3, statusDisputed),
		)
		hook.answers(func(request) (int, string) { return http.StatusServiceUnavailable, "" })
		a := b.start(b.config(hook.webhook("hook")))
		ktest.Eventually(t, "an attempt", func() bool {
			return a.sample(`goodhart_alerter_attempt_seconds_count{receiver="hook",result="error"}`) != ""
		})
		a.kill()
		hook.answers(nil)
		b.start(b.config(hook.webhook("hook")))
		hook.wants(t, 3)
		b.caughtUp("hook")
		keys := hook.keys()
		slices.Sort(keys)
		if diff := cmp.Diff([]string{"a-1", "b-0", "d-3"}, keys); diff != "" {
			t.Error(diff)
		}
	})
}

// A run that is killed right after it has told the first revision has left behind
// where it began: the next one tells the end of that signal, and does not take it
// for history.
func TestKilledAtFirst(t *testing.T) {
	b, hook := newBed(t, ktest.Fake(t)), newPlace(t)
	cfg := b.config(hook.webhook("hook"))
	a := b.start(cfg)
	ktest.Eventually(t, "the beginning to be committed, before there is anything to tell", func() bool {
		at, _ := b.committed("hook", "a")
		return at == 0
	})
	hook.answers(func(request) (int, string) { a.kill(); return http.StatusOK, "" })
	b.publish(question("a", 0, statusOpened))
	hook.wants(t, 1)
	hook.answers(nil)
	b.publish(question("a", 1, statusResolved))
	b.start(cfg)
	ktest.Eventually(t, "the end", func() bool { return slices.Contains(hook.keys(), "a-1") })
	inOrder(t, hook.keys())
}

// Offsets of a topic that was made anew mean nothing: what is open now is told.
func TestTopicMadeAnew(t *testing.T) {
	b, hook := newBed(t, ktest.Fake(t)), newPlace(t)
	b.publish(question("a", 0, statusOpened), question("b", 0, statusOpened), question("b", 1, statusResolved))
	offsets := kadm.Offsets{}
	for p := range int32(partitions) {
		offsets.Add(kadm.Offset{Topic: schemas.TopicSignals, Partition: p, At: 1000, LeaderEpoch: -1, Metadata: told + " 1001-1002"})
	}
	if err := kadm.NewClient(b.writer).CommitAllOffsets(t.Context(), Group("hook"), offsets); err != nil {
		t.Fatal(err)
	}
	b.start(b.config(hook.webhook("hook")))
	b.publish(question("a", 1, statusUpdated))
	hook.wants(t, 2)
	b.caughtUp("hook")
	if diff := cmp.Diff([]string{"a-0", "a-1"}, hook.keys()); diff != "" {
		t.Error(diff)
	}
}

// Compaction takes records away, the last one that was told among them: what is
// left is enough to go on.
func TestCompacted(t *testing.T) {
	b, am := newBed(t, ktest.Fake(t)), newPlace(t)
	cfg := b.config(Receiver{Name: "am", Alertmanager: &Alertmanager{URL: am.URL, ResendEvery: time.Hour, ExpiresAfter: 3 * time.Hour}})
	a := b.start(cfg)
	ids := samePartition(3)
	b.publish(question(ids[0], 0, statusOpened), question(ids[1], 0, statusOpened))
	b.caughtUp("am")
	a.kill()
	told := len(am.taken())
	b.publish(question(ids[1], 1, statusUpdated), question(ids[2], 0, statusOpened))
	b.publish(question(ids[1], 2, statusResolved))
	b.kafka.Fake.Compact()
	if n := len(b.kafka.Records(t, schemas.TopicSignals)); n != 3 {
		t.Fatalf("%d records are left", n)
	}
	a = b.start(cfg)
	b.caughtUp("am")
	var bodies strings.Builder
	ktest.Eventually(t, "what is open to be repeated", func() bool {
		bodies.Reset()
		for _, r := range am.taken()[told:] {
			bodies.WriteString(r.body)
		}
		return strings.Contains(bodies.String(), `"signal_id":"`+ids[0])
	})
	for id, rev := range map[string]string{ids[0]: "0", ids[1]: "2", ids[2]: "0"} {
		if !strings.Contains(bodies.String(), `"revision":"`+rev+`"`) || !strings.Contains(bodies.String(), `"signal_id":"`+id+`"`) {
			t.Errorf("no revision %s of %s in %s", rev, id, bodies.String())
		}
	}
	if n := a.sample(`goodhart_alerter_open_signals{receiver="am"}`); n != "2" {
		t.Errorf("%s signals are open", n)
	}
}

// What was told ahead of a record that waits is not told again after a restart,
// and what waits is not lost. Without the metadata, as after somebody has set the
// offset by hand, it is told again rather than lost.
func TestToldAhead(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b, hook := newBed(t, c), newPlace(t)
		quiet := func() Config { // a new one each time: alerters that were killed still read theirs
			cfg := b.config(hook.webhook("hook"))
			cfg.Rules[0].Quiet = always()
			return cfg
		}
		urgent := func(s *signal) { s.Severity = critical }
		a := b.start(quiet())
		// All have the key of one partition.
		ids := samePartition(5)
		for i, id := range ids {
			s := question(id, 0, statusOpened)
			if i%2 == 1 {
				s.with(urgent)
			}
			b.publish(s)
		}
		hook.wants(t, 2)
		ktest.Eventually(t, "what was told to be committed", func() bool {
			at, metadata := b.committed("hook", ids[0])
			return at == 0 && parseSpans(metadata).has(2) && parseSpans(metadata).has(6) // each has a mark behind it
		})
		a.kill()
		a = b.start(quiet())
		b.publish(question(ids[1], 1, statusResolved).with(urgent))
		hook.wants(t, 3)
		if diff := cmp.Diff([]string{ids[1] + "-0", ids[3] + "-0", ids[1] + "-1"}, hook.keys()); diff != "" {
			t.Errorf("in quiet hours: %s", diff)
		}
		ktest.Eventually(t, "that to be committed", func() bool { _, metadata := b.committed("hook", ids[0]); return parseSpans(metadata).has(10) })
		a.kill()
		cfg := b.config(hook.webhook("hook"))
		a = b.start(cfg)
		hook.wants(t, 6)
		b.caughtUp("hook")
		keys := hook.keys()
		slices.Sort(keys)
		want := []string{ids[0] + "-0", ids[1] + "-0", ids[1] + "-1", ids[2] + "-0", ids[3] + "-0", ids[4] + "-0"}
		slices.Sort(want)
		if diff := cmp.Diff(want, keys); diff != "" {
			t.Error(diff)
		}
		a.kill()

		adm := kadm.NewClient(b.writer)
		if _, err := adm.LeaveGroup(t.Context(), kadm.LeaveGroup(Group("hook")).InstanceIDs("alerter")); err != nil {
			t.Fatal(err)
		}
		offsets := kadm.Offsets{}
		offsets.AddOffset(schemas.TopicSignals, partitionOf(ids[0]), 0, -1)
		ktest.Eventually(t, "the offset to be set", func() bool {
			return adm.CommitAllOffsets(t.Context(), Group("hook"), offsets) == nil
		})
		b.start(cfg)
		hook.wants(t, 12)
		b.caughtUp("hook")
	})
}

// always are quiet hours around now that end far from now.
func always() *Quiet {
	now := time.Now().UTC()
	clock := func(d time.Duration) string { return now.Add(d).Format("15:04") }
	return &Quiet{Zone: "UTC", Hours: []Hours{{From: clock(-6 * time.Hour), To: clock(6 * time.Hour)}}}
}

func samePartition(n int) []string {
	var ids []string
	for i := 0; len(ids) < n; i++ {
		if id := "s" + strconv.Itoa(i); partitionOf(id) == 0 {
			ids = append(ids, id)
		}
	}
	return ids
}

// Killed again and again, at any time, while its receivers fail now and then, the
// alerter loses no revision, and tells none after a newer one. That a receiver
// gets one twice shows in its key.
func TestKilled(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		b, hook, chat := newBed(t, c), newPlace(t), newPlace(t)
		flaky := rand.New(rand.NewPCG(seed, 2)) // places lock for us
		hook.answers(func(request) (int, string) {
			if flaky.IntN(5) == 0 {
				return http.StatusInternalServerError, "try again"
			}
			return http.StatusOK, ""
		})
		cfg := b.config(hook.webhook("hook"), chat.slack("chat"))
		cfg.Receivers[1].GroupWait = 20 * time.Millisecond
		a := b.start(cfg)
		revs := map[string]uint32{}
		var want []string
		for range 12 {
			for range 1 + random.IntN(5) {
				id := fmt.Sprintf("s%d", random.IntN(4))
				s := question(id, revs[id], []string{statusOpened, statusUpdated, statusResolved}[random.IntN(3)])
				revs[id]++
				want = append(want, s.key())
				b.publish(s)
			}
			if random.IntN(2) == 0 {
				hook.wants(t, random.IntN(len(want)))
			}
			a.kill()
			a = b.start(cfg)
		}
		b.caughtUp("hook")
		b.caughtUp("chat")

		slices.Sort(want)
		got := hook.keys()
		slices.Sort(got)
		if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
			t.Error(diff)
		}
		t.Logf("%d revisions, %d requests", len(want), len(hook.taken()))
		inOrder(t, hook.keys())
		for id, next := range revs {
			newest := fmt.Sprintf("`%s` revision %d,", id, next-1)
			if !slices.ContainsFunc(chat.taken(), func(r request) bool { return strings.Contains(r.body, newest) }) {
				t.Errorf("chat never saw %s", newest)
			}
		}
	})
}

// inOrder wants that a revision comes for the first time only after all older
// ones.
func inOrder(t *testing.T, keys []string) {
	t.Helper()
	newest := map[string]int{}
	for _, key := range keys {
		id, rev, _ := strings.Cut(key, "-")
		n, err := strconv.Atoi(rev)
		if err != nil {
			t.Fatal(err)
		}
		if n > newest[id] {
			t.Errorf("%s comes before revision %d: %v", key, newest[id], keys)
		}
		if n == newest[id] {
			newest[id]++
		}
	}
}

// Two alerters share the partitions; when one is gone the other takes over.
func TestTwoAlerters(t *testing.T) {
	b, hook := newBed(t, ktest.Fake(t)), newPlace(t)
	cfg := b.config(hook.webhook("hook"))
	b.start(cfg)
	second := cfg
	second.Instance = "another"
	other := b.start(second)
	ids := []string{samePartition(1)[0], otherPartition()}
	var want []string
	tell := func(rev uint32) {
		for _, id := range ids {
			s := question(id, rev, statusUpdated)
			b.publish(s)
			want = append(want, s.key())
		}
		hook.wants(t, len(want))
		b.caughtUp("hook")
	}
	tell(0)
	if err := other.stop(); err != nil {
		t.Fatal(err)
	}
	adm := kadm.NewClient(b.writer)
	if _, err := adm.LeaveGroup(t.Context(), kadm.LeaveGroup(Group("hook")).InstanceIDs("another")); err != nil {
		t.Fatal(err)
	}
	tell(1)
	got := hook.keys()
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Error(diff)
	}
}

func otherPartition() string {
	for i := 0; ; i++ {
		if id := "t" + strconv.Itoa(i); partitionOf(id) == 1 {
			return id
		}
	}
}

// A second process under the same name ends the first, which says why.
func TestSameName(t *testing.T) {
	b, hook := newBed(t, ktest.Fake(t)), newPlace(t)
	first := b.start(b.config(hook.webhook("hook")))
	first.fails = true
	b.start(b.config(hook.webhook("hook")))
	b.publish(question("a", 0, statusOpened))
	hook.wants(t, 1)
	if err := first.wait(); err == nil || !strings.Contains(err.Error(), "FENCED_INSTANCE_ID") {
		t.Errorf("the first ended with %v", err)
	}
}
