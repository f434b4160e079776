package dead_test

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// write puts letters into dead.v1, written so long ago.
func (b *bed) write(ago time.Duration, letters ...*goodhartv1.DeadLetter) {
	b.Helper()
	for _, l := range letters {
		b.produce(&kgo.Record{Topic: schemas.TopicDead, Key: []byte(l.Tenant), Value: encode(b, l), Timestamp: time.Now().Add(-ago)})
	}
}

// died is the ledger's letter of a record of events.v1.
func died(value []byte, key string, offset int64) *goodhartv1.DeadLetter {
	hash := sha256.Sum256(value)
	return &goodhartv1.DeadLetter{
		Stage: goodhartv1.Stage_STAGE_LEDGER, Tenant: "acme", Source: "claude-code", Reason: "bad_value", Field: "signal",
		Topic: schemas.TopicEvents, Partition: schemas.Partition([]byte(key), partitions), Offset: offset,
		Key: []byte(key), Value: value, Hash: hash[:], SizeBytes: int64(len(value)), TimeMs: time.Now().UnixMilli(),
	}
}

// Each letter that must not be replayed is left, for the reason that it has.
func TestReplayRefuses(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	const key = "acme|c0ffee"
	left := func(ago time.Duration, l *goodhartv1.DeadLetter, why string, flags ...string) {
		t.Helper()
		b.write(ago, l)
		at := len(b.records(schemas.TopicDead)) - 1
		out, err := b.dead(append([]string{"replay", "--yes", "0:" + itoa(at)}, flags...)...)
		if err != nil || !strings.Contains(out, "1 left: "+why) {
			t.Errorf("want left: %s; got %v\n%s", why, err, out)
		}
	}
	change := func(l *goodhartv1.DeadLetter, mend func(*goodhartv1.DeadLetter)) *goodhartv1.DeadLetter {
		mend(l)
		return l
	}
	good := encode(t, b.usage("claude-code", 1))
	left(0, &goodhartv1.DeadLetter{Stage: goodhartv1.Stage_STAGE_COLLECTOR, Tenant: "acme", Reason: "bad_time"}, "the collector refused it")
	left(0, change(died(good, key, 1), func(l *goodhartv1.DeadLetter) {
		l.Stage, l.Topic = goodhartv1.Stage_STAGE_SUBJECT, schemas.TopicFacts
	}), "the fold has gone on without it")
	left(0, change(died(good, key, 1), func(l *goodhartv1.DeadLetter) {
		l.Stage, l.Topic = goodhartv1.Stage_STAGE_TENANT, schemas.TopicFeatures
	}), "the fold has gone on without it")
	left(0, change(died(good, key, 1), func(l *goodhartv1.DeadLetter) {
		l.Stage, l.Topic = goodhartv1.Stage_STAGE_ALERTER, schemas.TopicSignals
	}), "a receiver could not have it")
	left(0, change(died(nil, key, 0), func(l *goodhartv1.DeadLetter) { l.Reason = "output_too_large" }), "a fold made it")
	left(0, change(died(good, key, 1), func(l *goodhartv1.DeadLetter) { l.Topic = "somebody.elses" }), "it names no topic of this pipeline")
	left(0, change(died(good, key, 1), func(l *goodhartv1.DeadLetter) { l.Partition = partitions }), "it lay in a partition that goodhart.events.v1 does not have")
	left(0, change(died(good, key, 1), func(l *goodhartv1.DeadLetter) { l.Partition = 1 - l.Partition }), "its key does not belong to its partition")
	left(0, change(died(good, key, 1), func(l *goodhartv1.DeadLetter) { l.Hash[0]++ }), "the letter's bytes do not fit its hash")
	left(0, change(died(good, key, 1<<40), func(l *goodhartv1.DeadLetter) { l.Value = nil }), "its bytes are gone")
	left(0, change(died(good, "acme|"+strings.Repeat("x", 2000), 1<<40), func(l *goodhartv1.DeadLetter) { l.Key = l.Key[:1<<10] }), "its bytes are gone")
	left(0, died([]byte("\xff\xffnonsense"), key, 1), "it would die again: undecodable")
	left(0, died(encode(t, &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_TICK, TimeMs: 1, Tick: &goodhartv1.Tick{Collector: "c"},
	}), key, 1), "it is a tick: its time is over")
	left(0, died(encode(t, &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_CONFIG, Tenant: "acme", TimeMs: 1, Config: &goodhartv1.Config{Version: 1},
	}), key, 1), "it is a configuration, and order matters")
	left(73*time.Hour, died(good, key, 1), "it died more than 72h0m0s ago")
	// What is stored stays once, whatever its age and whoever insists.
	insert := "INSERT INTO core.usage (tenant, event_id, request_key, event_time, received_at, accepted_at, granularity) SELECT 'acme', unhex('"
	for _, row := range []string{
		insert + hexOf(name("id", "claude-code", 1)) + "'), '', now64(3), now64(3), now64(3), 'request'",
		insert + "00000000000000000000000000000001'), unhex('" + hexOf(name("rq", "claude-code", 2)) + "'), now64(3), now64(3), now64(3), 'request'",
	} {
		if err := b.conn.Exec(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	left(0, died(good, key, 1), "it is stored already", "--force")
	left(73*time.Hour, died(good, key, 1), "it is stored already", "--force")
	left(73*time.Hour, died(encode(t, b.usage("claude-code", 2)), key, 1), "it is too old to be recognised, and its request counts", "--force")
	if n := len(b.records(schemas.TopicEvents)); n != 0 {
		t.Errorf("%d records were published", n)
	}
	// And what may be forced is.
	b.write(73*time.Hour, died(encode(t, b.usage("claude-code", 3)), key, 1))
	b.write(0, died([]byte("\xff\xffnonsense"), key, 7))
	b.says("replay --all --force --yes", "2 published")
}

// A record that its letter could not carry is taken from where it lies.
func TestReplayFetchesWhatTheLetterLacks(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	key := "acme|" + strings.Repeat("y", 2000)
	value := encode(t, b.usage("claude-code", 1))
	p := schemas.Partition([]byte(key), partitions)
	for range 3 {
		b.produce(&kgo.Record{Topic: schemas.TopicEvents, Partition: p, Key: []byte(key), Value: []byte("another")})
	}
	b.produce(&kgo.Record{Topic: schemas.TopicEvents, Partition: p, Key: []byte(key), Value: value})
	l := died(value, key, 3)
	l.Key, l.Value = l.Key[:1<<10], nil
	b.write(0, l)
	l = died(value, key, 2) // another record lies there
	l.Key, l.Value = l.Key[:1<<10], nil
	b.write(0, l)
	b.says("replay --all --yes", "1 published", "1 left: another record lies in its place")
	all := b.records(schemas.TopicEvents)
	if last := all[len(all)-1]; last.Partition != p || string(last.Key) != key || string(last.Value) != string(value) {
		t.Errorf("published %d/%q", last.Partition, last.Key)
	}
}

// The summary for machines.
func TestReplayJSON(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	b.write(0, died(encode(t, b.usage("claude-code", 1)), "acme|c0ffee", 1), &goodhartv1.DeadLetter{Stage: goodhartv1.Stage_STAGE_COLLECTOR})
	var got struct {
		Done                       bool
		Letters, Published, Stored int
		Left                       []struct {
			Letters int
			SuchAs  []string `json:"such_as"`
		}
	}
	if err := json.Unmarshal([]byte(b.says("replay --all --format json")), &got); err != nil {
		t.Fatal(err)
	}
	if got.Done || got.Letters != 2 || got.Published != 1 || got.Stored != 0 || len(got.Left) != 1 || got.Left[0].SuchAs[0] != "0:1" {
		t.Errorf("got %+v", got)
	}
}
