package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The benchmarks of the whole path: OTLP requests over HTTP to the collector,
// through the broker (on disk) and the three folds, to rows in ClickHouse. Every
// role is a process, and all of them, and the load, share the machine. One
// operation is one measured stretch: run them with -benchtime 1x.

// window is how long a stretch is measured, after warming up.
func window() (warm, measured time.Duration) {
	if testing.Short() {
		return 2 * time.Second, 3 * time.Second
	}
	return 8 * time.Second, 25 * time.Second
}

// path is a deployment under load.
type path struct {
	fleet    *fleet
	at       deployment
	load     *load
	rows     atomic.Int64 // queryable, as of the last look
	arrivals curve        // accepted, cumulative
	landings curve        // queryable, cumulative
	stop     context.CancelFunc
	watchers sync.WaitGroup
}

func newPath(b *testing.B) *path {
	b.Helper()
	bin, library := binaries(b)
	p := &path{fleet: &fleet{dir: b.TempDir(), bin: bin}}
	p.at = p.fleet.deploy(b, library, "{events: 4, facts: 4, features: 2, dead: 1}", map[string]string{
		"collector": "tick_interval: 1s\n", "sink": "max_age: 500ms\n",
	})
	p.load = &load{url: "http://" + p.at.collector + "/v1/logs", secret: p.at.secret, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
	ctx, cancel := context.WithCancel(b.Context())
	p.stop = cancel
	p.watchers.Go(func() { p.watch(ctx, b) })
	b.Cleanup(func() {
		cancel()
		p.watchers.Wait()
		p.fleet.stop(b)
	})
	return p
}

// watch looks every 20 ms at what has been accepted and what is queryable.
func (p *path) watch(ctx context.Context, b *testing.B) {
	b.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p.arrivals.add(time.Now(), p.load.accepted.Load())
		n, err := strconv.ParseInt(strings.TrimSpace(p.at.answer(b, "SELECT count() FROM core.usage")), 10, 64)
		if err != nil {
			continue // the engine is busy
		}
		p.rows.Store(n)
		p.landings.add(time.Now(), n)
	}
}

// curve is a cumulative count over time.
type curve struct {
	mu     sync.Mutex
	at     []time.Time
	counts []int64
}

func (c *curve) add(at time.Time, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.counts = append(c.at, at), append(c.counts, n)
}

// reached is when the count was n for the first time.
func (c *curve) reached(n int64) (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, _ := slices.BinarySearch(c.counts, n)
	if i == len(c.counts) {
		return time.Time{}, false
	}
	return c.at[i], true
}

// cpu is the processor time that each role has used, in seconds.
func (p *path) cpu(b *testing.B) map[string]float64 {
	b.Helper()
	used := map[string]float64{}
	for _, cmd := range p.fleet.running {
		raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		if err != nil {
			b.Fatal(err)
		}
		fields := strings.Fields(string(raw[strings.LastIndexByte(string(raw), ')')+1:]))
		role := cmd.Args[1]
		if strings.HasSuffix(cmd.Path, "chserve") {
			role = "chserve"
		}
		for _, f := range fields[11:13] { // utime and stime, in hundredths of a second
			ticks, err := strconv.ParseFloat(f, 64)
			if err != nil {
				b.Fatal(err)
			}
			used[role] += ticks / 100
		}
	}
	return used
}

// BenchmarkSustained is the rate that the whole path sustains: senders that stop
// whenever a quarter of a million events are accepted and not yet queryable, so
// that what is measured is the drain and not the length of a queue.
func BenchmarkSustained(b *testing.B) {
	p := newPath(b)
	warm, measured := window()
	const backlog = 250_000
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var senders sync.WaitGroup
	senders.Go(func() {
		p.load.run(ctx, b, 16, func(ctx context.Context) bool {
			return pause(ctx, func() bool { return p.load.accepted.Load()-p.rows.Load() < backlog })
		})
	})
	wait(b, warm)
	for b.Loop() {
		began, rows, cpu := time.Now(), p.rows.Load(), p.cpu(b)
		wait(b, measured)
		n := float64(p.rows.Load() - rows)
		b.ReportMetric(n/time.Since(began).Seconds(), "events/s")
		for role, seconds := range p.cpu(b) {
			b.ReportMetric((seconds-cpu[role])*1e6/n, "cpu-us/event-"+role)
		}
		b.ReportMetric(0, "ns/op")
	}
	cancel()
	senders.Wait()
	p.settle(b)
}

// BenchmarkLatency is the time from the answer of the collector until the event
// is in the answer of a query, at a steady rate. The n-th accepted event is
// matched with the n-th queryable one.
func BenchmarkLatency(b *testing.B) {
	for _, rate := range []int{5_000, 20_000} {
		b.Run(fmt.Sprintf("%d", rate), func(b *testing.B) {
			p := newPath(b)
			warm, measured := window()
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			pace := &pace{start: time.Now(), every: time.Second * perRequest / time.Duration(rate)}
			var senders sync.WaitGroup
			senders.Go(func() { p.load.run(ctx, b, 8, pace.next) })
			wait(b, warm)
			for b.Loop() {
				began, from, cpu := time.Now(), p.load.accepted.Load(), p.cpu(b)
				wait(b, measured)
				to := p.load.accepted.Load()
				offered := float64(to-from) / time.Since(began).Seconds()
				used := 0.0
				for role, seconds := range p.cpu(b) {
					used += seconds - cpu[role]
				}
				eventually(b, "the last event", func() bool { return p.rows.Load() >= to })
				p.quantiles(b, from, to)
				b.ReportMetric(offered, "events/s")
				b.ReportMetric(used/measured.Seconds(), "cores")
				b.ReportMetric(0, "ns/op")
				p.ticks(b, began)
			}
			cancel()
			senders.Wait()
			p.settle(b)
		})
	}
}

// quantiles reports the latency of the events with those ordinal numbers.
func (p *path) quantiles(b *testing.B, from, to int64) {
	b.Helper()
	var took []time.Duration
	for n := from + 1; n <= to; n += perRequest / 5 {
		in, ok := p.arrivals.reached(n)
		out, queryable := p.landings.reached(n)
		if !ok || !queryable {
			b.Fatalf("event %d of %d is not queryable", n, to)
		}
		took = append(took, out.Sub(in))
	}
	slices.Sort(took)
	for name, q := range map[string]float64{"p50-ms": .5, "p99-ms": .99} {
		b.ReportMetric(float64(took[int(q*float64(len(took)-1))].Milliseconds()), name)
	}
}

// ticks reports what operators see of the same: the stored ticks.
func (p *path) ticks(b *testing.B, since time.Time) {
	b.Helper()
	row := strings.Fields(p.at.answer(b, fmt.Sprintf(
		"SELECT quantileExact(0.99)(dateDiff('millisecond', accepted_at, stored_at)), count() FROM core.ticks WHERE accepted_at >= fromUnixTimestamp64Milli(%d)",
		since.UnixMilli())))
	if len(row) != 2 || row[1] == "0" {
		b.Fatalf("no ticks: %q", row)
	}
	p99, err := strconv.ParseFloat(row[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(p99, "tick-p99-ms")
}

// settle waits until everything accepted is queryable, once.
func (p *path) settle(b *testing.B) {
	b.Helper()
	if n := p.load.failed.Load(); n > 0 {
		b.Errorf("%d requests were not accepted", n)
	}
	accepted := p.load.accepted.Load()
	eventually(b, "all rows", func() bool { return p.rows.Load() >= accepted })
	if n := p.at.answer(b, "SELECT count() - uniqExact(event_id) FROM core.usage"); n != "0\n" {
		b.Errorf("events counted twice: %s", n)
	}
}

// pace is a schedule of requests.
type pace struct {
	start time.Time
	every time.Duration
	n     atomic.Int64
}

// next waits for the next free place in the schedule; false if ctx ends first.
func (p *pace) next(ctx context.Context) bool {
	due := time.NewTimer(time.Until(p.start.Add(time.Duration(p.n.Add(1)) * p.every)))
	defer due.Stop()
	select {
	case <-due.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// pause waits until ready; false if ctx ends first.
func pause(ctx context.Context, ready func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		if ready() {
			return true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	return false
}

// wait lets the time pass in which something is measured.
func wait(b *testing.B, d time.Duration) {
	b.Helper()
	select {
	case <-time.After(d):
	case <-b.Context().Done():
		b.Fatal(b.Context().Err())
	}
}
