// Package apply is the command that publishes what a tenant declares about
// itself: it reads a policy file, says everything that is wrong with it, and
// publishes it as the next version of the tenant's configuration, or shows what
// would change.
//
// Delivery: a version is published once, in one transaction to goodhart.events.v1
// and goodhart.meta.v1. Of two that run at once for a tenant the later one goes
// on and the earlier one fails without having published anything. Publishing what
// is in force already does nothing, unless it is asked for.
package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// Config of a run.
type Config struct {
	Kafka kafka.Config `yaml:"kafka"`

	// File is the policy file.
	File string `yaml:"-"`
	// Tenant is the one that the file must speak of; empty: the one it names.
	Tenant string `yaml:"-"`
	// Diff says what would change and publishes nothing.
	Diff bool `yaml:"-"`
	// Again publishes what is in force already once more, as the next version.
	Again bool `yaml:"-"`
	// Out receives the result; required.
	Out io.Writer `yaml:"-"`

	// decided lets a test step between the choice of a version and its publication.
	decided func()
}

// Default reaches a broker on this machine.
func Default() Config { return Config{Kafka: kafka.Config{Brokers: []string{"127.0.0.1:9092"}}} }

// Validate reports every problem but those of the policy file.
func (c Config) Validate() error {
	errs := []error{c.Kafka.Validate()}
	if c.File == "" {
		errs = append(errs, errors.New("apply: want the name of a policy file; --help tells more"))
	}
	return errors.Join(errs...)
}

// patience is how long a run may take. It may have to wait until the broker has
// ended the transaction of one that died.
const patience = time.Minute

// ErrConflict means that another run for the same tenant was under way.
var ErrConflict = errors.New("another apply for this tenant was under way: nothing was published, run it again")

// DifferentError says that the file and the configuration in force differ.
type DifferentError struct {
	Tenant  string
	Version uint64
}

func (e *DifferentError) Error() string {
	if e.Version == 0 {
		return e.Tenant + " has published nothing yet"
	}
	return fmt.Sprintf("the file differs from version %d of %s", e.Version, e.Tenant)
}

// ExitCode is that of diff.
func (e *DifferentError) ExitCode() int { return 1 }

// Run publishes the policy file, or says what would change: then differences are
// a DifferentError.
func Run(ctx context.Context, cfg Config, _ *probe.Telemetry) error {
	declared, err := readPolicy(cfg.File, cfg.Tenant)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if cfg.Diff {
		return difference(ctx, cfg, declared)
	}
	published, version, old, err := publish(ctx, cfg, declared)
	if err != nil {
		return fmt.Errorf("apply %s: %w", declared.Tenant, err)
	}
	var b strings.Builder
	if version == old.version {
		fmt.Fprintf(&b, "%s: version %d says the same: nothing published\n", declared.Tenant, version)
	} else {
		fmt.Fprintf(&b, "%s: published version %d\n", declared.Tenant, version)
		writeChanges(&b, old.policy, published)
	}
	_, err = io.WriteString(cfg.Out, b.String())
	return err
}

func difference(ctx context.Context, cfg Config, declared *policy.Policy) error {
	cl, err := kgo.NewClient(cfg.Kafka.Options()...)
	if err != nil {
		return fmt.Errorf("open kafka: %w", err)
	}
	defer cl.Close()
	old, err := readInForce(ctx, cl, declared.Tenant)
	if err != nil {
		return fmt.Errorf("apply %s: %w", declared.Tenant, err)
	}
	if declared, err = old.kept(declared, time.Now()); err != nil {
		return fmt.Errorf("apply %s: %w", old.policy.Tenant, err)
	}
	if old.says(declared) {
		return nil
	}
	var b strings.Builder
	writeChanges(&b, old.policy, declared)
	if _, err := io.WriteString(cfg.Out, b.String()); err != nil {
		return err
	}
	return &DifferentError{declared.Tenant, old.version}
}

func writeChanges(b *strings.Builder, from, to *policy.Policy) {
	for _, c := range policy.Diff(from, to) {
		b.WriteString(c.String() + "\n")
	}
}

func readInForce(ctx context.Context, cl *kgo.Client, tenant string) (inForce, error) {
	configs, err := kschema.Configs(ctx, cl)
	if err != nil {
		return inForce{}, err
	}
	return newInForce(tenant, configs[tenant].GetConfig())
}
