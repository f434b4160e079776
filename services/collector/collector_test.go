package collector

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	grpcgzip "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/probe"
)

const (
	testSecret = "secret-of-ada"
	ciSecret   = "secret-of-ci"
	testTenant = "acme"
	testParts  = 4
)

// rig is a collector between a real client and a fake broker.
type rig struct {
	t       testing.TB
	brokers *ktest.Cluster
	cluster *kfake.Cluster // of brokers, nil on Apache Kafka
	kafka   *kgo.Client    // ours, to look at the topics
	s       *service
	tel     *probe.Telemetry
	log     *bytes.Buffer
	http    string
	grpc    string
	stop    func() error
}

func keysYAML(entries ...string) string { return "keys:\n" + strings.Join(entries, "") }

func keyYAML(id, secret, rest string) string {
	hash := sha256.Sum256([]byte(secret))
	return fmt.Sprintf("  - {id: %s, sha256: %s, tenant: %s%s}\n", id, hex.EncodeToString(hash[:]), testTenant, rest)
}

const peopleYAML = `
people:
  - id: ada
    role: developer
    identities: [{kind: email, value: ada@acme.example}]
    memberships: [{team: compilers, from: "2020-01-01"}]
`

// testConfig is a configuration on files of a temporary directory.
func testConfig(tb testing.TB, brokers []string) Config {
	tb.Helper()
	dir := tb.TempDir()
	cfg := Default()
	cfg.Listen = Listen{HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0"}
	cfg.Kafka.Brokers = brokers
	cfg.Keyring = map[string]string{testTenant: strings.Repeat("5a", 32)}
	cfg.Keys = filepath.Join(dir, "keys.yaml")
	cfg.People = filepath.Join(dir, "people.yaml")
	cfg.TickInterval = 30 * time.Second // tests of ticks set their own
	cfg.ReloadInterval = 100 * time.Millisecond
	writeFile(tb, cfg.Keys, keysYAML(keyYAML("ada-laptop", testSecret, ""), keyYAML("ci", ciSecret, ", source: cloudevents, service: true")))
	writeFile(tb, cfg.People, peopleYAML)
	return cfg
}

func writeFile(tb testing.TB, path, content string) {
	tb.Helper()
	// A new file in place of the old one: another identity, whatever the clock.
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
}

// migrated returns a client of a broker that has goodhart's topics now.
func migrated(tb testing.TB, c *ktest.Cluster) *kgo.Client {
	tb.Helper()
	cl := c.Client(tb)
	counts := kschema.Counts{Events: testParts, Facts: 1, Features: 1, Dead: 1}
	if _, err := kschema.Migrate(tb.Context(), cl, kschema.Options{Counts: counts, Replication: c.Replication}); err != nil {
		tb.Fatal(err)
	}
	return cl
}

func quiet() *probe.Telemetry { return probe.New(slog.New(slog.DiscardHandler)) }

// waitFor asks until the answer is yes.
func waitFor(tb testing.TB, what string, yes func() bool) {
	tb.Helper()
	ask := time.NewTicker(5 * time.Millisecond)
	defer ask.Stop()
	patience := time.After(3 * time.Minute)
	for !yes() {
		select {
		case <-ask.C:
		case <-patience:
			tb.Fatalf("waited for %s in vain", what)
		}
	}
}

// start starts a collector beside a broker in this process; change adapts its
// configuration.
func start(tb testing.TB, change func(*Config), opts ...kfake.Opt) *rig {
	tb.Helper()
	return startOn(tb, ktest.Fake(tb, opts...), change)
}

// startOn starts a collector on brokers that are migrated first.
func startOn(tb testing.TB, c *ktest.Cluster, change func(*Config)) *rig {
	tb.Helper()
	return startBeside(tb, c, migrated(tb, c), change)
}

func startBeside(tb testing.TB, c *ktest.Cluster, cl *kgo.Client, change func(*Config)) *rig {
	tb.Helper()
	cfg := testConfig(tb, c.Addrs)
	if change != nil {
		change(&cfg)
	}
	r := &rig{t: tb, brokers: c, cluster: c.Fake, kafka: cl, log: new(bytes.Buffer)}
	r.tel = probe.New(slog.New(slog.NewTextHandler(r.log, nil)))
	var err error
	if r.s, err = open(tb.Context(), cfg, r.tel); err != nil {
		tb.Fatal(err)
	}
	for _, l := range r.s.servers {
		if l.server.Protocols != nil {
			r.grpc = l.listener.Addr().String()
		} else {
			r.http = "http://" + l.listener.Addr().String()
		}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	ended := make(chan error, 1)
	go func() { ended <- r.s.run(ctx) }()
	stopped := false
	r.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	tb.Cleanup(func() {
		if err := r.stop(); err != nil && !tb.Failed() {
			tb.Errorf("stop: %v", err)
		}
	})
	return r
}

// call is one HTTP request of a test.
type call struct {
	path, contentType, encoding string
	body                        io.Reader
	secret                      string // "-": no Authorization at all; empty: the usual key
	headers                     map[string]string
}

type reply struct {
	code   int
	header http.Header
	body   []byte
}

func (r *rig) post(c call) reply {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.http+c.path, c.body)
	if err != nil {
		r.t.Fatal(err)
	}
	if c.contentType != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	if c.encoding != "" {
		req.Header.Set("Content-Encoding", c.encoding)
	}
	switch c.secret {
	case "-":
	case "":
		req.Header.Set("Authorization", "Bearer "+testSecret)
	default:
		req.Header.Set("Authorization", c.secret)
	}
	for k, v := range c.headers {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, raw}
}

// read returns every record of a topic, in order of partition and offset.
func (r *rig) read(topic string) []*kgo.Record {
	r.t.Helper()
	records := r.brokers.Records(r.t, topic)
	slices.SortStableFunc(records, func(a, b *kgo.Record) int { return cmp.Compare(a.Partition, b.Partition) })
	return records
}

// stored is an event as it lies in Kafka.
type stored struct {
	*goodhartv1.Event
	partition int32
	key       string
}

// events returns the events of events.v1 without ticks.
func (r *rig) events() []stored { return r.ofKind(false) }

// ticks returns the ticks.
func (r *rig) ticks() []stored { return r.ofKind(true) }

func (r *rig) ofKind(tick bool) []stored {
	r.t.Helper()
	var out []stored
	for _, rec := range r.read(schemas.TopicEvents) {
		e := new(goodhartv1.Event)
		if err := e.UnmarshalVT(rec.Value); err != nil {
			r.t.Fatal(err)
		}
		if (e.Kind == goodhartv1.EventKind_EVENT_KIND_TICK) == tick {
			out = append(out, stored{e, rec.Partition, string(rec.Key)})
		}
	}
	return out
}

func (r *rig) deadLetters() []*goodhartv1.DeadLetter {
	r.t.Helper()
	var out []*goodhartv1.DeadLetter
	for _, rec := range r.read(schemas.TopicDead) {
		d := new(goodhartv1.DeadLetter)
		if err := d.UnmarshalVT(rec.Value); err != nil {
			r.t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

// rejected is the collector's own count.
func (r *rig) rejected(source, reason string) int {
	return int(testutil.ToFloat64(r.s.metrics.rejected.WithLabelValues(source, reason)))
}

// tallied sums the tallies that ticks carried, each tick number once.
func (r *rig) tallied() map[string]int64 {
	r.t.Helper()
	type number struct {
		collector string
		partition int32
		sequence  uint64
	}
	seen := map[number]bool{}
	sums := map[string]int64{}
	for _, e := range r.ticks() {
		n := number{e.Tick.Collector, e.partition, e.Tick.Sequence}
		if seen[n] {
			continue
		}
		seen[n] = true
		for _, x := range e.Tick.Rejected {
			sums[x.Source+"/"+x.Reason] += x.Records
		}
	}
	return sums
}

// requests is the collector's count of answered requests.
func (r *rig) requests(transport, result string) int {
	return int(testutil.ToFloat64(r.s.metrics.requests.WithLabelValues(transport, result)))
}

// dial opens a real gRPC client.
func (r *rig) dial(gzip bool) *grpc.ClientConn {
	r.t.Helper()
	opts := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	if gzip {
		opts = append(opts, grpc.WithDefaultCallOptions(grpc.UseCompressor(grpcgzip.Name)))
	}
	cc, err := grpc.NewClient(r.grpc, opts...)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = cc.Close() })
	return cc
}

// authorized is the context of a gRPC call with the usual key.
func (r *rig) authorized(kv ...string) context.Context {
	kv = append(kv, "authorization", "Bearer "+testSecret)
	return metadata.AppendToOutgoingContext(r.t.Context(), kv...)
}
