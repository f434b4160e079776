package collector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/keyring"
)

// Clock modes.
const (
	// ClockWall takes acceptance time from the wall clock.
	ClockWall = "wall"
	// ClockHeader takes acceptance time from the Goodhart-Clock header.
	ClockHeader = "header"
)

// What becomes of content.
const (
	// ContentNumbers makes numbers and keyed hashes of the content that clients
	// send, which is then forgotten.
	ContentNumbers = "numbers"
	// ContentOff leaves content unread.
	ContentOff = "off"
)

// Config is the collector's configuration file. Default gives every optional
// value.
type Config struct {
	// ID is the first part of the collector's name in ticks; a random part per
	// process life follows. A label of at most 64 characters.
	ID string `yaml:"id"`
	// Admin is where /metrics, /healthz and /readyz are served; empty: nowhere.
	Admin string `yaml:"admin"`
	// Listen names the addresses; an empty one is not served.
	Listen Listen `yaml:"listen"`
	// Clock is wall or header; header wants loopback listeners.
	Clock string       `yaml:"clock"`
	Kafka kafka.Config `yaml:"kafka"`
	// Keys is the file of API keys, required.
	Keys string `yaml:"keys_file"`
	// People is the file of people, teams and services (YAML, or CSV by its
	// suffix). Without one every actor stays a pseudonym of its raw id.
	People string `yaml:"people_file"`
	// Prices is a file of prices that goes before the embedded book.
	Prices string `yaml:"prices_file"`
	// Content is numbers or off.
	Content string `yaml:"content"`
	// Keyring maps each tenant to its HMAC key in hex, 32 bytes or more. Use
	// ${NAME} to take it from the environment.
	Keyring map[string]string `yaml:"keyring"`
	// KeyringFile is a YAML file of the same form, readable by its owner alone.
	KeyringFile string `yaml:"keyring_file"`
	// ReloadInterval is how often the files are looked at, 100ms to 1h.
	ReloadInterval time.Duration `yaml:"reload_interval"`
	// TickInterval is how often every partition gets a tick, 10ms to 30s.
	TickInterval time.Duration `yaml:"tick_interval"`
	Limits       Limits        `yaml:"limits"`
	Timeouts     Timeouts      `yaml:"timeouts"`
}

// Listen is where the collector listens, host:port.
type Listen struct {
	// HTTP serves OTLP/HTTP and /v1/events.
	HTTP string `yaml:"http"`
	// GRPC serves OTLP/gRPC.
	GRPC string `yaml:"grpc"`
	// Open replaces the system's listeners, for tests; nil for those.
	Open func(network, address string) (net.Listener, error) `yaml:"-"`
}

func (l Listen) open(ctx context.Context, addr string) (net.Listener, error) {
	if l.Open != nil {
		return l.Open("tcp", addr)
	}
	return (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
}

// Limits bound what one request, and all of them together, may take.
type Limits struct {
	// BodyBytes is the largest body after decompression, 1 KiB to 64 MiB.
	BodyBytes int64 `yaml:"body_bytes"`
	// MemoryBytes is how much memory requests in work may take, by estimate: eight
	// bytes for each of a body and 1 KiB per record. More get 503; a request that
	// could never fit gets 413. At least nine times body_bytes, and 1 MiB.
	MemoryBytes int64 `yaml:"memory_bytes"`
	// BufferedBytes is how many bytes may wait for Kafka's acknowledgement. At
	// least 1 MiB.
	BufferedBytes int64 `yaml:"buffered_bytes"`
	// Requests is how many requests may be in work at once, 1 to 65536; more get
	// 503.
	Requests int64 `yaml:"requests"`
}

// Timeouts bound how long things may take; each is positive.
type Timeouts struct {
	// Header is for the request line and headers.
	Header time.Duration `yaml:"header"`
	// Body is for the whole request.
	Body time.Duration `yaml:"body"`
	// Idle is how long a connection may rest between requests.
	Idle time.Duration `yaml:"idle"`
	// Produce is how long a request waits for Kafka before it gets 503, 1s to 1h.
	// Stay under the exporters' own limit, 10 s by default, so that they see the
	// answer.
	Produce time.Duration `yaml:"produce"`
	// Shutdown is how long a stop waits for requests in work.
	Shutdown time.Duration `yaml:"shutdown"`
}

// Default is the configuration of a collector on one machine; it lacks the keys
// file and the keyring.
func Default() Config {
	return Config{
		ID:             "collector",
		Admin:          "127.0.0.1:9464",
		Listen:         Listen{HTTP: "127.0.0.1:4318", GRPC: "127.0.0.1:4317"},
		Clock:          ClockWall,
		Content:        ContentNumbers,
		Kafka:          kafka.Config{Brokers: []string{"127.0.0.1:9092"}},
		ReloadInterval: 5 * time.Second,
		TickInterval:   5 * time.Second,
		Limits: Limits{
			BodyBytes:     maxBodyBytes,
			MemoryBytes:   1 << 30,
			BufferedBytes: 128 << 20,
			Requests:      1024,
		},
		Timeouts: Timeouts{
			Header:   5 * time.Second,
			Body:     60 * time.Second,
			Idle:     2 * time.Minute,
			Produce:  8 * time.Second,
			Shutdown: 20 * time.Second,
		},
	}
}

// maxBodyBytes is the limit that OTLP receivers share.
const maxBodyBytes = 64 << 20

// Validate reports every problem, each with its key.
func (c Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...)))
	}
	if !event.IsLabel(c.ID) || len(c.ID) > 64 {
		bad("id", "%q is not a label of 1 to 64 characters of A-Z a-z 0-9 . _ : / -", c.ID)
	}
	if c.Listen.HTTP == "" && c.Listen.GRPC == "" {
		bad("listen", "at least one of http and grpc is needed")
	}
	for key, addr := range map[string]string{"listen.http": c.Listen.HTTP, "listen.grpc": c.Listen.GRPC} {
		if addr == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			bad(key, "%q is not host:port", addr)
		} else if c.Clock == ClockHeader && !loopback(addr) {
			bad(key, "%q: clock header lets clients set the time and so wants a loopback address", addr)
		}
	}
	if c.Clock != ClockWall && c.Clock != ClockHeader {
		bad("clock", "%q is not one of wall, header", c.Clock)
	}
	if c.Content != ContentNumbers && c.Content != ContentOff {
		bad("content", "%q is not one of numbers, off", c.Content)
	}
	if c.Keys == "" {
		bad("keys_file", "needed: the API keys that may send")
	}
	if len(c.Keyring) == 0 && c.KeyringFile == "" {
		bad("keyring", "needed, or keyring_file: each tenant's HMAC key")
	}
	if len(c.Keyring) > 0 && c.KeyringFile != "" {
		bad("keyring", "not together with keyring_file")
	}
	if len(c.Keyring) > 0 {
		if _, err := keyring.Decode(c.Keyring); err != nil {
			bad("keyring", "%v", err)
		}
	}
	between(bad, "reload_interval", c.ReloadInterval, 100*time.Millisecond, time.Hour)
	between(bad, "tick_interval", c.TickInterval, 10*time.Millisecond, 30*time.Second)
	errs = append(errs, c.Kafka.Validate())
	c.Limits.validate(bad)
	c.Timeouts.validate(bad)
	slices.SortStableFunc(errs, func(a, b error) int { return strings.Compare(text(a), text(b)) })
	return errors.Join(errs...)
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (l Limits) validate(bad func(key, format string, args ...any)) {
	between(bad, "limits.body_bytes", l.BodyBytes, 1<<10, maxBodyBytes)
	between(bad, "limits.memory_bytes", l.MemoryBytes, max((memoryPerByte+1)*l.BodyBytes, 1<<20), 1<<40)
	between(bad, "limits.buffered_bytes", l.BufferedBytes, 1<<20, 1<<40)
	between(bad, "limits.requests", l.Requests, 1, 1<<16)
}

func (t Timeouts) validate(bad func(key, format string, args ...any)) {
	const longest = time.Hour
	between(bad, "timeouts.header", t.Header, time.Millisecond, longest)
	between(bad, "timeouts.body", t.Body, time.Millisecond, longest)
	between(bad, "timeouts.idle", t.Idle, time.Millisecond, longest)
	between(bad, "timeouts.produce", t.Produce, time.Second, longest)
	between(bad, "timeouts.shutdown", t.Shutdown, time.Millisecond, longest)
}

func between[T int64 | time.Duration](bad func(key, format string, args ...any), key string, v, low, high T) {
	if v < low || v > high {
		bad(key, "%v is not in %v..%v", v, low, high)
	}
}

func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
