package collector

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
)

// outage makes the broker fail one kind of produce until the returned function
// is called.
type outage struct {
	name string
	// begin starts it.
	begin func(*kfake.Cluster) (end func())
}

func outages() []outage {
	fault := func(topic string, err *kerr.Error) func(c *kfake.Cluster) func() {
		return func(c *kfake.Cluster) func() {
			h := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: err, Count: -1})
			return h.Remove
		}
	}
	return []outage{
		{"no leader", fault(schemas.TopicEvents, kerr.NotLeaderForPartition)},
		{"written and timed out", fault(schemas.TopicEvents, kerr.RequestTimedOut)},
		{"too few replicas", fault(schemas.TopicEvents, kerr.NotEnoughReplicas)},
		{"no rights", fault(schemas.TopicEvents, kerr.TopicAuthorizationFailed)},
		{"connections break", func(c *kfake.Cluster) func() {
			var over sync.Once
			done := make(chan struct{})
			c.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
				select {
				case <-done:
					return nil, nil, false
				default:
					c.KeepControl()
					return nil, errors.New("connection broken"), true
				}
			})
			return func() { over.Do(func() { close(done) }) }
		}},
	}
}

// TestKafkaAway wants 503 while Kafka is away, and after the client's second
// sending every event in the topic, under the same ids.
func TestKafkaAway(t *testing.T) {
	for _, o := range outages() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, func(c *Config) { c.Timeouts.Produce = time.Second })
			ld := session("s-away", 20, nil)
			body := logsProto(t, ld)
			send := func() reply {
				return r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(body)})
			}
			end := o.begin(r.cluster)
			defer end()
			res := send()
			if res.code != http.StatusServiceUnavailable {
				t.Fatalf("status %d: %s", res.code, res.body)
			}
			checkStatus(t, res, reasonUnavailable)
			_, err := plogotlp.NewGRPCClient(r.dial(false)).Export(r.authorized(), plogotlp.NewExportRequestFromLogs(ld))
			st := status.Convert(err)
			if st.Code() != codes.Unavailable || len(st.Details()) != 1 {
				t.Fatalf("gRPC: %v with %v", err, st.Details())
			}
			if info, ok := st.Details()[0].(*errdetails.RetryInfo); !ok || info.RetryDelay.AsDuration() != retryAfter {
				t.Errorf("gRPC: details %v", st.Details())
			}
			end()
			// The client sends again until it is told otherwise, as exporters do.
			for deadline := time.Now().Add(20 * time.Second); res.code != http.StatusOK; res = send() {
				if time.Now().After(deadline) {
					t.Fatalf("still %d: %s", res.code, res.body)
				}
			}
			accepted(t, res)
			ids := map[string]bool{}
			for _, name := range names(r.events()) {
				ids[name] = true
			}
			if len(ids) != 20 {
				t.Errorf("%d distinct events, want 20", len(ids))
			}
			if n := r.requests("otlp_http", "ok"); n != 1 {
				t.Errorf("%d requests counted as accepted, want 1", n)
			}
		})
	}
}

// TestNodesAway takes nodes of Apache Kafka away from a collector. Of three, one
// may be killed: a client that sends again gets through. With two standing still
// nothing can be replicated, so nothing is accepted until they go on.
func TestNodesAway(t *testing.T) {
	c := ktest.Apache(t)
	r := startOn(t, c, func(cfg *Config) { cfg.Timeouts.Produce = 2 * time.Second })
	sent := 0
	send := func() int {
		body := logsProto(t, session(fmt.Sprintf("s-%d", sent), 20, nil))
		return r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(body)}).code
	}
	through := func(what string) {
		t.Helper()
		for deadline := time.Now().Add(3 * time.Minute); ; {
			code := send()
			if code == http.StatusOK {
				break
			}
			if code != http.StatusServiceUnavailable || time.Now().After(deadline) {
				t.Fatalf("%s: status %d", what, code)
			}
		}
		sent++
	}
	through("all three")
	c.Kill(t, 1)
	through("one killed")
	c.Restart(t, 1)
	through("restarted")
	c.Pause(t, 2)
	c.Pause(t, 3)
	for range 3 {
		if code := send(); code != http.StatusServiceUnavailable {
			t.Fatalf("two of three stand still: status %d", code)
		}
	}
	c.Resume(t, 2)
	c.Resume(t, 3)
	through("all again")
	ids := map[string]bool{}
	for _, name := range names(r.events()) {
		ids[name] = true
	}
	if len(ids) != sent*20 {
		t.Errorf("%d distinct events, want %d", len(ids), sent*20)
	}
}

// TestDeadTopicAway: what is rejected must be described before the answer.
func TestDeadTopicAway(t *testing.T) {
	r := start(t, func(c *Config) { c.Timeouts.Produce = time.Second })
	fault := r.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: schemas.TopicDead, Err: kerr.NotLeaderForPartition, Count: -1})
	bad := call{path: "/v1/logs", contentType: typeJSON}
	f := func(body string, want int) {
		t.Helper()
		bad.body = strings.NewReader(body)
		if res := r.post(bad); res.code != want {
			t.Errorf("status %d, want %d: %s", res.code, want, res.body)
		}
	}
	half := strings.Replace(string(logsJSON(t, session("s", 2, nil))), `"intValue":"11"`, `"intValue":"-11"`, 1)
	f("{", http.StatusServiceUnavailable)
	f(half, http.StatusServiceUnavailable)
	if n := r.rejected(otlpSource, reasonMalformed) + r.rejected("claude-code", "bad_number"); n != 0 || !r.s.tallies.empty() {
		t.Errorf("%d rejected counted before they were described", n)
	}
	fault.Remove()
	f("{", http.StatusBadRequest)
	f(half, http.StatusOK)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	sums := r.tallied()
	if sums[otlpSource+"/"+reasonMalformed] != 1 || sums["claude-code/bad_number"] != 1 {
		t.Errorf("tallies %v, want one of each", sums)
	}
}

// TestMemoryIsBoundedWhileKafkaIsAway fills the producer to its limit.
func TestMemoryIsBoundedWhileKafkaIsAway(t *testing.T) {
	const room = 1 << 20
	r := start(t, func(c *Config) {
		c.Timeouts.Produce = time.Second
		c.Limits.BufferedBytes = room
	})
	// Produce requests vanish: the fate of what was sent stays open.
	hang := make(chan struct{})
	r.cluster.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		r.cluster.KeepControl()
		select {
		case <-hang:
			return nil, nil, false
		default:
			return nil, errors.New("connection broken"), true
		}
	})
	body := logsProto(t, session("s-full", 1000, nil))
	var wait sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		wait.Go(func() {
			statuses[i] = r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(body)}).code
		})
	}
	wait.Wait()
	for i, code := range statuses {
		if code != http.StatusServiceUnavailable {
			t.Errorf("request %d: status %d", i, code)
		}
	}
	if got := r.s.producer.buffered.Load(); got > room {
		t.Errorf("%d bytes buffered, want at most %d", got, room)
	}
	if got := r.s.intake.taken.Load(); got != 0 {
		t.Errorf("%d body bytes still taken", got)
	}
	close(hang)
	for deadline := time.Now().Add(20 * time.Second); ; {
		if r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(body)}).code == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("still not accepted")
		}
	}
	ids := names(r.events())
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != 1000 {
		t.Errorf("%d distinct events, want 1000", n)
	}
}

// TestStartWaitsForKafka: a collector may start before the topics are there.
func TestStartWaitsForKafka(t *testing.T) { ktest.Each(t, testStartWaitsForKafka) }

func testStartWaitsForKafka(t *testing.T, c *ktest.Cluster) {
	cfg := testConfig(t, c.Addrs)
	tel := quiet()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, tel) }()
	waitFor(t, "the wait for the layout", func() bool {
		return slices.ContainsFunc(tel.Pending(), func(s string) bool { return strings.HasPrefix(s, readyKafka) })
	})
	migrated(t, c)
	waitFor(t, "readiness", func() bool { return len(tel.Pending()) == 0 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
