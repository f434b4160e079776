package apply

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// publish publishes a policy unless it is in force already. It returns what was
// published, which keeps the disputes that people have raised meanwhile, the
// version that is in force then, and what was in force before.
func publish(ctx context.Context, cfg Config, declared *policy.Policy) (*policy.Policy, uint64, inForce, error) {
	var old inForce
	next := declared
	version, err := kschema.Publish(ctx, cfg.Kafka.Options(), kschema.Publication{
		Tenant: declared.Tenant, Source: "apply", Now: time.Now(),
		Decide: func(config *goodhartv1.Config) (document []byte, err error) {
			if old, err = newInForce(declared.Tenant, config); err != nil {
				return nil, err
			}
			if next, err = old.kept(declared, time.Now()); err != nil || old.says(next) && !cfg.Again {
				return nil, err
			}
			if cfg.decided != nil {
				cfg.decided()
			}
			return next.Document(), nil
		},
	})
	if errors.Is(err, kschema.ErrConflict) {
		return nil, 0, old, ErrConflict
	}
	return next, version, old, err
}

// inForce is what a tenant published last.
type inForce struct {
	// version is 0 if it was nothing.
	version  uint64
	document []byte
	policy   *policy.Policy
}

func newInForce(tenant string, config *goodhartv1.Config) (inForce, error) {
	if config == nil {
		return inForce{policy: policy.Default(tenant)}, nil
	}
	p, err := policy.Parse(config.Document)
	if err != nil {
		return inForce{}, fmt.Errorf("version %d, which is in force, was published by another version of goodhart: %w", config.Version, err)
	}
	return inForce{config.Version, config.Document, p}, nil
}

func (f inForce) says(p *policy.Policy) bool {
	return f.version > 0 && string(f.document) == string(p.Document())
}

// kept is a policy with the disputes in force that it does not speak of and that
// still hold: a file decides disputes, it does not forget them.
func (f inForce) kept(p *policy.Policy, now time.Time) (*policy.Policy, error) {
	var missing []policy.Dispute
	for _, d := range f.policy.Disputes {
		if _, known := p.Dispute(d.Signal); !known && int64(d.Until) > now.UnixMilli() {
			missing = append(missing, d)
		}
	}
	if len(missing) == 0 {
		return p, nil
	}
	return p.WithDisputes(missing...)
}
