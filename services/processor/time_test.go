package processor

import (
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// window is what a rolling score says, as far as these tests look.
type window struct {
	Kind      string `json:"kind"`
	ScopeKind string `json:"scope_kind"`
	Window    string `json:"window"`
	End       int64  `json:"window_end"`
	Rev       int    `json:"rev"`
	Requests  int64  `json:"requests"`
}

// windows returns the first emissions of the tenant's windows of a length: end →
// requests.
func windows(t *testing.T, records []*kgo.Record, length string) map[int64]int64 {
	t.Helper()
	got := map[int64]int64{}
	for _, rec := range records {
		var w window
		if err := json.Unmarshal(rec.Value, &w); err != nil {
			t.Fatal(err)
		}
		if w.Kind == "rolling" && w.ScopeKind == "tenant" && w.Window == length && w.Rev == 0 {
			got[w.End] = w.Requests
		}
	}
	return got
}

// sessionIn is a conversation whose records lie in a partition.
func sessionIn(partition int32, serial uint64) string {
	for {
		session := hex.EncodeToString(id("session", serial))
		if schemas.Partition([]byte("acme|"+session), partitions) == partition {
			return session
		}
		serial += 1_000_000
	}
}

// What happens in a window's last moment is in its first emission, wherever it
// comes in: a pane that ends with the window is released before anything past it.
func TestLastMinuteIsInTheFirstEmission(t *testing.T) {
	const minute, minutes = 60_000, 40
	r := &recorder{random: rand.New(rand.NewPCG(2, 2)), now: start}
	want := map[int64]int64{} // by end of the 5 m windows, which slide by a minute
	for m := range int64(minutes) {
		for p := range int32(partitions) {
			for _, at := range []int64{0, 29_999, minute - 1} { // the first, some, and the last moment
				r.serial++
				session := sessionIn(p, r.serial)
				e := r.usage(int(p), session)
				e.TimeMs = start + m*minute + at
				e.ReceivedMs = e.TimeMs
				r.now = e.TimeMs
				r.put(e, "acme|"+session)
				for end := (m + 1) * minute; end <= (m+5)*minute; end += minute {
					want[start+end]++
				}
			}
		}
		r.now = start + (m+1)*minute
		r.ticks(uint64(m + 1))
	}
	for i := range uint64(3) {
		r.now += 2 * minute
		r.ticks(minutes + 1 + i)
	}
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b := newBed(t, c)
		run := b.run(t, "one", 30*time.Millisecond)
		// In pieces, so that the folds work on parts of what a minute brings.
		for from := 0; from < len(r.records); from += 7 {
			b.send(t, r.records[from:min(from+7, len(r.records))])
		}
		b.finish(t)
		run.stop(t)
		got := windows(t, b.Records(t, schemas.TopicScores), "5m")
		for m := int64(1); m <= minutes; m++ {
			end := start + m*minute
			if got[end] != want[end] {
				t.Errorf("the window that ends at minute %d is first told with %d requests, want %d", m, got[end], want[end])
			}
		}
	})
}

// A slow upload of old events is no silence, yet says nothing about the present:
// a partition that gets nothing else must not hold back the watermark of all, nor
// be held to be late for what lives beside it.
func TestSlowUploadBesideLiveTraffic(t *testing.T) {
	const minute, minutes, slow = 60_000, 60, 2
	r := &recorder{random: rand.New(rand.NewPCG(3, 3)), now: start}
	live := map[int64]int64{} // requests by minute
	uploaded := 0
	for tick := range uint64(minutes * 12) { // every five seconds
		r.now = start + int64(tick)*5000
		r.ticks(tick + 1)
		for p := range int32(partitions) {
			r.serial++
			session := sessionIn(p, r.serial)
			e := r.usage(int(p), session)
			if p == slow {
				e.TimeMs -= 10 * 24 * 60 * minute // of ten days ago
				uploaded++
			} else {
				live[(e.TimeMs-start)/minute]++
			}
			r.put(e, "acme|"+session)
		}
	}
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b := newBed(t, c)
		run := b.run(t, "one", 30*time.Millisecond)
		b.send(t, r.records)
		w := b.finish(t) // and the upload would go on
		run.stop(t)
		// Released is what lies before the last second all upstream partitions have
		// told; the watermark is 30 s behind, the windows slide by a minute.
		got := windows(t, b.Records(t, schemas.TopicScores), "5m")
		for m := int64(5); m < minutes-2; m++ {
			var want int64
			for i := m - 5; i < m; i++ {
				want += live[i]
			}
			if end := start + m*minute; got[end] != want {
				t.Errorf("the window that ends at minute %d is told with %d requests while the upload goes on, want %d", m, got[end], want)
			}
		}
		late, timely := 0, 0
		for _, lines := range w.facts {
			for _, line := range lines {
				f := factOf(t, line)
				switch {
				case f.Kind != goodhartv1.FactKind_FACT_KIND_USAGE:
				case f.Late:
					late++
				default:
					timely++
				}
			}
		}
		if want := minutes * 12 * (partitions - 1); late != uploaded || timely != want {
			t.Errorf("%d late and %d timely facts, want %d and %d", late, timely, uploaded, want)
		}
	})
}
