package alerter

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// nights and weekends, in Berlin.
func nights() *Quiet {
	return &Quiet{Zone: "Europe/Berlin", Hours: []Hours{{From: "20:00", To: "07:00"}, {Days: []string{"sat", "sun"}}}}
}

func TestQuietUntil(t *testing.T) {
	f := func(at, want string) {
		t.Helper()
		q := nights()
		if err := q.prepare(); err != nil {
			t.Fatal(err)
		}
		const layout = "2006-01-02 15:04"
		from, err := time.ParseInLocation(layout, at, q.place)
		if err != nil {
			t.Fatal(err)
		}
		end, ends := q.until(from)
		if got := end.In(q.place).Format(layout); got != want || !ends {
			t.Errorf("%s: until %s (%t), want %s", at, got, ends, want)
		}
	}
	f("2026-11-23 12:00", "2026-11-23 12:00") // a Monday noon
	f("2026-11-23 19:59", "2026-11-23 19:59")
	f("2026-11-23 20:00", "2026-11-24 07:00")
	f("2026-11-24 06:59", "2026-11-24 07:00")
	f("2026-11-24 07:00", "2026-11-24 07:00")
	f("2026-11-27 20:00", "2026-11-30 07:00") // Friday night to Monday, through the weekend
	f("2026-11-28 12:00", "2026-11-30 07:00")
	f("2026-10-24 23:00", "2026-10-26 07:00") // the clocks go back
	f("2026-03-28 23:00", "2026-03-30 07:00") // and forth
}

func TestQuietIsChecked(t *testing.T) {
	f := func(want string, q Quiet) {
		t.Helper()
		if err := q.prepare(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", q, err, want)
		}
	}
	f("zone", Quiet{Hours: []Hours{{}}})
	f("zone", Quiet{Zone: "Mars/Olympus", Hours: []Hours{{}}})
	f("hours: none", Quiet{Zone: "UTC"})
	f("never end", Quiet{Zone: "UTC", Hours: []Hours{{}}})
	f("never end", Quiet{Zone: "UTC", Hours: []Hours{{From: "12:00", To: "12:00"}}})
	f("hours[0].days", Quiet{Zone: "UTC", Hours: []Hours{{Days: []string{"Monday"}}}})
	f("hours[0].from", Quiet{Zone: "UTC", Hours: []Hours{{From: "8:00"}}})
	f("hours[0].to", Quiet{Zone: "UTC", Hours: []Hours{{To: "24:01"}}})
	f("hours[0].to", Quiet{Zone: "UTC", Hours: []Hours{{To: "-1:00"}}})
}

// An evening in the life of the role: what is not critical waits until the quiet
// hour is over and comes as one message, what is critical comes at once, and a restart in
// between changes nothing.
func TestQuietHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network kfake.VirtualNetwork
		fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(network.Listen))
		if err != nil {
			t.Fatal(err)
		}
		defer fake.Close()
		cfg := Default()
		cfg.Kafka = kafka.Config{Brokers: fake.ListenAddrs(), Extra: []kgo.Opt{kgo.Dialer(network.DialContext)}}
		writer, err := kgo.NewClient(append(cfg.Kafka.Options(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		if err != nil {
			t.Fatal(err)
		}
		defer writer.Close()
		counts := kschema.Counts{Events: 1, Facts: 1, Features: 1, Dead: 1}
		if _, err := kschema.Migrate(t.Context(), writer, kschema.Options{Counts: counts, Replication: 1}); err != nil {
			t.Fatal(err)
		}
		publish := func(s *signal) {
			t.Helper()
			rec := &kgo.Record{Topic: schemas.TopicSignals, Key: []byte(s.ID), Value: record(s)}
			if err := writer.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}

		chat, tries := &place{}, 0
		chat.answers(func(request) (int, string) {
			if tries++; tries == 1 {
				return http.StatusTooManyRequests, "" // for two minutes
			}
			return http.StatusOK, ""
		})
		ln, err := network.Listen("tcp", "127.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: chat, ReadHeaderTimeout: time.Minute}
		served := make(chan struct{})
		go func() { defer close(served); _ = server.Serve(ln) }()
		defer func() { _ = server.Close(); <-served }()
		transport := &http.Transport{DialContext: func(ctx context.Context, network_, addr string) (net.Conn, error) {
			return network.DialContext(ctx, network_, addr)
		}}
		defer transport.CloseIdleConnections()
		cfg.transport = transport
		cfg.Receivers = []Receiver{{Name: "chat", Slack: &Slack{URL: "http://" + ln.Addr().String() + "/hook"}, GroupWait: 30 * time.Second}}
		cfg.Rules = []Rule{{To: []string{"chat"}, Quiet: &Quiet{Zone: "Europe/Berlin", Hours: []Hours{{From: "20:00", To: "21:00"}}}}}
		start := func() (stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- Run(ctx, cfg, probe.New(slog.New(slog.DiscardHandler))) }()
			return func() {
				cancel()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
		}
		berlin := nights()
		if err := berlin.prepare(); err != nil {
			t.Fatal(err)
		}
		until := func(clock string) {
			now := time.Now().In(berlin.place)
			at, err := time.ParseInLocation("2006-01-02 15:04", now.Format("2006-01-02 ")+clock, berlin.place)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(at))
		}
		for time.Now().In(berlin.place).Weekday() != time.Monday {
			time.Sleep(time.Hour)
		}
		until("19:00")
		stop := start()
		publish(question("a", 0, statusOpened))
		until("20:10")
		publish(question("b", 0, statusOpened))
		publish(question("a", 1, statusResolved))
		publish(question("c", 0, statusOpened).with(func(s *signal) { s.Severity = critical }))
		until("20:20")
		stop()
		stop = start()
		publish(question("b", 1, statusUpdated))
		until("21:10")
		stop()

		var got []string
		for _, r := range chat.taken() {
			var of []string
			for _, id := range []string{"a", "b", "c"} {
				for rev := range 2 {
					if strings.Contains(r.body, fmt.Sprintf("`%s` revision %d,", id, rev)) {
						of = append(of, fmt.Sprintf("%s-%d", id, rev))
					}
				}
			}
			got = append(got, r.at.In(berlin.place).Format("Mon 15:04:05 ")+strings.Join(of, " "))
		}
		if diff := cmp.Diff([]string{"Mon 19:02:30 a-0", "Mon 20:10:30 c-0", "Mon 21:00:00 a-1 b-1"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// Quiet hours hold no more than memory does: what is critical must not wait behind
// what is held.
func TestQuietIsBounded(t *testing.T) {
	b, hook := newBed(t, ktest.Fake(t)), newPlace(t)
	cfg := b.config(hook.webhook("hook"))
	cfg.Rules[0].Quiet, cfg.Memory = always(), 1<<20
	b.start(cfg)
	long := strings.Repeat("Why? ", 8000)
	id := samePartition(1)[0]
	for rev := range uint32(40) { // 3 MB of memory
		b.publish(question(id, rev, statusUpdated).with(func(s *signal) { s.Question = long }))
	}
	last := samePartition(2)[1]
	b.publish(question(last, 0, statusOpened).with(func(s *signal) { s.Severity = critical }))
	ktest.Eventually(t, "the critical signal", func() bool { return slices.Contains(hook.keys(), last+"-0") })
	if at, _ := b.committed("hook", id); at == 0 {
		t.Error("nothing was told early")
	}
	inOrder(t, hook.keys())
}
