// Package kafka is how every role reaches the brokers.
package kafka

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Config names the brokers and how to log in to them.
type Config struct {
	// Brokers are host:port seeds; at least one.
	Brokers []string `yaml:"brokers"`
	// TLS dials with TLS and the system's certificate authorities.
	TLS bool `yaml:"tls"`
	// Mechanism is empty (no login), plain, scram-sha-256 or scram-sha-512.
	Mechanism string `yaml:"mechanism"`
	User      string `yaml:"user"`
	Password  string `yaml:"password"`
	// Extra options go last: tests put clients on networks of their own.
	Extra []kgo.Opt `yaml:"-"`
}

// Validate reports every problem, each with its key.
func (c Config) Validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("kafka.brokers: at least one host:port is needed"))
	}
	switch c.Mechanism {
	case "", "plain", "scram-sha-256", "scram-sha-512":
	default:
		errs = append(errs, fmt.Errorf("kafka.mechanism: %q is not one of plain, scram-sha-256, scram-sha-512", c.Mechanism))
	}
	if c.Mechanism != "" && c.User == "" {
		errs = append(errs, errors.New("kafka.user: needed with kafka.mechanism"))
	}
	return errors.Join(errs...)
}

// Options returns the client options that the configuration stands for.
func (c Config) Options() []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(c.Brokers...)}
	if c.TLS {
		opts = append(opts, kgo.DialTLSConfig(&tls.Config{MinVersion: tls.VersionTLS12}))
	}
	switch c.Mechanism {
	case "plain":
		opts = append(opts, kgo.SASL(plain.Auth{User: c.User, Pass: c.Password}.AsMechanism()))
	case "scram-sha-256":
		opts = append(opts, kgo.SASL(scram.Auth{User: c.User, Pass: c.Password}.AsSha256Mechanism()))
	case "scram-sha-512":
		opts = append(opts, kgo.SASL(scram.Auth{User: c.User, Pass: c.Password}.AsSha512Mechanism()))
	}
	return append(opts, c.Extra...)
}
