package purpose

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/kafka"
)

// ErrConflict means that somebody else was writing to the log.
var ErrConflict = errors.New("purpose: somebody else was writing to the log: nothing was recorded, run it again")

// ErrBroken means that somebody has cut, changed or written to the log.
var ErrBroken = errors.New("the log grants nothing until it is mended")

// hangs is how long a transaction may stay open whose run died.
const hangs = 10 * time.Second

// Request records that a role asks to see what concerns a person, until a time.
func Request(ctx context.Context, k kafka.Config, cfg Config, key string, e Entry) (Entry, error) {
	return write(ctx, k, cfg, key, func(c *chain, now int64) (Entry, error) {
		e.Kind, e.At = Requested, now
		e.Seq = int64(len(c.entries)) + 1
		e.ID = e.identify()
		return e, nil
	})
}

// Approve records that the other role agrees, Withdraw that one of them ends it.
func Approve(ctx context.Context, k kafka.Config, cfg Config, key, id string) (Entry, error) {
	return act(ctx, k, cfg, key, Entry{Kind: Approved, ID: id})
}

// Withdraw records that one of the two roles ends a purpose.
func Withdraw(ctx context.Context, k kafka.Config, cfg Config, key, id string) (Entry, error) {
	return act(ctx, k, cfg, key, Entry{Kind: Withdrawn, ID: id})
}

// Use records that a role looks at something, and returns what it may see. Only
// after it has returned may anything be shown.
func Use(ctx context.Context, k kafka.Config, cfg Config, key, id, what string) (Grant, error) {
	e, err := act(ctx, k, cfg, key, Entry{Kind: Used, ID: id, What: what})
	if err != nil {
		return Grant{}, err
	}
	return Grant{ID: e.ID, Tenant: e.Tenant, Subject: e.Subject, Until: time.UnixMilli(e.Until)}, nil
}

// List returns the whole log, verified.
func List(ctx context.Context, k kafka.Config, cfg Config) ([]Entry, error) {
	p, err := cfg.open()
	if err != nil {
		return nil, err
	}
	cl, err := kgo.NewClient(k.Options()...)
	if err != nil {
		return nil, fmt.Errorf("open kafka: %w", err)
	}
	defer cl.Close()
	c, err := load(ctx, cl, k, p)
	if err != nil {
		return nil, err
	}
	return c.entries, nil
}

// act writes an entry about a purpose that exists.
func act(ctx context.Context, k kafka.Config, cfg Config, key string, e Entry) (Entry, error) {
	return write(ctx, k, cfg, key, func(c *chain, now int64) (Entry, error) {
		p := c.purposes[e.ID]
		if p == nil {
			return e, fmt.Errorf("purpose %s: there is none", e.ID)
		}
		e.Tenant, e.Subject, e.Until, e.At = p.request.Tenant, p.request.Subject, p.request.Until, now
		return e, nil
	})
}

// write adds an entry to the end of the log, if the log is whole and the entry may
// follow. The transactional id is the lock of the log, as in kschema.Publish.
func write(ctx context.Context, k kafka.Config, cfg Config, keyFile string, next func(c *chain, now int64) (Entry, error)) (Entry, error) {
	p, err := cfg.open()
	if err != nil {
		return Entry{}, err
	}
	role, key, err := p.actor(keyFile)
	if err != nil {
		return Entry{}, fmt.Errorf("purpose: %w", err)
	}
	cl, err := kgo.NewClient(append(k.Options(), kgo.TransactionalID("goodhart.purpose"), kgo.TransactionTimeout(hangs),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		return Entry{}, fmt.Errorf("open kafka: %w", err)
	}
	defer cl.Close()
	if _, _, err := cl.ProducerID(ctx); err != nil {
		return Entry{}, fmt.Errorf("purpose: begin: %w", err)
	}
	c, err := load(ctx, cl, k, p)
	if err != nil {
		return Entry{}, err
	}
	e, err := next(c, cfg.now().UnixMilli())
	if err != nil {
		return e, err
	}
	e.Role, e.Seq, e.Prev = role, int64(len(c.entries))+1, c.last
	if err := c.follows(&e); err != nil {
		return e, err
	}
	tenantKey, err := p.ring.Key(e.Tenant)
	if err != nil {
		return e, fmt.Errorf("purpose: keyring: %w", err)
	}
	value := e.sign(key, tenantKey)
	err = kschema.Transact(ctx, cl, []*kgo.Record{{Topic: schemas.TopicPurpose, Key: []byte(e.ID), Value: value}})
	if errors.Is(err, kschema.ErrConflict) {
		return e, ErrConflict
	}
	return e, err
}

// load reads the log from its first record and verifies all of it.
func load(ctx context.Context, cl *kgo.Client, k kafka.Config, p *people) (*chain, error) {
	c := newChain(p)
	return c, read(ctx, cl, k, c.add)
}

// Intact reads the log and verifies what takes no key: that it begins with its
// first record, and that each names the one before it. It returns how many there
// are; a log of which that is not true is ErrBroken.
func Intact(ctx context.Context, cl *kgo.Client, k kafka.Config) (int64, error) {
	n, last := int64(0), ""
	err := read(ctx, cl, k, func(value []byte) error {
		_, err := decode(value, n, last)
		n, last = n+1, hash(value)
		return err
	})
	return n, err
}

// read hands on every value of the log, until one is not one of the log's.
func read(ctx context.Context, cl *kgo.Client, k kafka.Config, add func(value []byte) error) error {
	spans, err := kafka.Spans(ctx, cl, schemas.TopicPurpose, time.Time{})
	if err != nil {
		return err
	}
	for _, s := range spans {
		if s.From > 0 || s.Partition != 0 {
			return fmt.Errorf("purpose: %s/%d begins at offset %d: the log has been cut: %w", s.Topic, s.Partition, s.From, ErrBroken)
		}
		err := s.Read(ctx, k.Options(), func(rec *kgo.Record) error {
			if err := add(rec.Value); err != nil {
				return fmt.Errorf("purpose: the record at %s/%d offset %d is not one of the log's: %w; %w", s.Topic, s.Partition, rec.Offset, err, ErrBroken)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
