package dead_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/dead"
	"github.com/goodhartlabs/goodhart/services/kafka"
)

func itoa(n int) string     { return strconv.Itoa(n) }
func hexOf(b []byte) string { return hex.EncodeToString(b) }

// newMailbox is a bed without a database: list and show need none.
func newMailbox(t *testing.T, c *ktest.Cluster) *bed {
	t.Helper()
	b := &bed{T: t, brokers: kafka.Config{Brokers: c.Addrs}, dsn: "http://127.0.0.1:1/default", accepted: time.Now()}
	b.client = c.Client(t, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	counts := kschema.Counts{Events: partitions, Facts: partitions, Features: 1, Dead: 2}
	if _, err := kschema.Migrate(t.Context(), b.client, kschema.Options{Counts: counts, Replication: c.Replication}); err != nil {
		t.Fatal(err)
	}
	return b
}

// addresses are the letters that list prints.
func (b *bed) addresses(args ...string) []string {
	b.Helper()
	out, err := b.dead(append([]string{"list"}, args...)...)
	if err != nil {
		b.Fatalf("list %v: %v", args, err)
	}
	var found []string
	for line := range strings.Lines(out) {
		found = append(found, strings.Fields(line)[0])
	}
	return found
}

func TestList(t *testing.T) {
	each(t, newMailbox, func(b *bed) {
		other := died([]byte("x"), "globex|1", 5)
		other.Tenant, other.Source, other.Reason = "globex", "otel-genai", "undecodable"
		b.write(3*time.Hour, died([]byte("a"), "acme|1", 7), &goodhartv1.DeadLetter{
			Stage: goodhartv1.Stage_STAGE_COLLECTOR, Tenant: "acme", Source: "otlp", Reason: "not_ai_telemetry", Records: 40,
		})
		b.write(0, other, died([]byte("a"), "acme|1", 9), died([]byte("a"), "acme|1", 9))
		b.produce(&kgo.Record{Topic: schemas.TopicDead, Partition: 1, Value: []byte("\xff no letter"), Timestamp: time.Now()})
		// What a transaction took back is no letter; its marker is the end.
		b.aborted()

		f := func(want string, args ...string) {
			b.Helper()
			if diff := cmp.Diff(strings.Fields(want), b.addresses(args...)); diff != "" {
				b.Errorf("list %v (-want +got):\n%s", args, diff)
			}
		}
		f("0:0 0:1 0:2 0:3 0:4 1:0")
		f("0:2 0:3 0:4 1:0", "--since", "1h")
		f("0:0 0:1", "--until", "1h")
		f("0:2", "--reason", "undecodable")
		f("0:1", "--component", "collector")
		f("0:0 0:2 0:3 0:4", "--topic", "goodhart.events.v1")
		f("0:0 0:3 0:4", "--source", "claude-code", "--tenant", "acme")
		f("0:3 1:0", "0:3", "1:0")

		out := b.says("list", "ledger    bad_value            goodhart.events.v1/", "acme/claude-code", "records 40, death 1", "unreadable_letter")
		for _, line := range []string{"0:0 ", "0:3 ", "0:4 "} { // the same record twice is one death
			want := map[string]string{"0:0 ": "death 1", "0:3 ": "death 2", "0:4 ": "death 2"}[line]
			if at := strings.Index(out, line); at < 0 || !strings.Contains(strings.SplitN(out[at:], "\n", 2)[0], want) {
				b.Errorf("letter %sis not %s", line, want)
			}
		}
		b.says("list --count", "reason             component    letters  records  first", "bad_value          ledger       3        3", "not_ai_telemetry   collector    1        40")

		var line struct {
			Letter, Component, Reason, Topic, Tenant string
			Partition                                *int32
			Offset                                   *int64
			Carries                                  bool `json:"carries_the_record"`
		}
		if err := json.Unmarshal([]byte(b.says("list --format json 0:2")), &line); err != nil {
			b.Fatal(err)
		}
		if line.Letter != "0:2" || line.Component != "ledger" || line.Tenant != "globex" || *line.Offset != 5 || !line.Carries {
			b.Errorf("got %+v", line)
		}
		for _, address := range []string{"0:99", "7:0", "1:1"} {
			if out, err := b.dead("show", address); err == nil {
				b.Errorf("show %s: %s", address, out)
			}
		}
	})
}

// aborted leaves a letter that was never sent, behind the last one.
func (b *bed) aborted() {
	b.Helper()
	cl, err := kgo.NewClient(append(b.brokers.Options(), kgo.TransactionalID("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		b.Fatal(err)
	}
	if err := cl.ProduceSync(b.Context(), &kgo.Record{Topic: schemas.TopicDead, Partition: 1, Value: encode(b, died(nil, "a|b", 1))}).FirstErr(); err != nil {
		b.Fatal(err)
	}
	if err := cl.EndTransaction(b.Context(), kgo.TryAbort); err != nil {
		b.Fatal(err)
	}
}

// Whatever somebody hides in a letter or in the record it carries, the terminal
// does not show it: only labels, numbers, ids and our own sentences pass.
func TestNothingSecretIsShown(t *testing.T) {
	b := newMailbox(t, ktest.Fake(t))
	const mark = "zqx"
	var hidden []string
	secret := func(form string) string {
		s := strings.ReplaceAll(form, "%", mark+itoa(len(hidden)))
		hidden = append(hidden, s)
		return s
	}
	e := b.usage("claude-code", 1)
	e.Tool, e.Conversation = secret("please refactor % now"), secret("%@example.com")
	e.Credential, e.Subject = secret("sk-ant-api03-%"), secret("ghp_%")
	e.Usage.Model = secret("AKIA00000000000%")
	e.Usage.AgentName = secret("eyJhbGciOiJIUzI1NiJ9.%")
	e.Config = &goodhartv1.Config{Document: []byte(secret(`{"note": "%"}`))}
	e.Activity = &goodhartv1.Activity{Labels: []*goodhartv1.Label{{Key: secret("% key"), Value: secret("\x1b[31m%")}}}
	value := append(encode(t, e), unknown(secret("% unknown field"))...)
	fact := encode(t, &goodhartv1.Fact{Kind: goodhartv1.FactKind_FACT_KIND_USAGE, Event: e})
	score := []byte(`{"kind": "rolling", "tenant": "` + secret("the % tenant") + `", "` + secret("a % name") + `": [{"x": 3}], "n": null, "ok": true}`)
	for i, l := range []*goodhartv1.DeadLetter{
		died(value, "acme|"+secret("% the key"), 1),
		died(fact, "acme|k", 2), died(score, "acme|k", 3), died([]byte(secret("% plain text")), "acme|k", 4),
		died([]byte(secret("% of another topic")), "acme|k", 5),
	} {
		l.Topic = []string{schemas.TopicEvents, schemas.TopicFacts, schemas.TopicScores, schemas.TopicEvents, secret("a % topic")}[i]
		l.Tenant, l.Source, l.Reason = secret("% tenant"), secret("% source"), secret("% reason")
		l.Field, l.Detail, l.Shape = secret("%@mail.example"), secret("Bearer %"), secret("https://user:%@host/")
		l.Credential = secret("xoxb-%")
		b.write(0, l)
	}
	out := b.says("list") + b.says("list --format json") + b.says("list --count")
	for i := range 5 {
		out += b.says("show 0:"+itoa(i)) + b.says("show --format json 0:"+itoa(i))
	}
	if strings.Contains(out, mark) || strings.Contains(out, "\x1b") {
		t.Errorf("%d secrets, and the output holds one of them:\n%s", len(hidden), out)
	}
	for _, shown := range []string{
		"usage.output_tokens                10", "usage.cost_basis                   COST_BASIS_ESTIMATED", "event.usage.output_tokens",
		"kind                               rolling", "(hidden: 12 characters)[0].x", "ok                                 true",
		"event_id                           " + hexOf(name("id", "claude-code", 1)), "config.document                    (hidden: ",
		"fields that this program does not know", "bytes that are not shown: it is no Event", "bytes that are not shown: its topic is none of ours",
	} {
		if !strings.Contains(out, shown) {
			t.Errorf("no %q in\n%s", shown, out)
		}
	}
}

// unknown is a field of bytes with a number that nobody uses.
func unknown(s string) []byte { return append([]byte{0xfa, 0x3f, byte(len(s))}, s...) }

func TestArguments(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		var out strings.Builder
		_, err := dead.ParseArgs(strings.Fields(line), &out, func(string) (string, bool) { return "", false })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("dead %s: %v, want %q", line, err, want)
		}
	}
	f("", "want list, show or replay")
	f("show", "want the address of a letter")
	f("show 12", `"12" is not the address of a letter: want partition:offset`)
	f("show -1:3", "flag provided but not defined")
	f("replay", "say which letters: --all, a filter or addresses")
	f("list --since yesterday", "want a time such as")
	f("list --since 1h --until 2h", "is not before --until")
	f("list --format yaml", `--format: "yaml" is not one of text, json`)
	f("list --check-config", dead.ErrChecked.Error())
	f("list --config nowhere.yaml", "read config")
	f("--help", flag.ErrHelp.Error())
	cfg, err := dead.ParseArgs([]string{"show", "0:7", "--format", "json", "2:9"}, &strings.Builder{}, nil)
	if err != nil || cfg.Format != dead.FormatJSON || len(cfg.Filter.Addresses) != 2 {
		t.Errorf("flags between addresses: %+v, %v", cfg, err)
	}
	cfg.Command = "burn"
	if err := dead.Run(t.Context(), cfg, nil); err == nil || errors.Is(err, flag.ErrHelp) {
		t.Errorf("burn: %v", err)
	}
}
