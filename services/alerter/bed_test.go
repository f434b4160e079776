package alerter

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	catalogue "github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/probe/probetest"
)

// secret is that of every webhook of the tests.
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// bed is a cluster with the topics, and who writes signals.
type bed struct {
	*testing.T

	kafka  *ktest.Cluster
	writer *kgo.Client
	log    *probetest.Log // of the alerters
}

const partitions = 2

func newBed(t *testing.T, kafka *ktest.Cluster) *bed {
	t.Helper()
	b := &bed{T: t, kafka: kafka, log: probetest.NewLog(t)}
	cl := kafka.Client(t)
	if _, err := kschema.Migrate(t.Context(), cl, kschema.Options{
		Counts: kschema.Counts{Events: 1, Facts: 1, Features: partitions, Dead: 1}, Replication: kafka.Replication,
	}); err != nil {
		t.Fatal(err)
	}
	b.writer = kafka.Client(t, kgo.TransactionalID("tenant fold"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	return b
}

// began is when the signals of the tests opened.
var began = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// question is a revision with a status.
func question(id string, rev uint32, status string) *signal {
	cost := int64(1_250_000_000)
	value, threshold := 42.5, 10.0
	s := &signal{
		Kind: "signal", Tenant: "acme", ScopeKind: "team", Scope: "platform", Team: "platform", ID: id, Rev: rev,
		Code: "S1", Title: "Context bloat", Label: "tooling", Severity: "warning", Status: status,
		OpenedAt: began.UnixMilli(), UpdatedAt: began.Add(time.Duration(rev) * time.Hour).UnixMilli(),
		Question: "Could the context be <smaller>?", CostAtStakeNanos: &cost, Formula: "test/1", ConfigVersion: 1,
		Evidence: []catalogue.FactRecord{{
			Fact: "ratio", Statistic: "context to output", Value: &value, Unit: "tokens per token", Threshold: &threshold, N: 120, Window: "7d",
			LookAlikeChecked: []string{"code review: not seen"},
		}},
	}
	if status == statusResolved {
		s.ResolvedAt = &s.UpdatedAt
	}
	return s
}

func (s *signal) with(change func(*signal)) *signal {
	change(s)
	return s
}

// record is its record of goodhart.signals.v1.
func record(s *signal) []byte {
	value, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return value
}

// publish writes revisions in a transaction.
func (b *bed) publish(signals ...*signal) {
	b.Helper()
	records := make([]*kgo.Record, len(signals))
	for i, s := range signals {
		records[i] = &kgo.Record{Key: []byte(s.ID), Value: record(s)}
	}
	b.write(kgo.TryCommit, records...)
}

// write writes records in a transaction and ends it.
func (b *bed) write(end kgo.TransactionEndTry, records ...*kgo.Record) {
	b.Helper()
	if err := b.writer.BeginTransaction(); err != nil {
		b.Fatal(err)
	}
	for _, rec := range records {
		rec.Topic, rec.Partition = schemas.TopicSignals, schemas.Partition(rec.Key, partitions)
	}
	if err := b.writer.ProduceSync(b.Context(), records...).FirstErr(); err != nil {
		b.Fatal(err)
	}
	if err := b.writer.EndTransaction(b.Context(), end); err != nil {
		b.Fatal(err)
	}
}

// config sends everything to the receivers.
func (b *bed) config(receivers ...Receiver) Config {
	cfg := Default()
	cfg.Kafka = kafka.Config{Brokers: b.kafka.Addrs}
	cfg.Receivers = receivers
	cfg.pauses = pauses{first: 20 * time.Millisecond, most: 100 * time.Millisecond, commit: time.Second}
	rule := Rule{To: []string{}}
	for _, r := range receivers {
		rule.To = append(rule.To, r.Name)
	}
	cfg.Rules = []Rule{rule}
	return cfg
}

// alerter is one that runs.
type alerter struct {
	*bed

	tel    *probe.Telemetry
	line   *ktest.Line // to brokers and receivers
	cancel context.CancelFunc
	wait   func() error // for it to end
	stop   func() error
	fails  bool // it is meant to
}

// start runs an alerter and waits until it has read what there is.
func (b *bed) start(cfg Config) *alerter {
	b.Helper()
	a := &alerter{bed: b, tel: probe.New(slog.New(slog.NewTextHandler(b.log, nil))), line: &ktest.Line{}}
	cfg.Kafka.Extra = append(cfg.Kafka.Extra[:len(cfg.Kafka.Extra):len(cfg.Kafka.Extra)], kgo.Dialer(a.line.Dial))
	for _, r := range cfg.Receivers {
		a.tel.NotReady(component(r.Name), "not begun")
	}
	cfg.transport = &http.Transport{DialContext: a.line.Dial}
	ctx, cancel := context.WithCancel(context.WithoutCancel(b.Context()))
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, a.tel) }()
	a.cancel = cancel
	a.wait = sync.OnceValue(func() error { return <-ended })
	a.stop = func() error { cancel(); return a.wait() }
	b.Cleanup(func() {
		if err := a.stop(); err != nil && !a.fails {
			b.Errorf("alerter: %v", err)
		}
	})
	ktest.Eventually(b, "the alerter to be ready", func() bool { return len(a.tel.Pending()) == 0 })
	return a
}

// kill ends it as kill -9 would: neither Kafka nor a receiver hears from it again.
func (a *alerter) kill() {
	a.line.Cut()
	a.cancel()
}

// letters are the dead letters, once there are so many.
func (b *bed) letters(n int) []*goodhartv1.DeadLetter {
	b.Helper()
	var letters []*goodhartv1.DeadLetter
	ktest.Eventually(b, fmt.Sprintf("%d dead letters", n), func() bool {
		letters = nil
		for _, rec := range b.kafka.Records(b, schemas.TopicDead) {
			l := new(goodhartv1.DeadLetter)
			if err := l.UnmarshalVT(rec.Value); err != nil {
				b.Fatal(err)
			}
			letters = append(letters, l)
		}
		return len(letters) >= n
	})
	return letters
}

// caughtUp waits until the receiver's group has committed everything.
func (b *bed) caughtUp(receiver string) { b.kafka.Await(b, Group(receiver), schemas.TopicSignals) }

// committed is the offset and the metadata of the partition of a key.
func (b *bed) committed(receiver, key string) (int64, string) {
	b.Helper()
	offsets, err := kadm.NewClient(b.writer).FetchOffsets(b.Context(), Group(receiver))
	if err != nil {
		b.Fatal(err)
	}
	at, ok := offsets.Lookup(schemas.TopicSignals, schemas.Partition([]byte(key), partitions))
	if !ok {
		return -1, ""
	}
	return at.At, at.Metadata
}

// request is one that a receiver got.
type request struct {
	header http.Header
	body   string
	at     time.Time
}

func (r request) key() string { return r.header.Get("Idempotency-Key") }

// place is a receiver of the test's own.
type place struct {
	*httptest.Server

	mu     sync.Mutex
	got    []request
	answer func(request) (status int, text string)
}

// newPlace records what it is sent, and answers 200 unless told otherwise.
func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// ServeHTTP implements http.Handler.
func (p *place) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	req := request{r.Header, string(body), time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answer != nil {
		if status, text := p.answer(req); status != http.StatusOK {
			if status == http.StatusTooManyRequests {
				w.Header().Set("Retry-After", "120")
			}
			http.Error(w, text, status)
			return
		}
	}
	p.got = append(p.got, req)
}

// answers makes it answer otherwise; nil for 200.
func (p *place) answers(how func(request) (status int, text string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = how
}

// taken are the requests that were answered with 200.
func (p *place) taken() []request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]request(nil), p.got...)
}

// keys are the idempotency keys of what was taken, in order.
func (p *place) keys() []string {
	var keys []string
	for _, r := range p.taken() {
		keys = append(keys, r.key())
	}
	return keys
}

// wants waits until it has so many requests.
func (p *place) wants(t *testing.T, n int) []request {
	t.Helper()
	ktest.Eventually(t, fmt.Sprintf("%d requests", n), func() bool { return len(p.taken()) >= n })
	return p.taken()
}

func (p *place) webhook(name string) Receiver {
	return Receiver{Name: name, Webhook: &Webhook{URL: p.URL, Secret: secret}}
}

func (p *place) slack(name string) Receiver {
	return Receiver{Name: name, Slack: &Slack{URL: p.URL + "/services/T0/B0/very-secret"}}
}

// sample is the value of a sample of the alerter's metrics, such as
// `name{label="value"}`; empty if there is none.
func (a *alerter) sample(name string) string {
	a.Helper()
	w := httptest.NewRecorder()
	a.tel.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for l := range strings.Lines(w.Body.String()) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(l), name+" "); ok {
			return value
		}
	}
	return ""
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	if s == "" {
		return 0
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func partitionOf(id string) int32 { return schemas.Partition([]byte(id), partitions) }
