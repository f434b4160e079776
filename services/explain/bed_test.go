package explain

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/processor"
)

// monday is the start of an ISO week, 2026-01-05.
const monday int64 = 1_767_571_200_000

// judged is how long after its Monday a week is judged.
const judged = window.Week + 3*window.Day

// bed is a broker, and the tenant fold over features that no subject fold made.
type bed struct {
	*testing.T
	*ktest.Cluster
	client *kgo.Client
	counts kschema.Counts
	seq    []uint64 // next to each partition of features.v1
	unsent []*kgo.Record
	stop   func()
}

func newBed(t *testing.T, c *ktest.Cluster) *bed {
	t.Helper()
	b := &bed{
		T: t, Cluster: c, counts: kschema.Counts{Events: 1, Facts: 1, Features: 2, Dead: 1}, seq: []uint64{1, 1},
		client: c.Client(t, kgo.RecordPartitioner(kgo.ManualPartitioner())),
	}
	if _, err := kschema.Migrate(t.Context(), b.client, kschema.Options{Counts: b.counts, Replication: b.Replication}); err != nil {
		t.Fatal(err)
	}
	return b
}

// fold runs the tenant fold until stop is called, or the test ends.
func (b *bed) fold() {
	b.Helper()
	cfg := processor.Default()
	cfg.Kafka, cfg.SpillDir, cfg.Admin = kafka.Config{Brokers: b.Addrs}, b.TempDir(), ""
	cfg.Folds, cfg.Interval, cfg.SnapshotPeriod = []string{processor.Tenant}, 20*time.Millisecond, time.Second
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- processor.Run(ctx, cfg, probe.New(slog.New(slog.DiscardHandler))) }()
	stopped := false
	b.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			b.Errorf("processor: %v", err)
		}
	}
	b.Cleanup(b.stop)
}

// restart lets the fold take what there is, and begins it anew.
func (b *bed) restart() {
	b.Helper()
	b.Await(b.T, schemas.GroupTenant, schemas.TopicFeatures)
	b.stop()
	b.fold()
}

// say puts a feature into the log, with the next watermark; one without a tenant is
// a watermark, to every partition.
func (b *bed) say(w int64, m *goodhartv1.Feature) {
	b.Helper()
	to := []int32{schemas.Partition([]byte(m.Tenant), b.counts.Features)}
	if m.Tenant == "" {
		to = []int32{0, 1}
	}
	for _, p := range to {
		m.W, m.P, m.Seq = w, 0, b.seq[p]
		b.seq[p]++
		value := stamp(m)
		b.unsent = append(b.unsent, &kgo.Record{Topic: schemas.TopicFeatures, Partition: p, Key: []byte(m.Tenant), Value: value})
	}
	if m.Tenant != "" {
		return
	}
	if err := b.client.ProduceSync(b.Context(), b.unsent...).FirstErr(); err != nil {
		b.Fatal(err)
	}
	b.unsent = nil
}

// stamp encodes a feature with all three fields of its stamp, zero or not.
func stamp(m *goodhartv1.Feature) []byte {
	w, p, seq := m.W, m.P, m.Seq
	m.W, m.P, m.Seq = 0, 0, 0
	body, err := m.MarshalVT()
	if err != nil {
		panic(err)
	}
	varint := func(b []byte, tag byte, v uint64) []byte {
		b = append(b, tag)
		for ; v >= 0x80; v >>= 7 {
			b = append(b, byte(v)|0x80)
		}
		return append(b, byte(v))
	}
	return append(varint(varint(varint(nil, 0x08, uint64(w)), 0x10, uint64(p)), 0x18, seq), body...)
}

func (b *bed) watermark(w int64) {
	b.Helper()
	b.say(w, &goodhartv1.Feature{Kind: goodhartv1.FeatureKind_FEATURE_KIND_WATERMARK})
}

// declare puts a configuration into force.
func (b *bed) declare(w int64, version uint64, document string) {
	b.Helper()
	config := &goodhartv1.Config{Version: version, Document: []byte(document)}
	b.say(w, &goodhartv1.Feature{Kind: goodhartv1.FeatureKind_FEATURE_KIND_CONFIG, Tenant: "acme", Config: config})
	records, err := kschema.ConfigRecords(&goodhartv1.Event{Kind: goodhartv1.EventKind_EVENT_KIND_CONFIG, Tenant: "acme", Config: config}, b.counts.Events)
	if err != nil {
		b.Fatal(err)
	}
	if err := b.client.ProduceSync(b.Context(), records[1]).FirstErr(); err != nil {
		b.Fatal(err)
	}
}

func person(n int) string { return fmt.Sprintf("p_%032x", n) }

// around is a week of someone who works at so many hours of it, and used to at 30.
func around(tenant, subject string, n int64, hours int) *goodhartv1.Feature {
	k := &goodhartv1.Week{
		WeekStartMs: monday + n*window.Week, Team: "web", Tool: "claude-code", ToolVersion: "2.0", Model: "opus",
		Requests: 300, Records: 300, InputUncachedTokens: 3e6, OutputTokens: 3e5, CostNanos: 5e9,
		Hours: make([]byte, 21), DayRequests: make([]int64, 7), DayTokens: make([]int64, 7),
		DayCostNanos: make([]int64, 7), DayOutcomes: make([]int64, 7),
		Baselines: []*goodhartv1.Baseline{
			{Statistic: goodhartv1.Statistic_STATISTIC_HOURS, Median: 30e6, Mad: 3e6, Weeks: 8},
			{Statistic: goodhartv1.Statistic_STATISTIC_TOKENS, Median: 14e6, Mad: 5e5, Weeks: 8},
		},
	}
	for h := range hours {
		k.Hours[h/8] |= 1 << (h % 8)
	}
	return &goodhartv1.Feature{
		Kind: goodhartv1.FeatureKind_FEATURE_KIND_WEEK, Tenant: tenant, Subject: subject, Role: "engineer",
		IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, Week: k,
	}
}

// weeks says some weeks of 20 people of acme, of whom number 7 works around the
// clock from the fifth on; and of zeta, where all do from then on.
func (b *bed) weeks(from, to int64) {
	b.Helper()
	for i := from; i < to; i++ {
		stated := monday + (i+1)*window.Week + 50*window.Hour
		for p := range 20 {
			hours, all := 25+p, 25+p
			if i >= 4 {
				all = 120 + p
				if p == 7 {
					hours = 130
				}
			}
			b.say(stated+int64(p)*window.Minute, around("acme", person(p), i, hours))
			b.say(stated+int64(p)*window.Minute, around("zeta", person(p), i, all))
		}
		b.watermark(monday + i*window.Week + judged + 1)
	}
}

// guard crosses the rate guard of a subject, or lets it fall back.
func (b *bed) guard(w int64, subject string, ended bool) {
	b.Helper()
	b.say(w, &goodhartv1.Feature{
		Kind: goodhartv1.FeatureKind_FEATURE_KIND_GUARD, Tenant: "acme", Subject: subject, IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE,
		Guard: &goodhartv1.Guard{
			Metric: goodhartv1.GuardMetric_GUARD_METRIC_COST, PaneMs: window.Minute, PaneStartMs: w - 2*window.Minute,
			Value: 40e9, Threshold: 25e9, P99: 1e9, Panes: 300, Ended: ended, Tool: "ci",
		},
	})
}

// ask runs the command.
func (b *bed) ask(change func(*Config)) (string, error) {
	b.Helper()
	var out bytes.Buffer
	cfg := Default()
	cfg.Kafka, cfg.SpillDir, cfg.What, cfg.Out = kafka.Config{Brokers: b.Addrs}, b.TempDir(), Signal, &out
	change(&cfg)
	err := Run(b.Context(), cfg, nil)
	return out.String(), err
}

// published is a record of signals.v1 or self.v1.
type published struct {
	statement
	rec *kgo.Record
}
