package chserve

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/services/config"
	"github.com/goodhartlabs/goodhart/services/probe"
)

func TestValidate(t *testing.T) {
	f := func(change func(*Config), keys ...string) {
		t.Helper()
		cfg := Default()
		cfg.Path, cfg.Library = "data", "libchdb.so"
		change(&cfg)
		err := cfg.Validate()
		if len(keys) == 0 {
			if err != nil {
				t.Error(err)
			}
			return
		}
		for _, key := range keys {
			if err == nil || !strings.Contains("\n"+err.Error(), "\n"+key+": ") {
				t.Errorf("no word on %s in %v", key, err)
			}
		}
	}
	f(func(*Config) {})
	f(func(c *Config) { c.Listen = "[::1]:0" })
	f(func(c *Config) { c.Listen = "localhost:8123" })
	f(func(c *Config) { c.Listen = "0.0.0.0:8123" }, "password")
	f(func(c *Config) { c.Listen = ":8123" }, "password")
	f(func(c *Config) { c.Listen = "db.example:8123" }, "password")
	f(func(c *Config) { c.Listen, c.Password = "0.0.0.0:8123", "x" })
	f(func(c *Config) { c.Listen = "8123" }, "listen")
	f(func(c *Config) {
		*c = Config{MaxMemory: 1, StopTimeout: -1}
	}, "path", "library", "listen", "user", "max_queries", "max_memory", "stop_timeout")
}

func TestMissingLibrary(t *testing.T) {
	cfg := Default()
	cfg.Path, cfg.Library, cfg.Listen = t.TempDir(), filepath.Join(t.TempDir(), "libchdb.so"), "127.0.0.1:0"
	err := Run(t.Context(), cfg, probe.New(slog.New(slog.DiscardHandler)))
	if err == nil || !strings.Contains(err.Error(), "make tools") || !strings.Contains(err.Error(), "CLICKHOUSE_DSN") {
		t.Fatalf("%v: does not say what to do", err)
	}
}

func TestHTTPStatus(t *testing.T) {
	for code, want := range map[int]int{
		60: 404, 81: 404, 115: 404, 62: 400, 36: 400, 53: 400, 27: 400, 516: 403, 497: 403, 194: 401,
		159: 408, 48: 501, 229: 413, 241: 500, 395: 500, 0: 500, 1002: 500,
	} {
		if got := httpStatus(code); got != want {
			t.Errorf("code %d: status %d, want %d", code, got, want)
		}
	}
}

func TestChooseEncoding(t *testing.T) {
	f := func(accept, want string) {
		t.Helper()
		if got := chooseEncoding(accept); got != want {
			t.Errorf("%q: %q, want %q", accept, got, want)
		}
	}
	f("", "")
	f("identity", "")
	f("gzip, deflate, br, zstd", "zstd")
	f("gzip;q=1.0, br;q=0", "gzip")
	f("BR", "br")
	f("lz4;q=0, gzip", "gzip")
}

// TestExampleConfig: the example names every key, with its default.
func TestExampleConfig(t *testing.T) {
	got := Default()
	if err := config.Load("config.example.yaml", &got, os.LookupEnv); err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Path, want.Library = ".goodhart/clickhouse", ".cache/chdb/package/libchdb.so"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	raw, err := os.ReadFile("config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for field := range reflect.TypeFor[Config]().Fields() {
		if key := field.Tag.Get("yaml"); !strings.Contains(string(raw), "\n"+key+":") {
			t.Errorf("no key %s in the example", key)
		}
	}
}
