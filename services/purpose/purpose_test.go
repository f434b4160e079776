package purpose_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/purpose"
	"github.com/goodhartlabs/goodhart/services/purpose/purposetest"
)

const ann = "p_00000000000000000000000000000007"

// bed is a broker, and both roles.
type bed struct {
	*testing.T
	kafka  kafka.Config
	client *kgo.Client
	keys   purposetest.Keys
	cfg    purpose.Config
	now    time.Time
}

func newBed(t *testing.T, c *ktest.Cluster) *bed {
	t.Helper()
	b := &bed{T: t, kafka: kafka.Config{Brokers: c.Addrs}, client: c.Client(t), keys: purposetest.New(t), now: time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)}
	b.cfg = purpose.WithClock(b.keys.Config, func() time.Time { return b.now })
	counts := kschema.Counts{Events: 1, Facts: 1, Features: 1, Dead: 1}
	if _, err := kschema.Migrate(t.Context(), b.client, kschema.Options{Counts: counts, Replication: c.Replication}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bed) good() purpose.Entry {
	return purpose.Entry{
		Tenant: "acme", Subject: ann, Reason: "a works agreement asks for a review of this key",
		Until: b.now.Add(14 * 24 * time.Hour).UnixMilli(),
	}
}

func (b *bed) request(key string) string {
	b.Helper()
	e, err := purpose.Request(b.Context(), b.kafka, b.cfg, key, b.good())
	if err != nil {
		b.Fatal(err)
	}
	return e.ID
}

func (b *bed) use(key, id string) (purpose.Grant, error) {
	return purpose.Use(b.Context(), b.kafka, b.cfg, key, id, "explain signal abc")
}

// refuses fails unless an error says why, and nothing was recorded.
func (b *bed) refuses(err error, want string) {
	b.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		b.Errorf("%v, want %q", err, want)
	}
}

func (b *bed) kinds() []purpose.Kind {
	b.Helper()
	entries, err := purpose.List(b.Context(), b.kafka, b.cfg)
	if err != nil {
		b.Fatal(err)
	}
	var kinds []purpose.Kind
	for _, e := range entries {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// It takes both roles; each use is recorded; what was not granted leaves no trace.
func TestTwoRoles(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) { testTwoRoles(newBed(t, c)) })
}

func testTwoRoles(b *bed) {
	k := b.keys
	id := b.request(k.Officer)
	_, err := b.use(k.Officer, id)
	b.refuses(err, "the other role has not approved it")
	_, err = purpose.Approve(b.Context(), b.kafka, b.cfg, k.Officer, id)
	b.refuses(err, "the other role approves it")
	_, err = purpose.Approve(b.Context(), b.kafka, b.cfg, k.Manager, "0123456789abcdef")
	b.refuses(err, "there is none")
	if _, err = purpose.Approve(b.Context(), b.kafka, b.cfg, k.Manager, id); err != nil {
		b.Fatal(err)
	}
	_, err = purpose.Approve(b.Context(), b.kafka, b.cfg, k.Manager, id)
	b.refuses(err, "approved already")
	g, err := b.use(k.Officer, id)
	if err != nil || g.Tenant != "acme" || g.Subject != ann || !g.Until.Equal(b.now.Add(14*24*time.Hour)) {
		b.Errorf("%+v, %v", g, err)
	}
	if _, err := b.use(k.Manager, id); err != nil {
		b.Error(err)
	}
	if diff := cmp.Diff([]purpose.Kind{purpose.Requested, purpose.Approved, purpose.Used, purpose.Used}, b.kinds()); diff != "" {
		b.Errorf("recorded (-want +got)\n%s", diff)
	}
	if _, err := purpose.Withdraw(b.Context(), b.kafka, b.cfg, k.Officer, id); err != nil {
		b.Fatal(err)
	}
	_, err = b.use(k.Manager, id)
	b.refuses(err, "it was withdrawn")
	// The other way round; and nothing holds for longer than it was asked for.
	id = b.request(k.Manager)
	if _, err = purpose.Approve(b.Context(), b.kafka, b.cfg, k.Officer, id); err != nil {
		b.Fatal(err)
	}
	b.now = b.now.Add(14*24*time.Hour - time.Millisecond)
	if _, err = b.use(k.Manager, id); err != nil {
		b.Error(err)
	}
	b.now = b.now.Add(time.Millisecond)
	_, err = b.use(k.Manager, id)
	b.refuses(err, "it ended at 2026-11-15T09:00:00Z")
}

// It is off by default, and impossible without the keyring or the keys.
func TestItTakesEverything(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	id := b.request(b.keys.Officer)
	try := func(want string, change func(*purpose.Config)) {
		t.Helper()
		cfg := b.cfg
		change(&cfg)
		_, err := purpose.Request(t.Context(), b.kafka, cfg, b.keys.Officer, b.good())
		b.refuses(err, want)
		_, err = purpose.Use(t.Context(), b.kafka, cfg, b.keys.Officer, id, "x")
		b.refuses(err, want)
	}
	try("purpose: off", func(c *purpose.Config) { *c = purpose.Config{} })
	try("all of them, or none", func(c *purpose.Config) { c.KeyringFile = "" })
	try("all of them, or none", func(c *purpose.Config) { c.Manager = "" })
	try("have a key in common", func(c *purpose.Config) { c.Manager = c.Officer })
	try("no such file", func(c *purpose.Config) { c.KeyringFile += "x" })
	try("want Ed25519 public keys", func(c *purpose.Config) { c.Manager = b.keys.Manager })
	try("lets others read it", func(c *purpose.Config) {
		c.KeyringFile = purposetest.File(t, "open.yaml", []byte("acme: "+purposetest.TenantKey))
		if err := os.Chmod(c.KeyringFile, 0o644); err != nil {
			t.Fatal(err)
		}
	})
	_, err := purpose.Request(t.Context(), b.kafka, withRing(t, b.cfg, "globex"), b.keys.Officer, b.good())
	b.refuses(err, `tenant "acme": no key`)

	stranger, _ := purposetest.Pair(t)
	_, err = purpose.Request(t.Context(), b.kafka, b.cfg, stranger, b.good())
	b.refuses(err, "of nobody who holds one of the two roles")
	_, err = purpose.Request(t.Context(), b.kafka, b.cfg, b.keys.Config.Officer, b.good())
	b.refuses(err, "want an Ed25519 private key")
	if err := os.Chmod(b.keys.Officer, 0o640); err != nil {
		t.Fatal(err)
	}
	_, err = purpose.Request(t.Context(), b.kafka, b.cfg, b.keys.Officer, b.good())
	b.refuses(err, "lets others read it")
	if diff := cmp.Diff([]purpose.Kind{purpose.Requested}, b.kinds()); diff != "" {
		t.Errorf("recorded (-want +got)\n%s", diff)
	}
}

// withRing is a configuration with the key of one tenant.
func withRing(t *testing.T, cfg purpose.Config, tenant string) purpose.Config {
	t.Helper()
	cfg.KeyringFile = purposetest.File(t, "ring.yaml", []byte(tenant+": "+strings.Repeat("5a", 32)+"\n"))
	return cfg
}

// What a request lacks is said at once, and it is not recorded.
func TestBadRequests(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	try := func(want string, change func(*purpose.Entry)) {
		t.Helper()
		e := b.good()
		change(&e)
		_, err := purpose.Request(t.Context(), b.kafka, b.cfg, b.keys.Officer, e)
		b.refuses(err, want)
	}
	try("reason: 0 characters", func(e *purpose.Entry) { e.Reason = "" })
	try("reason: 501 characters", func(e *purpose.Entry) { e.Reason = strings.Repeat("x", 501) })
	try("an e-mail address", func(e *purpose.Entry) { e.Reason = "because of ann@example.com and others" })
	try("one line", func(e *purpose.Entry) { e.Reason = "because of this\nand because of that" })
	try("subject: want the pseudonym", func(e *purpose.Entry) { e.Subject = "s_00000000000000000000000000000007" })
	try("subject: want the pseudonym", func(e *purpose.Entry) { e.Subject = "ann" })
	try("within 30 days", func(e *purpose.Entry) { e.Until = b.now.Add(31 * 24 * time.Hour).UnixMilli() })
	try("within 30 days", func(e *purpose.Entry) { e.Until = b.now.UnixMilli() })
	if kinds := b.kinds(); len(kinds) != 0 {
		t.Errorf("recorded: %v", kinds)
	}
}

// A log that somebody has written to, changed or cut grants nothing to anybody.
func TestBrokenLog(t *testing.T) {
	f := func(name, want string, harm func(b *bed, records []*kgo.Record)) {
		t.Run(name, func(t *testing.T) {
			c := ktest.Fake(t)
			b := newBed(t, c)
			id := b.request(b.keys.Officer)
			if _, err := purpose.Approve(t.Context(), b.kafka, b.cfg, b.keys.Manager, id); err != nil {
				t.Fatal(err)
			}
			harm(b, c.Records(t, schemas.TopicPurpose))
			_, err := b.use(b.keys.Officer, id)
			b.refuses(err, want)
			_, err = purpose.List(t.Context(), b.kafka, b.cfg)
			b.refuses(err, want)
		})
	}
	add := func(b *bed, value []byte) {
		b.Helper()
		if err := b.client.ProduceSync(b.Context(), &kgo.Record{Topic: schemas.TopicPurpose, Value: value}).FirstErr(); err != nil {
			b.Fatal(err)
		}
	}
	// again makes the topic anew, with other records.
	again := func(b *bed, values ...[]byte) {
		b.Helper()
		adm := kadm.NewClient(b.client)
		if _, err := adm.DeleteTopic(b.Context(), schemas.TopicPurpose); err != nil {
			b.Fatal(err)
		}
		if _, err := adm.CreateTopic(b.Context(), 1, 1, nil, schemas.TopicPurpose); err != nil {
			b.Fatal(err)
		}
		for _, v := range values {
			add(b, v)
		}
	}
	f("garbage", "is not one of the log's", func(b *bed, _ []*kgo.Record) { add(b, []byte("{}")) })
	f("again", "does not follow", func(b *bed, r []*kgo.Record) { add(b, r[1].Value) })
	f("removed", "does not follow", func(b *bed, r []*kgo.Record) { again(b, r[1].Value) })
	f("changed", "signature", func(b *bed, r []*kgo.Record) {
		again(b, bytes.Replace(r[0].Value, []byte("review"), []byte("firing"), 1), r[1].Value)
	})
	f("another seal", "seal", func(b *bed, r []*kgo.Record) {
		at := bytes.Index(r[0].Value, []byte(`"seal":"`)) + len(`"seal":"`)
		value := bytes.Clone(r[0].Value)
		value[at] ^= 1
		again(b, value)
	})
	f("cut", "has been cut", func(b *bed, _ []*kgo.Record) {
		offsets := kadm.Offsets{}
		offsets.AddOffset(schemas.TopicPurpose, 0, 1, -1)
		if deleted, err := kadm.NewClient(b.client).DeleteRecords(b.Context(), offsets); err != nil || deleted.Error() != nil {
			b.Fatal(err, deleted.Error())
		}
	})
	f("other keyring", "seal", func(b *bed, _ []*kgo.Record) { b.cfg = withRing(b.T, b.cfg, "acme") })
}

// Whoever held a role before has signed what they signed; they can do nothing more.
func TestRolesChangeHands(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	id := b.request(b.keys.Officer)
	key, public := purposetest.Pair(t)
	old, err := os.ReadFile(b.cfg.Officer)
	if err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(public)
	if err != nil {
		t.Fatal(err)
	}
	b.cfg.Officer = purposetest.File(t, "officers.pem", append(now, old...))
	if _, err := purpose.Approve(t.Context(), b.kafka, b.cfg, b.keys.Manager, id); err != nil {
		t.Fatal(err)
	}
	if _, err = b.use(key, id); err != nil {
		t.Error(err)
	}
	_, err = b.use(b.keys.Officer, id)
	b.refuses(err, "of nobody who holds one of the two roles")
}

// Of two who write at once the earlier one fails and has recorded nothing.
func TestConflict(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	first := true
	early := purpose.WithClock(b.cfg, func() time.Time {
		if first { // it has read the log, and not written
			first = false
			b.request(b.keys.Manager)
		}
		return b.now
	})
	if _, err := purpose.Request(t.Context(), b.kafka, early, b.keys.Officer, b.good()); !errors.Is(err, purpose.ErrConflict) {
		t.Errorf("%v, want %v", err, purpose.ErrConflict)
	}
	if diff := cmp.Diff([]purpose.Kind{purpose.Requested}, b.kinds()); diff != "" {
		t.Errorf("recorded (-want +got)\n%s", diff)
	}
}
