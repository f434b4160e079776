package alerts

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chtest"
	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/services/clickhouse"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/up"
)

// Beside `goodhart up` a Prometheus sees every role, the engine too, which leaves
// memory for the others.
func TestUpShowsEveryRole(t *testing.T) {
	if testing.Short() {
		t.Skip("runs a whole pipeline")
	}
	chtest.StartServer(t).Kill() // builds the binary
	cfg := up.Default()
	cfg.Data, cfg.Output = t.TempDir(), io.Discard
	cfg.Broker, cfg.HTTP, cfg.GRPC, cfg.ClickHouse, cfg.ClickHouseAdmin = address(t), address(t), address(t), address(t), address(t)
	cfg.Chserve = absolute(t, ".cache/bin/chserve")
	cfg.Library = absolute(t, ".cache/chdb/package/libchdb.so")
	cfg.Partitions = kschema.Counts{Events: 1, Facts: 1, Features: 1, Dead: 1}
	cfg.ClickHouseMemory = 3 << 30
	cfg.Admin = address(t)
	chat := make(chan struct{}, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { chat <- struct{}{} }))
	defer receiver.Close()
	cfg.Getenv = func(string) (string, bool) { return receiver.URL, true }
	cfg.Alerter = filepath.Join(t.TempDir(), "alerter.yaml")
	if err := os.WriteFile(cfg.Alerter, []byte("receivers: [{name: chat, slack: {url: \"${CHAT}\"}}]\nrules: [{to: [chat]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tel := probe.New(slog.New(slog.DiscardHandler))
	tel.NotReady("up", "not begun")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	go func() { ended <- tel.Serve(ctx, cfg.Admin) }()
	go func() { ended <- up.Run(ctx, cfg, tel) }()
	defer func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}()
	eventually(t, "the pipeline", func() bool { return len(tel.Pending()) == 0 })

	var names []string
	for _, m := range append(scrape(t, "up", cfg.Admin), scrape(t, "chserve", cfg.ClickHouseAdmin)...) {
		names = append(names, m.name)
	}
	for _, want := range []string{
		"goodhart_broker_connections", "goodhart_collector_last_tick_timestamp_seconds", "goodhart_fold_lag_seconds",
		"goodhart_ledger_effective_horizon_seconds", "goodhart_sink_queryable_timestamp_seconds", "goodhart_chserve_queries_total",
		"goodhart_alerter_overdue_seconds", "goodhart_disk_free_bytes", "goodhart_build_info",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s among %d metrics", want, len(names))
		}
	}
	signals, err := kgo.NewClient(kgo.SeedBrokers(cfg.Broker))
	if err != nil {
		t.Fatal(err)
	}
	defer signals.Close()
	if err := signals.ProduceSync(t.Context(), question("of-a-test")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-chat:
	case <-time.After(patience):
		t.Error("the alerter tells nobody")
	}
	conn, err := clickhouse.Config{DSN: "http://default@" + cfg.ClickHouse + "/default"}.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	var memory string
	if err := conn.QueryRow(t.Context(), "SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'").Scan(&memory); err != nil || memory != "3221225472" {
		t.Errorf("the engine takes %s bytes: %v", memory, err)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
