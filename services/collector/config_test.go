package collector

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/services/config"
)

func TestExampleIsTheDefault(t *testing.T) {
	getenv := func(string) (string, bool) { return strings.Repeat("ab", 32), true }
	got := Default()
	if err := config.Load("config.example.yaml", &got, getenv); err != nil {
		t.Fatal(err)
	}
	if err := got.Validate(); err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Keys, want.People = "/etc/goodhart/keys.yaml", "/etc/goodhart/people.yaml"
	want.Keyring = map[string]string{"acme": strings.Repeat("ab", 32)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("example (-default +example):\n%s", diff)
	}
}

func TestValidateNamesEveryKey(t *testing.T) {
	good := func() Config {
		c := Default()
		c.Keys = "keys.yaml"
		c.Keyring = map[string]string{"acme": strings.Repeat("ab", 32)}
		return c
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	f := func(key string, change func(*Config)) {
		t.Helper()
		c := good()
		change(&c)
		err := c.Validate()
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+key+":") {
			t.Errorf("%s: error %v", key, err)
		}
	}
	f("id", func(c *Config) { c.ID = "two words" })
	f("id", func(c *Config) { c.ID = strings.Repeat("x", 65) })
	f("listen", func(c *Config) { c.Listen = Listen{} })
	f("listen.http", func(c *Config) { c.Listen.HTTP = "4318" })
	f("listen.grpc", func(c *Config) { c.Clock, c.Listen.GRPC = ClockHeader, "0.0.0.0:4317" })
	f("listen.http", func(c *Config) { c.Clock, c.Listen.HTTP = ClockHeader, ":4318" })
	f("clock", func(c *Config) { c.Clock = "sundial" })
	f("content", func(c *Config) { c.Content = "all" })
	f("keys_file", func(c *Config) { c.Keys = "" })
	f("keyring", func(c *Config) { c.Keyring = nil })
	f("keyring", func(c *Config) { c.KeyringFile = "ring.yaml" })
	f("keyring", func(c *Config) { c.Keyring["acme"] = "abcd" })
	f("keyring", func(c *Config) { c.Keyring["acme"] = "not hex" })
	f("kafka.brokers", func(c *Config) { c.Kafka.Brokers = nil })
	f("reload_interval", func(c *Config) { c.ReloadInterval = 0 })
	f("tick_interval", func(c *Config) { c.TickInterval = time.Minute })
	f("limits.body_bytes", func(c *Config) { c.Limits.BodyBytes = 65 << 20 })
	f("limits.memory_bytes", func(c *Config) { c.Limits.MemoryBytes = 1 << 20 })
	f("limits.buffered_bytes", func(c *Config) { c.Limits.BufferedBytes = 0 })
	f("limits.requests", func(c *Config) { c.Limits.Requests = 0 })
	f("timeouts.header", func(c *Config) { c.Timeouts.Header = 0 })
	f("timeouts.body", func(c *Config) { c.Timeouts.Body = 0 })
	f("timeouts.idle", func(c *Config) { c.Timeouts.Idle = 0 })
	f("timeouts.produce", func(c *Config) { c.Timeouts.Produce = time.Millisecond })
	f("timeouts.shutdown", func(c *Config) { c.Timeouts.Shutdown = 0 })

	var c Config
	if n := strings.Count(c.Validate().Error(), "\n") + 1; n < 12 {
		t.Errorf("the empty configuration has %d problems listed", n)
	}
}

func TestErrorsNeverShowKeys(t *testing.T) {
	c := Default()
	c.Keyring = map[string]string{"acme": "zz-a-secret"}
	if err := c.Validate(); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}
