package e2e

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chtest"
	"github.com/goodhartlabs/goodhart/pkg/kpi"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/clickhouse"
)

// blocks are the code blocks of a language in docs/alerts.md.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	doc, err := os.ReadFile("../../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllSubmatch(doc, -1) {
		found = append(found, string(m[1]))
	}
	return found
}

func exampleSignal(id string, rev uint32, status signal.Status, severity signal.Severity) []byte {
	s := signal.Signal{
		Tenant: "acme", Title: "Runaway rate", Question: "Should it be stopped?",
		Standing: signal.Standing{
			ID: id, Code: "R1", Kind: signal.ScopeService, Scope: "s_" + id, Label: signal.Runaway, Severity: severity, Status: status, Rev: rev,
			OpenedAt: 1_790_000_000_000, UpdatedAt: 1_790_000_000_000, CostNanos: 1_500_000_000, CostKnown: true,
		},
	}
	return s.AppendJSON(nil)
}

// The documented command lines say what they promise of records as the fold writes
// them, and nothing of the others.
func TestAlertsWithKcat(t *testing.T) {
	kcat(t, "-V")
	if _, err := exec.LookPath("jq"); err != nil {
		if os.Getenv("REQUIRE_TOOLS") == "1" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	c := ktest.Fake(t)
	client := c.Client(t)
	if _, err := kadm.NewClient(client).CreateTopics(t.Context(), 1, c.Replication, nil, schemas.TopicSignals, schemas.TopicKPI); err != nil {
		t.Fatal(err)
	}
	losing, healthy := kpi.Card{Target: "tokens", Verdict: kpi.LosingMeaning, Reasons: []string{"elasticity", "bunching"}, WeekStart: 1_790_000_000_000}, kpi.Card{Verdict: kpi.Healthy}
	for _, r := range []kgo.Record{
		{Topic: schemas.TopicSignals, Value: exampleSignal("a", 0, signal.Opened, signal.Info)},
		{Topic: schemas.TopicSignals, Value: exampleSignal("b", 0, signal.Opened, signal.Critical)},
		{Topic: schemas.TopicSignals, Key: []byte("a")}, // a tombstone
		{Topic: schemas.TopicSignals, Value: exampleSignal("b", 1, signal.Resolved, signal.Critical)},
		{Topic: schemas.TopicKPI, Value: healthy.AppendJSON(nil)},
		{Topic: schemas.TopicKPI, Value: losing.AppendJSON(nil)},
	} {
		if err := client.ProduceSync(t.Context(), &r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{
		"R1 Runaway rate, service s_b: Should it be stopped?\n",
		"tokens, 2026-W39: elasticity, bunching; bought nothing: unknown (unknown to unknown)\n",
	}
	lines := blocks(t, "sh")
	if len(lines) != len(want) {
		t.Fatalf("%d command lines, want %d", len(lines), len(want))
	}
	for i, line := range lines {
		line = strings.NewReplacer("127.0.0.1:9092", strings.Join(c.Addrs, ","), "-o end", "-o beginning -e").Replace(line)
		cmd := exec.CommandContext(t.Context(), "bash", "-o", "pipefail", "-c", line)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v\n%s", line, err, &stderr)
		}
		if diff := cmp.Diff(want[i], string(out)); diff != "" {
			t.Errorf("%s\n%s", line, diff)
		}
	}
}

// The documented tables take a record as the fold writes it, with a table that
// forgets in the place of the queue.
func TestAlertsInClickHouse(t *testing.T) {
	cfg := clickhouse.Config{DSN: chtest.StartFixed(t, "alerts")}
	ctx := context.Background()
	conn, err := cfg.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	sql := blocks(t, "sql")
	if len(sql) != 2 {
		t.Fatalf("%d blocks", len(sql))
	}
	exec := func(statement string) {
		t.Helper()
		if err := conn.Exec(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for statement := range strings.SplitSeq(sql[0], ";") {
		if before, _, kafka := strings.Cut(statement, "ENGINE = Kafka"); kafka {
			statement = before + "ENGINE = Null"
		}
		if strings.TrimSpace(statement) != "" {
			exec(statement)
		}
	}
	for _, value := range [][]byte{
		exampleSignal("a", 0, signal.Opened, signal.Critical), exampleSignal("a", 1, signal.Updated, signal.Critical), exampleSignal("b", 0, signal.Resolved, signal.Critical),
	} {
		exec("INSERT INTO alerts.queue FORMAT JSONEachRow " + string(value))
	}
	rows, err := conn.QueryFormat(ctx, "TSV", sql[1])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	got, err := io.ReadAll(rows)
	if err != nil {
		t.Fatal(err)
	}
	if want := "R1\tRunaway rate\tservice\ts_a\tShould it be stopped?\t1.5\n"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}
