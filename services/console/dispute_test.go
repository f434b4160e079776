package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/processor"
)

// pipeline is the real folds, over a time of the test's.
type pipeline struct {
	*bed
	at    time.Time
	ticks uint64
}

func newPipeline(t *testing.T, c *ktest.Cluster) *pipeline {
	t.Helper()
	// The test's timestamps are those of the log.
	_, err := kadm.NewClient(c.Client(t)).CreateTopic(t.Context(), 2, c.Replication, nil, schemas.TopicEvents)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Fatal(err)
	}
	p := &pipeline{bed: newBed(t, c), at: time.Date(2026, 10, 5, 8, 0, 0, 0, time.UTC)}
	p.cfg.clock = nil // the folds write by the wall clock
	p.now.set(time.Now())
	cfg := processor.Default()
	cfg.Kafka, cfg.SpillDir, cfg.Admin, cfg.Interval = p.cfg.Kafka, t.TempDir(), "", 30*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- processor.Run(ctx, cfg, probe.New(slog.New(slog.DiscardHandler))) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("processor: %v", err)
		}
	})
	return p
}

func (p *pipeline) say(e *goodhartv1.Event, key string, partition int32) {
	p.Helper()
	value, err := e.MarshalVT()
	if err != nil {
		p.Fatal(err)
	}
	rec := &kgo.Record{Topic: schemas.TopicEvents, Partition: partition, Key: []byte(key), Value: value, Timestamp: p.at}
	if err := p.client.ProduceSync(p.Context(), rec).FirstErr(); err != nil {
		p.Fatal(err)
	}
}

// spend is some requests of ann's that cost 4 USD each.
func (p *pipeline) spend() {
	p.Helper()
	for i := range 12 {
		p.request(byte('a' + i))
	}
}

func (p *pipeline) request(id byte) {
	p.Helper()
	key := "acme|c0ffee"
	p.say(&goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_USAGE, Tenant: "acme", Source: "claude-code", Signal: goodhartv1.Signal_SIGNAL_LOG,
		EventId: append([]byte("0123456789abcde"), id), RequestKey: append([]byte("fedcba987654321"), id), TimeMs: p.at.UnixMilli(), ReceivedMs: p.at.UnixMilli(),
		Conversation: "c0ffee", Accounting: goodhartv1.Accounting_ACCOUNTING_BILLABLE, Subject: ann, Team: "payments",
		IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, Tool: "claude-code",
		Usage: &goodhartv1.Usage{
			Model: "claude-opus-4-8", OutputTokens: new(int64(10)), CostNanos: new(int64(4e9)), CostBasis: goodhartv1.CostBasis_COST_BASIS_ESTIMATED,
			Status: goodhartv1.Status_STATUS_OK, Granularity: goodhartv1.Granularity_GRANULARITY_REQUEST,
		},
	}, key, schemas.Partition([]byte(key), p.counts.Events))
}

// pass lets some seconds pass, as the ticks of a collector tell it.
func (p *pipeline) pass(seconds int) {
	p.Helper()
	p.at = p.at.Add(time.Duration(seconds) * time.Second)
	p.ticks++
	for partition := range p.counts.Events {
		p.say(&goodhartv1.Event{
			Kind: goodhartv1.EventKind_EVENT_KIND_TICK, TimeMs: p.at.UnixMilli(), ReceivedMs: p.at.UnixMilli(),
			Tick: &goodhartv1.Tick{Collector: "c", Sequence: p.ticks},
		}, "", partition)
	}
}

// mine is the one signal of ann's, once it is there.
func (p *pipeline) mine(status signal.Status) (id string, version uint64) {
	p.Helper()
	ktest.Eventually(p.T, "the signal is "+string(status), func() bool {
		var m struct {
			Signals []struct {
				ID      string `json:"signal_id"`
				Status  signal.Status
				Version uint64 `json:"config_version"`
			}
		}
		a := p.ask(http.MethodGet, "/v1/me", p.token("acme", ann), "")
		if err := json.Unmarshal([]byte(a.body), &m); err != nil {
			p.Fatal(err)
		}
		if len(m.Signals) != 1 || m.Signals[0].Status != status {
			return false
		}
		id, version = m.Signals[0].ID, m.Signals[0].Version
		return true
	})
	return id, version
}

// A dispute of one's own signal is a new version of the configuration; through the
// folds the signal becomes a disputed one. Saying it twice changes nothing, and what
// was decided stays decided.
func TestDisputeChangesTheSignal(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) { testDisputeChangesTheSignal(newPipeline(t, c)) })
}

func testDisputeChangesTheSignal(p *pipeline) {
	p.cfg.Limits.Requests = 6000 // it is asked again and again
	p.start()
	p.pass(1)
	p.spend()
	p.pass(60)
	p.pass(60)
	id, version := p.mine(signal.Opened)
	if version != 0 {
		p.Errorf("version %d", version)
	}
	post := func() answer {
		return p.ask(http.MethodPost, "/v1/disputes", p.token("acme", ann), `{"signal":"`+id+`","reason":"work"}`)
	}
	want := `{"signal":"` + id + `","state":"open","config_version":1}` + "\n"
	var all sync.WaitGroup // at once, too
	for range 3 {
		all.Go(func() {
			if a := post(); a.status != http.StatusAccepted || a.body != want {
				p.Errorf("%d %s, want %s", a.status, a.body, want)
			}
		})
	}
	all.Wait()
	p.pass(5)
	p.pass(5)
	if again, version := p.mine(signal.Disputed); again != id || version != 1 {
		p.Errorf("%s in version %d", again, version)
	}
	history, err := kschema.ConfigHistory(p.Context(), p.client, "acme")
	if err != nil || len(history) != 1 || history[0].Source != "console" {
		p.Fatalf("%v, %v", history, err)
	}
	declared, err := policy.Parse(history[0].Config.Document)
	if err != nil {
		p.Fatal(err)
	}
	until := policy.Day(time.Now().Add(holds).Truncate(24 * time.Hour).UnixMilli())
	if diff := cmp.Diff([]policy.Dispute{{Signal: id, State: policy.DisputeOpen, Reason: policy.ReasonWork, Until: until}}, declared.Disputes); diff != "" {
		p.Errorf("(-want +got)\n%s", diff)
	}

	_, err = kschema.Publish(p.Context(), p.cfg.Kafka.Options(), kschema.Publication{
		Tenant: "acme", Source: "apply", Now: time.Now(),
		Decide: func(*goodhartv1.Config) ([]byte, error) {
			return fmt.Appendf(nil, `{"tenant":"acme","disputes":[{"signal":%q,"state":"accepted","until":"2099-01-01"}]}`, id), nil
		},
	})
	if err != nil {
		p.Fatal(err)
	}
	p.refused(post(), http.StatusConflict, "decided already")
	p.pass(5)
	p.pass(5)
	p.mine(signal.Resolved)
}

// A dispute is published though others publish for the tenant at the same time, and
// nothing that is in force is lost.
func TestDisputesAmongOthers(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	var own []string
	for i := range 3 {
		own = append(own, fmt.Sprintf("%032x", i))
		b.tell("acme", ann, own[i], 0, signal.Opened, b.now.now())
	}
	b.start()
	publish := func(size int) error {
		_, err := kschema.Publish(t.Context(), b.cfg.Kafka.Options(), kschema.Publication{
			Tenant: "acme", Source: "apply", Now: time.Now(),
			Decide: func(old *goodhartv1.Config) ([]byte, error) {
				p := policy.Default("acme")
				if old != nil {
					var err error
					if p, err = policy.Parse(old.Document); err != nil {
						return nil, err
					}
				}
				p.Teams = []policy.Team{{ID: "web", Size: int64(size)}}
				return p.Document(), nil
			},
		})
		return err
	}
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			for err := publish(i + 1); errors.Is(err, kschema.ErrConflict); {
				err = publish(i + 1)
			}
		})
		all.Go(func() {
			a := b.ask(http.MethodPost, "/v1/disputes", b.token("acme", ann), `{"signal":"`+own[i]+`","reason":"tool"}`)
			if a.status != http.StatusAccepted {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	all.Wait()
	history, err := kschema.ConfigHistory(t.Context(), b.client, "acme")
	if err != nil || len(history) != 6 {
		t.Fatalf("%d versions, %v", len(history), err)
	}
	last, err := policy.Parse(history[5].Config.Document)
	if err != nil || len(last.Disputes) != 3 || len(last.Teams) != 1 || history[5].Config.Version != 6 {
		t.Errorf("%s, %v", history[5].Config.Document, err)
	}
}
