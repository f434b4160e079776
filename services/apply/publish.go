package apply

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// hangs is how long the readers of events.v1 wait for a transaction whose run
// died in the middle of it.
const hangs = 10 * time.Second

// publish publishes a policy unless it is in force already, and returns the version that
// is in force then and what was in force before.
//
// The transactional id is the tenant's lock: whoever takes it ends what an earlier
// holder left open and shuts it out, so that the version read afterwards is the
// last one until somebody else takes it.
func publish(ctx context.Context, cfg Config, p *policy.Policy) (uint64, inForce, error) {
	cl, err := kgo.NewClient(append(cfg.Kafka.Options(),
		kgo.TransactionalID("goodhart.apply."+p.Tenant),
		kgo.TransactionTimeout(hangs),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)...)
	if err != nil {
		return 0, inForce{}, fmt.Errorf("open kafka: %w", err)
	}
	defer cl.Close()
	layout, err := kschema.Load(ctx, cl)
	if err != nil {
		return 0, inForce{}, err
	}
	if _, _, err := cl.ProducerID(ctx); err != nil {
		return 0, inForce{}, fmt.Errorf("begin: %w", err)
	}
	old, err := readInForce(ctx, cl, p.Tenant)
	if err != nil {
		return 0, inForce{}, err
	}
	if old.says(p) && !cfg.Again {
		return old.version, old, nil
	}
	if cfg.decided != nil {
		cfg.decided()
	}
	version := old.version + 1
	records, err := kschema.ConfigRecords(newEvent(p, version, time.Now()), layout.Partitions(schemas.TopicEvents))
	if err != nil {
		return 0, inForce{}, err
	}
	return version, old, transact(ctx, cl, records)
}

// transact produces records in a transaction.
func transact(ctx context.Context, cl *kgo.Client, records []*kgo.Record) error {
	if err := cl.BeginTransaction(); err != nil {
		return fmt.Errorf("begin: %w", conflict(err))
	}
	err := cl.ProduceSync(ctx, records...).FirstErr()
	// A transaction that nobody ends holds up the readers of its topics.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), hangs)
	defer cancel()
	if err != nil {
		_ = cl.EndTransaction(ending, kgo.TryAbort) // the broker does it after hangs
		return fmt.Errorf("publish: %w", conflict(err))
	}
	if err := cl.EndTransaction(ending, kgo.TryCommit); err != nil {
		return fmt.Errorf("commit: %w: run it again to see whether it was published", conflict(err))
	}
	return nil
}

// conflict names the errors of a producer whose transactional id somebody else
// has taken.
func conflict(err error) error {
	for _, fenced := range []error{kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping, kerr.InvalidTxnState} {
		if errors.Is(err, fenced) {
			return ErrConflict
		}
	}
	return err
}

// newEvent makes the event of a version. It has no event time: it must not move
// the watermark of a pipeline whose clock is not ours, as in a simulation.
func newEvent(p *policy.Policy, version uint64, now time.Time) *goodhartv1.Event {
	id := sha256.Sum256(fmt.Appendf(nil, "config|%s|%d", p.Tenant, version))
	return &goodhartv1.Event{
		Kind:          goodhartv1.EventKind_EVENT_KIND_CONFIG,
		Tenant:        p.Tenant,
		Source:        "apply",
		EventId:       id[:event.IDSize],
		ReceivedMs:    now.UnixMilli(),
		SchemaVersion: event.SchemaVersion,
		Config:        &goodhartv1.Config{Version: version, Document: p.Document()},
	}
}
