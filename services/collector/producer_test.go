package collector

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
)

// noise does not compress.
func noise(size int) []byte {
	rng := rand.NewChaCha8([32]byte{7})
	b := make([]byte, size)
	_, _ = rng.Read(b)
	return b
}

// TestRecordOverTheBrokersLimit sends a mix in which some records alone are over
// the limit, while all of them together are over it many times.
func TestRecordOverTheBrokersLimit(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("lowered after the start %v", late), func(t *testing.T) {
			ktest.Each(t, func(t *testing.T, c *ktest.Cluster) { testRecordOverTheBrokersLimit(t, c, late) })
		})
	}
}

func testRecordOverTheBrokersLimit(t *testing.T, c *ktest.Cluster, late bool) {
	const limit = 4 << 10
	var r *rig
	if late {
		r = startOn(t, c, nil)
		c.LimitMessages(t, schemas.TopicEvents, limit)
	} else {
		cl := migrated(t, c)
		c.LimitMessages(t, schemas.TopicEvents, limit)
		r = startBeside(t, c, cl, nil)
	}
	records := make([]kgo.Record, 2000)
	want := map[string]bool{}
	for i := range records {
		value := fmt.Appendf(nil, "%d|%s", i, noise(100))
		if i%500 == 7 {
			value = append(value, noise(2*limit)...)
		} else {
			want[string(value)] = true
		}
		records[i] = kgo.Record{Topic: schemas.TopicEvents, Partition: int32(i % testParts), Value: value}
	}
	ship := r.s.producer.ship()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := ship.send(ctx, records); err != nil {
		t.Fatal(err)
	}
	refused, err := ship.wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(refused) != 4 {
		t.Errorf("%d refused, want 4", len(refused))
	}
	for _, rec := range refused {
		if len(rec.Value) < limit {
			t.Errorf("refused a record of %d bytes", len(rec.Value))
		}
	}
	for _, rec := range r.read(schemas.TopicEvents) {
		delete(want, string(rec.Value))
	}
	if len(want) > 0 {
		t.Errorf("%d acknowledged records are not in the topic", len(want))
	}
	// Ticks wait as well, for a moment.
	waitFor(t, "nothing to count as waiting", func() bool { return r.s.producer.buffered.Load() == 0 })
}

func TestShipmentLargerThanAllRoom(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.BufferedBytes = 1 << 20 })
	records := make([]kgo.Record, 4000)
	value := bytes.Repeat([]byte("x"), 2000)
	for i := range records {
		records[i] = kgo.Record{Topic: schemas.TopicEvents, Partition: int32(i % testParts), Value: value}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	ship := r.s.producer.ship()
	if err := ship.send(ctx, records); err != nil {
		t.Fatal(err)
	}
	if refused, err := ship.wait(ctx); err != nil || len(refused) > 0 {
		t.Fatalf("%d refused, error %v", len(refused), err)
	}
	n := 0
	for _, rec := range r.read(schemas.TopicEvents) {
		if bytes.Equal(rec.Value, value) {
			n++
		}
	}
	if n != len(records) {
		t.Errorf("%d records in the topic, want %d", n, len(records))
	}
}

// TestEventOverTheBrokersLimit: over the wire, one event that the broker never
// takes is rejected by name, and its neighbours are accepted.
func TestEventOverTheBrokersLimit(t *testing.T) {
	r := start(t, nil)
	r.brokers.LimitMessages(t, schemas.TopicEvents, 700)
	labels := hex.EncodeToString(noise(256))
	ld := session("s-limit", 30, func(i int, rec plog.LogRecord) {
		if i != 17 {
			return
		}
		for n, key := range []string{"model", "query_source", "agent.name"} {
			rec.Attributes().PutStr(key, labels[n*128:][:128])
		}
	})
	res := r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(logsProto(t, ld))})
	if n, message := partial(t, res); res.code != http.StatusOK || n != 1 || !strings.Contains(message, "logRecords[17]: too_large") {
		t.Errorf("status %d, %d rejected: %s", res.code, n, message)
	}
	if n := len(names(r.events())); n != 29 {
		t.Errorf("%d events, want 29", n)
	}
	letters := r.deadLetters()
	if len(letters) != 1 || letters[0].Reason != "too_large" || letters[0].SizeBytes < 600 || len(letters[0].Hash) != 32 {
		t.Errorf("dead letters %v", letters)
	}
	if n := r.rejected("claude-code", "too_large"); n != 1 {
		t.Errorf("%d counted, want 1", n)
	}
}
