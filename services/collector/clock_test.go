package collector

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"

	"github.com/goodhartlabs/goodhart/schemas"
)

// TestClockHeaderOnTheWire runs a simulated day: acceptance times and ticks are
// those of the header, and the tick of a step is in every partition before the
// request that began it is answered.
func TestClockHeaderOnTheWire(t *testing.T) {
	r := start(t, func(c *Config) { c.Clock = ClockHeader; c.TickInterval = 10 * time.Millisecond })
	day := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	at := func(step int) int64 { return day.Add(time.Duration(step) * time.Hour).UnixMilli() }
	logs := func(step int) plog.Logs {
		return session(fmt.Sprintf("step-%d", step), 2, func(_ int, rec plog.LogRecord) {
			rec.SetTimestamp(pcommon.NewTimestampFromTime(time.UnixMilli(at(step)).Add(-time.Minute)))
		})
	}
	post := func(step int, headers map[string]string) reply {
		return r.post(call{path: "/v1/logs", contentType: typeProtobuf, headers: headers, body: bytes.NewReader(logsProto(t, logs(step)))})
	}
	header := func(ms int64) map[string]string { return map[string]string{clockHeader: strconv.FormatInt(ms, 10)} }

	res := post(0, nil)
	if res.code != http.StatusServiceUnavailable {
		t.Errorf("before the first header: status %d", res.code)
	}
	if res := post(0, map[string]string{clockHeader: "noon"}); res.code != http.StatusBadRequest {
		t.Errorf("bad header: status %d", res.code)
	}
	ticked := func(step int, what string) {
		t.Helper()
		reached := map[int32]bool{}
		for _, e := range r.ticks() {
			if e.TimeMs > at(step) {
				t.Errorf("%s: tick at %d, ahead of the clock", what, e.TimeMs)
			}
			if e.TimeMs == at(step) {
				reached[e.partition] = true
			}
		}
		if len(reached) != testParts {
			t.Errorf("%s: ticks of step %d in %d partitions, want %d", what, step, len(reached), testParts)
		}
	}
	accepted(t, post(1, header(at(1))))
	ticked(1, "HTTP")
	accepted(t, post(1, header(at(0)))) // the clock does not go back
	ctx := r.authorized(strings.ToLower(clockHeader), strconv.FormatInt(at(2), 10))
	if _, err := plogotlp.NewGRPCClient(r.dial(false)).Export(ctx, plogotlp.NewExportRequestFromLogs(logs(2))); err != nil {
		t.Fatal(err)
	}
	ticked(2, "gRPC")
	if res := r.post(call{path: eventsPath, contentType: typeBatch, headers: header(at(3)), body: strings.NewReader("[]")}); res.code != http.StatusOK {
		t.Fatalf("empty batch: status %d", res.code)
	}
	ticked(3, "empty batch")
	accepted(t, post(3, nil))
	received := map[int64]int{}
	for _, e := range r.events() {
		received[e.ReceivedMs]++
	}
	if received[at(1)] != 4 || received[at(2)] != 2 || received[at(3)] != 2 {
		t.Errorf("acceptance times %v", received)
	}
	// Tallies go by the simulated hour.
	bad := strings.ReplaceAll(string(logsJSON(t, logs(3))), `"intValue":"11"`, `"intValue":"-11"`)
	r.post(call{path: "/v1/logs", contentType: typeJSON, headers: header(at(4)), body: strings.NewReader(bad)})
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	checkSequences(t, r, 3)
	for _, e := range r.ticks() {
		for _, x := range e.Tick.Rejected {
			if x.HourMs != at(4) || x.Records != 1 {
				t.Errorf("tally %v, want one at %d", x, at(4))
			}
		}
	}
	if r.tallied()["claude-code/bad_number"] != 1 {
		t.Errorf("tallies %v", r.tallied())
	}
}

// TestClockWaitsForItsTick: an advance whose tick fails is not answered with
// 2xx, and no periodic tick goes ahead of events that are not acknowledged.
func TestClockWaitsForItsTick(t *testing.T) {
	r := start(t, func(c *Config) {
		c.Clock, c.TickInterval, c.Timeouts.Produce = ClockHeader, 10*time.Millisecond, time.Second
	})
	const first, second = 1_700_000_000_000, 1_700_003_600_000
	advance := func(ms int64) int {
		return r.post(call{
			path: eventsPath, contentType: typeBatch, body: strings.NewReader("[]"),
			headers: map[string]string{clockHeader: strconv.FormatInt(ms, 10)},
		}).code
	}
	if code := advance(first); code != http.StatusOK {
		t.Fatalf("status %d", code)
	}
	fault := r.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: schemas.TopicEvents, Partitions: []int32{2}, Err: kerr.NotLeaderForPartition, Count: -1})
	if code := advance(second); code != http.StatusServiceUnavailable {
		t.Errorf("status %d though a partition has no tick", code)
	}
	fault.Remove()
	waitFor(t, "the tick", func() bool { return advance(second) == http.StatusOK })
	if got := r.s.ticker.last().UnixMilli(); got != second {
		t.Errorf("last tick %d, want %d", got, second)
	}
}

// TestGracefulStop stops a collector while requests are under way: all that
// were answered with 2xx are in Kafka, and nobody is cut off.
func TestGracefulStop(t *testing.T) {
	r := start(t, nil)
	// Produce requests wait until the stop has begun.
	arrived, proceed := make(chan struct{}), make(chan struct{})
	held := false
	r.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if len(req.(*kmsg.ProduceRequest).Topics) > 0 && !held {
			held = true
			close(arrived)
			r.cluster.SleepControl(func() { <-proceed })
		}
		return nil, nil, false
	})
	answers := make(chan reply, 1)
	go func() {
		answers <- r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(logsProto(t, session("s-stop", 3, nil)))})
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	waitFor(t, "the stop", func() bool {
		conn, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.http+"/v1/logs", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(conn)
		if err != nil {
			return true
		}
		_ = res.Body.Close()
		return false
	})
	close(proceed)
	accepted(t, <-answers)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if n := len(r.events()); n != 3 {
		t.Errorf("%d events, want 3", n)
	}
	checkSequences(t, r, 2) // at the start and at the stop
}

func TestStopBeforeKafkaIsThere(t *testing.T) {
	cfg := testConfig(t, []string{"127.0.0.1:1"})
	ctx, cancel := context.WithCancel(t.Context())
	tel := quiet()
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, tel) }()
	waitFor(t, "the wait", func() bool { return len(tel.Pending()) > 0 })
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("error %v, want none", err)
	}
}
