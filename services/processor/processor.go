// Package processor runs the folds: ledger (each event once, each request
// once), subject (panes per person or key) and tenant (windows, figures,
// signals), each exactly once over the partitions it is given.
package processor

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"github.com/goodhartlabs/goodhart/pkg/fold"
	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ledger"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/subject"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// Run folds until ctx ends, then commits and returns nil. It refuses to run
// when the brokers' partition counts are not those on record.
func Run(ctx context.Context, cfg Config, tel *probe.Telemetry) error {
	for _, name := range cfg.Folds {
		tel.NotReady("fold "+name, "no partition restored yet")
	}
	layout, err := layoutOf(ctx, cfg, tel)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // a stop during the start is a stop
	}
	if err != nil {
		return err
	}
	m := newMetrics(tel.Metrics, cfg.Rules)
	tel.WatchDisk(cmp.Or(cfg.SpillDir, os.TempDir()))
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range cfg.Folds {
		group.Go(func() error {
			return fold.Run(ctx, fold.Config{
				Stage:          stage(name, cfg.Rules, layout, m.observer(name)),
				Client:         cfg.client(),
				Partitions:     layout.Partitions,
				Instance:       cfg.Instance,
				Interval:       cfg.Interval,
				SnapshotPeriod: cfg.SnapshotPeriod,
				MergeMemory:    cfg.MergeMemory,
				SpillDir:       cfg.SpillDir,
				Log:            tel.Log,
				Metrics:        tel.Metrics,
				Tracer:         tel.Tracer,
				Ready:          func() { tel.Ready("fold " + name) },
			})
		})
	}
	return group.Wait()
}

func layoutOf(ctx context.Context, cfg Config, tel *probe.Telemetry) (kschema.Layout, error) {
	cl, err := kgo.NewClient(cfg.client()...)
	if err != nil {
		return kschema.Layout{}, fmt.Errorf("open client: %w", err)
	}
	defer cl.Close()
	return kschema.Await(ctx, cl, func(err error, pause time.Duration) {
		tel.Log.Warn("waiting for kafka", "error", err, "pause", pause)
	})
}

func stage(name string, rules Rules, layout kschema.Layout, observe func(int32, machine.Machine) int) fold.Stage {
	switch name {
	case Ledger:
		return fold.Stage{
			Name:    name,
			Input:   schemas.TopicEvents,
			State:   schemas.TopicLedgerState,
			Group:   schemas.GroupLedger,
			Stamped: schemas.TopicFacts,
			Dead:    schemas.TopicDead,
			Observe: observe,
			New: func(p int32) machine.Machine {
				return ledger.New(rules.ledger(p, layout.Partitions(schemas.TopicFacts)))
			},
		}
	case Subject:
		return fold.Stage{
			Name:      name,
			Input:     schemas.TopicFacts,
			State:     schemas.TopicSubjectState,
			Group:     schemas.GroupSubject,
			Upstreams: layout.Partitions(schemas.TopicEvents),
			Stamped:   schemas.TopicFeatures,
			Dead:      schemas.TopicDead,
			Observe:   observe,
			New: func(p int32) machine.Machine {
				return subject.New(subject.Config{Partition: p, Partitions: layout.Partitions(schemas.TopicFacts)})
			},
		}
	case Tenant:
		return fold.Stage{
			Name:      name,
			Input:     schemas.TopicFeatures,
			State:     schemas.TopicTenantState,
			Group:     schemas.GroupTenant,
			Upstreams: layout.Partitions(schemas.TopicFacts),
			Dead:      schemas.TopicDead,
			Observe:   observe,
			New: func(int32) machine.Machine {
				return tenant.New(tenant.Config{MinimumGroup: rules.MinimumGroup, PanelWeeks: rules.PanelWeeks})
			},
		}
	default:
		panic("processor: unknown fold " + name) // Validate names it first
	}
}
