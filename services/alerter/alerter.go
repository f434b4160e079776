// Package alerter is the role that tells people and their tools about signals: it
// reads goodhart.signals.v1 and routes every revision, by rules, to Alertmanager,
// to chat and to webhooks. Questions to a person are on goodhart.self.v1, which it
// does not read.
package alerter

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// Group is the consumer group of a receiver.
func Group(receiver string) string { return schemas.GroupAlerter + "." + receiver }

// Run tells the receivers until ctx ends, then commits what they have and returns
// nil. It refuses to run when the brokers' partition counts are not those on
// record.
//
// Delivery: at least once per receiver, each attempt with the same idempotency
// key; a revision counts as told once the receiver has taken it or a dead letter
// says why it cannot. Order: the revisions of a signal come in theirs, and no
// receiver waits for another.
func Run(ctx context.Context, cfg Config, tel *probe.Telemetry) error {
	if err := cfg.Validate(); err != nil { // which makes quiet hours ready for use
		return err
	}
	for _, r := range cfg.Receivers {
		tel.NotReady(component(r.Name), "starting")
	}
	layout, err := layoutOf(ctx, cfg, tel)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // a stop during the start is a stop
	}
	if err != nil {
		return err
	}
	m := newMetrics(tel.Metrics)
	feeds := make(backlog, len(cfg.Receivers))
	for i := range cfg.Receivers {
		feeds[i] = newFeed(cfg, &cfg.Receivers[i], tel, m)
		feeds[i].dead = layout.Partitions(schemas.TopicDead)
	}
	tel.Metrics.MustRegister(feeds)
	group, ctx := errgroup.WithContext(ctx)
	for _, f := range feeds {
		group.Go(func() error { return f.run(ctx, cfg.Kafka.Options(), cfg.Instance) })
	}
	return group.Wait()
}

func component(receiver string) string { return "receiver " + receiver }

func layoutOf(ctx context.Context, cfg Config, tel *probe.Telemetry) (kschema.Layout, error) {
	cl, err := kgo.NewClient(cfg.Kafka.Options()...)
	if err != nil {
		return kschema.Layout{}, fmt.Errorf("open kafka: %w", err)
	}
	defer cl.Close()
	return kschema.Await(ctx, cl, func(err error, pause time.Duration) {
		tel.Log.WarnContext(ctx, "waiting for kafka", "error", err, "pause", pause)
	})
}

func newFeed(cfg Config, r *Receiver, tel *probe.Telemetry, m *metrics) *feed {
	f := &feed{
		name: r.Name, wait: r.GroupWait, memory: cfg.Memory, rules: cfg.Rules,
		pauses: pauses{
			first:  cmp.Or(cfg.pauses.first, time.Second),
			most:   cmp.Or(cfg.pauses.most, time.Minute),
			commit: cmp.Or(cfg.pauses.commit, 5*time.Second),
		},
		ready: func(yes bool) {
			if yes {
				tel.Ready(component(r.Name))
			} else {
				tel.NotReady(component(r.Name), "reading which signals are open")
			}
		},
		log: tel.Log.With("receiver", r.Name), metrics: m,
		wake: make(chan struct{}, 1), partitions: map[int32]*partition{},
	}
	transport := cfg.transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	switch {
	case r.Alertmanager != nil:
		root := strings.TrimRight(r.Alertmanager.URL, "/")
		am := &alertmanager{newEndpoint(transport, root+"/api/v2/alerts", r.Headers), r.Alertmanager.expires()}
		f.receiver, f.refresh, f.resend = am, am.refresh, r.Alertmanager.resend()
	case r.Slack != nil:
		f.receiver = &slack{newEndpoint(transport, r.Slack.URL, r.Headers)}
	case r.Webhook != nil:
		secret, _ := parseSecret(r.Webhook.Secret) // Validate has read it
		f.receiver = &webhook{newEndpoint(transport, r.Webhook.URL, r.Headers), secret}
	}
	f.queue = newQueue(f.receiver.most())
	return f
}
