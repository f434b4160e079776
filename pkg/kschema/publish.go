package kschema

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// hangs is how long the readers of events.v1 wait for a transaction whose run
// died in the middle of it.
const hangs = 10 * time.Second

// ErrConflict means that somebody else was publishing at the same time.
var ErrConflict = errors.New("somebody else was publishing at the same time")

// Publication is a configuration to be published.
type Publication struct {
	Tenant string
	// Source names who publishes, a label.
	Source string
	// Decide is told what is in force, nil for nothing, and returns the document of
	// the next version, nil for none. An error ends it.
	Decide func(inForce *goodhartv1.Config) (document []byte, err error)
	// Now is the time of publication.
	Now time.Time
}

// Publish publishes the next version of a tenant's configuration, in one
// transaction to events.v1 and the meta topic, unless Decide finds nothing to
// publish. It returns the version that is in force then.
//
// The transactional id is the tenant's lock: whoever takes it ends what an earlier
// holder left open and shuts it out, so that the version read afterwards is the
// last one until somebody else takes it. The one who is shut out gets ErrConflict
// and has published nothing.
func Publish(ctx context.Context, client []kgo.Opt, p Publication) (uint64, error) {
	cl, err := kgo.NewClient(append(client[:len(client):len(client)],
		kgo.TransactionalID("goodhart.apply."+p.Tenant),
		kgo.TransactionTimeout(hangs),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
	)...)
	if err != nil {
		return 0, fmt.Errorf("open kafka: %w", err)
	}
	defer cl.Close()
	layout, err := Load(ctx, cl)
	if err != nil {
		return 0, err
	}
	if _, _, err := cl.ProducerID(ctx); err != nil {
		return 0, fmt.Errorf("begin: %w", err)
	}
	configs, err := Configs(ctx, cl)
	if err != nil {
		return 0, err
	}
	old := configs[p.Tenant].GetConfig()
	document, err := p.Decide(old)
	if err != nil || document == nil {
		return old.GetVersion(), err
	}
	version := old.GetVersion() + 1
	records, err := ConfigRecords(p.Event(version, document), layout.Partitions(schemas.TopicEvents))
	if err != nil {
		return 0, err
	}
	return version, Transact(ctx, cl, records)
}

// Event makes the event of a version. It has no event time: it must not move the
// watermark of a pipeline whose clock is not ours, as in a simulation.
func (p *Publication) Event(version uint64, document []byte) *goodhartv1.Event {
	id := sha256.Sum256(fmt.Appendf(nil, "config|%s|%d", p.Tenant, version))
	return &goodhartv1.Event{
		Kind:          goodhartv1.EventKind_EVENT_KIND_CONFIG,
		Tenant:        p.Tenant,
		Source:        p.Source,
		EventId:       id[:event.IDSize],
		ReceivedMs:    p.Now.UnixMilli(),
		SchemaVersion: event.SchemaVersion,
		Config:        &goodhartv1.Config{Version: version, Document: document},
	}
}

// Transact produces records in a transaction of a client with a transactional id.
// ErrConflict means that somebody else has taken the id.
func Transact(ctx context.Context, cl *kgo.Client, records []*kgo.Record) error {
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
