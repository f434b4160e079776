package features

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.yaml.in/yaml/v3"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/collector"
	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/processor"
	"github.com/goodhartlabs/goodhart/services/simulate/client"
)

// most is how many records one request carries.
const most = 200

// send plays an organisation over the network into a collector, lets the folds
// run on what it publishes and returns what is stated of subjects.
//
// Requests follow each other in the order of their events, one partition takes
// them all, and the collector's clock never leads them: so the watermark is that
// of the short way after each event.
func send(t *testing.T, o *organisation.Organisation, part cut) []statement {
	t.Helper()
	brokers := ktest.Fake(t)
	counts := kschema.Counts{Events: 1, Facts: 1, Features: 1, Dead: 1}
	if _, err := kschema.Migrate(t.Context(), brokers.Client(t), kschema.Options{Counts: counts, Replication: 1}); err != nil {
		t.Fatal(err)
	}
	s := &sender{t: t, client: collect(t, brokers, o)}
	process(t, brokers)
	for r := range play(o, part) {
		s.put(r)
	}
	s.flush()
	for at := end(o, part); at <= end(o, part)+final; at += day {
		s.advance(at)
	}
	// A record is released once a later watermark is there.
	s.advance(end(o, part) + final + day)
	if n := s.client.Stats().Rejected.Load(); n > 0 {
		t.Fatalf("%d records were rejected", n)
	}
	t.Logf("%d requests, %d KiB", s.client.Stats().Requests.Load(), s.client.Stats().Bytes.Load()>>10)
	brokers.Await(t, schemas.GroupLedger, schemas.TopicEvents)
	brokers.Await(t, schemas.GroupSubject, schemas.TopicFacts)
	if dead := brokers.Records(t, schemas.TopicDead); len(dead) > 0 {
		t.Fatalf("%d dead letters", len(dead))
	}
	var stated []statement
	for _, rec := range brokers.Records(t, schemas.TopicFeatures) {
		if said, ok := state(t, rec.Value); ok {
			stated = append(stated, said)
		}
	}
	return stated
}

// sender turns records into requests.
type sender struct {
	t      *testing.T
	client *client.Client
	// held are records of one credential and one form, in order.
	key      string
	spans    ptrace.Traces
	outcomes []json.RawMessage
	n        int
	newest   int64
	// clock is the collector's: it stays behind the events by less than they may
	// be ahead of it, for each advance takes a tick.
	clock int64
}

const ahead = 4 * 60_000

func (s *sender) put(r *organisation.Record) {
	outcome := r.Event.Outcome != nil
	if s.n > 0 && (s.n == most || s.key != r.Credential.ID || outcome != (len(s.outcomes) > 0)) {
		s.flush()
	}
	if s.n == 0 {
		s.key, s.spans, s.outcomes = r.Credential.ID, ptrace.NewTraces(), s.outcomes[:0]
	}
	s.n++
	s.newest = max(s.newest, r.Event.TimeMs)
	if !outcome {
		r.AppendSpan(s.spans)
		return
	}
	body, err := r.CloudEvent()
	if err != nil {
		s.t.Fatal(err)
	}
	s.outcomes = append(s.outcomes, body)
}

// flush sends what is held, spans over gRPC and outcomes over HTTP.
func (s *sender) flush() {
	if s.n == 0 {
		return
	}
	if s.newest > s.clock+ahead {
		s.clock = s.newest
	}
	m := &client.Message{Key: s.key, Clock: s.clock}
	if len(s.outcomes) > 0 {
		body, err := json.Marshal(s.outcomes)
		if err != nil {
			s.t.Fatal(err)
		}
		m.Path, m.Header, m.Body = "/v1/events", http.Header{"Content-Type": {"application/cloudevents-batch+json"}}, body
	} else {
		request := ptraceotlp.NewExportRequestFromTraces(s.spans)
		m.Traces = &request
	}
	s.send(m)
	s.n, s.outcomes = 0, s.outcomes[:0]
}

// advance moves the clock alone.
func (s *sender) advance(to int64) {
	s.send(&client.Message{
		Key: organisation.KeyDelivery, Clock: to, Path: "/v1/events",
		Header: http.Header{"Content-Type": {"application/cloudevents-batch+json"}}, Body: []byte("[]"),
	})
}

func (s *sender) send(m *client.Message) {
	s.t.Helper()
	if err := s.client.Send(s.t.Context(), m); err != nil {
		s.t.Fatal(err)
	}
}

// collect starts a collector that knows the organisation and returns a client of it.
func collect(t *testing.T, brokers *ktest.Cluster, o *organisation.Organisation) *client.Client {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, v any) string {
		raw, err := yaml.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	secrets := map[string]string{}
	var keys []map[string]any
	for _, c := range o.Credentials() {
		secrets[c.ID] = "secret of " + c.ID
		sum := sha256.Sum256([]byte(secrets[c.ID]))
		keys = append(keys, map[string]any{
			"id": c.ID, "sha256": hex.EncodeToString(sum[:]), "tenant": c.Tenant, "service": c.Service, "counts_alone": []string{},
		})
	}
	cfg := collector.Default()
	cfg.Kafka.Brokers, cfg.Clock, cfg.Admin = brokers.Addrs, collector.ClockHeader, ""
	cfg.Keys, cfg.People = write("keys.yaml", map[string]any{"keys": keys}), write("people.yaml", o.PeopleFile())
	cfg.Keyring = map[string]string{o.Config.Tenant: hex.EncodeToString(o.TenantKey())}
	cfg.ReloadInterval = time.Hour
	bound := map[string]net.Listener{}
	for _, addr := range []string{cfg.Listen.HTTP, cfg.Listen.GRPC} {
		ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		bound[addr] = ln
	}
	cfg.Listen.Open = func(_, addr string) (net.Listener, error) { return bound[addr], nil }
	run(t, func(ctx context.Context, tel *probe.Telemetry) error { return collector.Run(ctx, cfg, tel) })
	c, err := client.New(client.Config{
		HTTP: "http://" + bound[cfg.Listen.HTTP].Addr().String(), GRPC: bound[cfg.Listen.GRPC].Addr().String(),
		Secrets: secrets, Patience: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// process runs the ledger and the subject fold.
func process(t *testing.T, brokers *ktest.Cluster) {
	t.Helper()
	cfg := processor.Default()
	cfg.Kafka.Brokers, cfg.Folds, cfg.Admin = brokers.Addrs, []string{processor.Ledger, processor.Subject}, ""
	run(t, func(ctx context.Context, tel *probe.Telemetry) error { return processor.Run(ctx, cfg, tel) })
}

// run runs a service until the test ends.
func run(t *testing.T, service func(context.Context, *probe.Telemetry) error) {
	t.Helper()
	log := new(bytes.Buffer)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- service(ctx, probe.New(slog.New(slog.NewTextHandler(log, nil)))) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%v\n%s", err, log)
		}
	})
}
