package console

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/keyring"
	"github.com/goodhartlabs/goodhart/services/purpose"
)

// Config of a console.
type Config struct {
	Kafka kafka.Config `yaml:"kafka"`
	// Listen is where people ask, host:port, without TLS.
	Listen string `yaml:"listen"`
	// Admin is the address of /metrics, /healthz, /readyz; empty for none.
	Admin string `yaml:"admin"`
	// KeyringFile holds the keys of the tenants; required.
	KeyringFile string `yaml:"keyring_file"`
	// TokensSince is a day, YYYY-MM-DD: tokens that were made before it are no longer
	// good; empty: all are until they end.
	TokensSince string `yaml:"tokens_since"`
	// Limits of a person: requests per minute, disputes per hour.
	Limits Limits `yaml:"limits"`
	// Purpose says who but the person may see what concerns one, and is off by
	// default; for the commands alone.
	Purpose purpose.Config `yaml:"purpose"`

	// clock stands for time.Now in tests.
	clock func() time.Time
}

// Limits of one person.
type Limits struct {
	Requests int `yaml:"requests_per_minute"`
	Disputes int `yaml:"disputes_per_hour"`
}

// Default answers on this machine, beside a broker on it.
func Default() Config {
	return Config{
		Kafka:  kafka.Config{Brokers: []string{"127.0.0.1:9092"}},
		Listen: "127.0.0.1:8321", Admin: "127.0.0.1:9467",
		Limits: Limits{Requests: 60, Disputes: 20},
	}
}

// Validate reports every problem, each with its key.
func (c Config) Validate() error {
	errs := []error{c.Kafka.Validate(), c.Purpose.Validate()}
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	_, _, err := net.SplitHostPort(c.Listen)
	bad(err != nil, "listen: %q is not host:port", c.Listen)
	bad(c.KeyringFile == "", "%w", keyring.ErrNone)
	_, err = c.since()
	bad(err != nil, "tokens_since: %q is not a day, YYYY-MM-DD", c.TokensSince)
	bad(c.Limits.Requests < 1 || c.Limits.Requests > 6000, "limits.requests_per_minute: %d is not in 1..6000", c.Limits.Requests)
	bad(c.Limits.Disputes < 1 || c.Limits.Disputes > 1000, "limits.disputes_per_hour: %d is not in 1..1000", c.Limits.Disputes)
	return errors.Join(errs...)
}

func (c Config) since() (time.Time, error) {
	if c.TokensSince == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.DateOnly, c.TokensSince)
}

func (c Config) now() time.Time {
	if c.clock != nil {
		return c.clock()
	}
	return time.Now()
}
