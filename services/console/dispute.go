package console

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// holds is for how long a dispute is in force unless somebody decides it.
const holds = 8 * 7 * 24 * time.Hour

// errDecided means that a dispute of the signal has been accepted or rejected.
var errDecided = errors.New("a dispute of this signal has been decided already")

// publish makes a dispute of a signal part of the tenant's configuration, once, and
// returns the version that it is in force with. Whoever publishes at the same time
// goes first.
func (s *service) publish(ctx context.Context, tenant string, o objection) (uint64, error) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	retry := backoff.WithContext(backoff.NewExponentialBackOff(backoff.WithMaxElapsedTime(answers/2)), ctx)
	return backoff.RetryWithData(func() (uint64, error) {
		version, err := kschema.Publish(ctx, s.cfg.Kafka.Options(), kschema.Publication{
			Tenant: tenant, Source: "console", Now: s.cfg.now(),
			Decide: func(inForce *goodhartv1.Config) ([]byte, error) { return with(tenant, inForce, o, s.cfg.now()) },
		})
		if err == nil || errors.Is(err, kschema.ErrConflict) {
			return version, err
		}
		return version, backoff.Permanent(err)
	}, retry)
}

// with is a configuration with one more dispute; nil if it is there already.
func with(tenant string, inForce *goodhartv1.Config, o objection, now time.Time) ([]byte, error) {
	p := policy.Default(tenant)
	if inForce != nil {
		var err error
		if p, err = policy.Parse(inForce.Document); err != nil {
			return nil, fmt.Errorf("version %d, which is in force, was published by another version of goodhart: %w", inForce.Version, err)
		}
	}
	if old, ok := p.Disputed(o.Signal, now.UnixMilli()); ok {
		if old.State != policy.DisputeOpen {
			return nil, errDecided
		}
		return nil, nil
	}
	const day = 24 * time.Hour
	next, err := p.WithDisputes(policy.Dispute{
		Signal: o.Signal, State: policy.DisputeOpen, Reason: o.Reason, Until: policy.Day(now.Add(holds).Truncate(day).UnixMilli()),
	})
	if err != nil {
		return nil, err
	}
	return next.Document(), nil
}
