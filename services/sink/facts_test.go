package sink

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func ptr[T any](v T) *T { return &v }

// moment is 2026-10-15 12:34:56.789 UTC.
const moment = 1_792_067_696_789

func id(b byte) []byte {
	out := make([]byte, 16)
	for i := range out {
		out[i] = b + byte(i)
	}
	return out
}

func someEvent(kind goodhartv1.EventKind) *goodhartv1.Event {
	return &goodhartv1.Event{
		Kind: kind, Tenant: "acme", Source: "claude-code", Signal: goodhartv1.Signal_SIGNAL_LOG,
		EventId: id(0x40), RequestKey: id(0x60), TimeMs: moment, ReceivedMs: moment + 1000,
		Conversation: "c0ffee", Accounting: goodhartv1.Accounting_ACCOUNTING_BILLABLE,
		Subject: "p_0123", Team: "platform", Role: "engineer",
		IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, IdentityMethod: goodhartv1.IdentityMethod_IDENTITY_METHOD_EMAIL,
		Credential: "key-1", Tool: "claude-code", ToolVersion: "2.0.1", Transport: goodhartv1.Transport_TRANSPORT_OTLP_HTTP,
		AdapterVersion: "1", Quality: []goodhartv1.Quality{goodhartv1.Quality_QUALITY_CLOCK_SKEW, goodhartv1.Quality_QUALITY_STRING_NUMBERS},
		TzOffsetMin: ptr[int32](-330), Repository: "acme/api", Sequence: ptr[uint64](7),
		ParentConversation: "beef", Prompt: "feed", SchemaVersion: 1,
	}
}

func someFact(kind goodhartv1.FactKind, e *goodhartv1.Event) *goodhartv1.Fact {
	return &goodhartv1.Fact{W: moment - 30_000, P: 1, Seq: 5, Kind: kind, AcceptedMs: moment + 2000, Event: e}
}

func usageFact() *goodhartv1.Fact {
	e := someEvent(goodhartv1.EventKind_EVENT_KIND_USAGE)
	e.Usage = &goodhartv1.Usage{
		OperationName: "chat", ProviderName: "anthropic", RequestModel: "claude-opus-4-8", ResponseModel: "claude-opus-4-8-20260901",
		Model: "claude-opus-4-8", InputUncachedTokens: ptr[int64](10), CacheReadTokens: ptr[int64](20),
		CacheWrite_5MTokens: ptr[int64](30), CacheWrite_1HTokens: ptr[int64](0), OutputTokens: ptr[int64](50), ReasoningTokens: ptr[int64](5),
		CostNanos: ptr[int64](1_250_000), CostBasis: goodhartv1.CostBasis_COST_BASIS_ESTIMATED, PriceVersion: "2026-09-01",
		ReportedCostNanos: ptr[int64](1_300_000), PriceTier: "standard", DurationMs: ptr[int64](1200), TtftMs: ptr[int64](300),
		Status: goodhartv1.Status_STATUS_OK, Attempt: ptr[uint32](1), FinishReason: "end_turn",
		Granularity: goodhartv1.Granularity_GRANULARITY_REQUEST, QuerySource: "repl", AgentName: "main", Turn: ptr[uint32](3),
		NewTurnTokens: ptr[int64](9), H64: ptr(uint64(math.MaxUint64)), KappaPpm: ptr[int32](412_000), SideEffects: ptr[int32](2),
	}
	return someFact(goodhartv1.FactKind_FACT_KIND_USAGE, e)
}

func activityFact() *goodhartv1.Fact {
	e := someEvent(goodhartv1.EventKind_EVENT_KIND_ACTIVITY)
	e.RequestKey = nil
	e.Activity = &goodhartv1.Activity{
		Name:    "tool_result",
		Numbers: []*goodhartv1.Number{{Key: "duration_ms", Value: 12.5}, {Key: "size", Value: 3}},
		Labels:  []*goodhartv1.Label{{Key: "tool_name", Value: "Bash"}},
	}
	f := someFact(goodhartv1.FactKind_FACT_KIND_ACTIVITY, e)
	f.Observational, f.Late = true, true
	return f
}

func outcomeFact() *goodhartv1.Fact {
	e := someEvent(goodhartv1.EventKind_EVENT_KIND_OUTCOME)
	e.Source, e.Signal = "github", goodhartv1.Signal_SIGNAL_WEBHOOK
	e.Outcome = &goodhartv1.Outcome{
		Kind: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, Object: "0b1ec7", MergeSha: "5ha", HeadSha: "4ead", MergedBy: "p_9",
		Reviewers: []string{"p_8", "p_7"}, IsBot: ptr(false), SelfMerged: ptr(true), IndependentApprovals: ptr[uint32](2),
		Additions: ptr[int64](100), Files: ptr[int64](3), Closes: []string{"t1"}, Reverts: []string{"r1", "r2"},
		FinalisesAtMs: ptr[int64](moment + 14*dayMs), Conclusion: "success", Environment: "prod", RunAttempt: ptr[uint32](1),
		RepositoryClass: "service", ValueMillipoints: ptr[int64](1500),
	}
	return someFact(goodhartv1.FactKind_FACT_KIND_OUTCOME, e)
}

func transitionFact() *goodhartv1.Fact {
	f := someFact(goodhartv1.FactKind_FACT_KIND_TRANSITION, nil) // a timer: no event
	f.Transition = &goodhartv1.Transition{
		Kind: goodhartv1.TransitionKind_TRANSITION_KIND_REVERTED_FINAL, Outcome: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED,
		Tenant: "acme", Object: "0b1ec7", Subject: "p_0123", Team: "platform", Role: "engineer", Repository: "acme/api",
		RepositoryClass: "service", Source: "github", ObjectDayMs: moment - moment%dayMs - 10*dayMs, TimeMs: moment,
		TransitionId: id(0x20), FinalDelta: -1, RevertedDelta: 1, IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN,
	}
	return f
}

func tickFact() *goodhartv1.Fact {
	e := someEvent(goodhartv1.EventKind_EVENT_KIND_TICK)
	e.Tick = &goodhartv1.Tick{Collector: "collector-1", Sequence: 99}
	return someFact(goodhartv1.FactKind_FACT_KIND_TICK, e)
}

func tallyFact() *goodhartv1.Fact {
	f := someFact(goodhartv1.FactKind_FACT_KIND_TALLY, nil)
	f.Tally = &goodhartv1.Tally{
		Tenant: "acme", Source: "claude-code", HourMs: moment - moment%3_600_000,
		Accepted: 5, Duplicate: 1, Held: -2, Rejected: 3, RejectedLost: true, Dead: 1,
	}
	return f
}

func configFact(tenant string) *goodhartv1.Fact {
	e := someEvent(goodhartv1.EventKind_EVENT_KIND_CONFIG)
	e.Tenant, e.TimeMs = tenant, 0
	e.Config = &goodhartv1.Config{Version: 4, Document: []byte(`{"teams":[]}`)}
	return someFact(goodhartv1.FactKind_FACT_KIND_CONFIG, e)
}

func bytesOf(tb testing.TB, f *goodhartv1.Fact) []byte {
	tb.Helper()
	b, err := f.MarshalVT()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// Every column of every fact table, through the real broker protocol and the
// real database.
func TestFactsBecomeRows(t *testing.T) { ktest.Each(t, testFactsBecomeRows) }

func testFactsBecomeRows(t *testing.T, kafka *ktest.Cluster) {
	b := newBedOn(t, kafka)
	owner := schemas.Partition([]byte("acme"), 2)
	mark := bytesOf(t, someFact(goodhartv1.FactKind_FACT_KIND_WATERMARK, nil))
	b.produce(schemas.TopicFacts, owner, mark,
		bytesOf(t, usageFact()), bytesOf(t, activityFact()), bytesOf(t, outcomeFact()), bytesOf(t, transitionFact()),
		bytesOf(t, tickFact()), bytesOf(t, tallyFact()), bytesOf(t, configFact("acme")), mark)
	b.produce(schemas.TopicFacts, 1-owner, bytesOf(t, configFact("acme")), bytesOf(t, tallyFact()))
	tel := b.start()
	b.until("usage", 1)
	b.until("tallies", 2)
	b.until("outcomes", 2)
	b.until("config", 1) // the copy of the other partition is not stored
	b.until("activity", 1)
	b.until("ticks", 1)
	var got []string
	for _, table := range []string{"usage", "activity", "outcomes", "ticks", "tallies", "config"} {
		got = append(got, "-- "+table)
		// The topic's id is random, the owner of the tenant is not.
		for _, row := range b.query("SELECT * EXCEPT (stored_at, k_topic), splitByChar('@', k_topic)[1] AS topic FROM core." + table +
			" ORDER BY k_partition, k_offset SETTINGS output_format_json_quote_64bit_integers = 0") {
			got = append(got, strings.ReplaceAll(row, ",", ",\n  "))
		}
	}
	golden := filepath.Join("testdata", "facts.golden")
	text := strings.Join(got, "\n") + "\n"
	if *update {
		if err := os.WriteFile(golden, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Error(diff)
	}
	families, err := tel.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "goodhart_sink_e2e_latency_seconds" && f.GetMetric()[0].GetHistogram().GetSampleCount() == 1 {
			return
		}
	}
	t.Error("the stored tick was not measured")
}

// Whatever is wrong with a fact, its neighbours are stored and it becomes a
// dead letter that tells what is known of it.
func TestBadFactsAmongGoodOnes(t *testing.T) {
	wrong := map[string]*goodhartv1.Fact{}
	spoil := func(name string, f *goodhartv1.Fact, how func(*goodhartv1.Fact)) {
		how(f)
		wrong[name] = f
	}
	spoil("bad_time event.time_ms", usageFact(), func(f *goodhartv1.Fact) { f.Event.TimeMs = -1 })
	spoil("bad_time event.received_ms", usageFact(), func(f *goodhartv1.Fact) { f.Event.ReceivedMs = math.MaxInt64 })
	spoil("bad_time accepted_ms", tickFact(), func(f *goodhartv1.Fact) { f.AcceptedMs = latest })
	spoil("bad_time transition.object_day_ms", transitionFact(), func(f *goodhartv1.Fact) { f.Transition.ObjectDayMs = -1 })
	spoil("bad_time tally.hour_ms", tallyFact(), func(f *goodhartv1.Fact) { f.Tally.HourMs = 1 << 50 })
	spoil("out_of_range p", usageFact(), func(f *goodhartv1.Fact) { f.P = 1 << 16 })
	spoil("out_of_range event.event_id", usageFact(), func(f *goodhartv1.Fact) { f.Event.EventId = []byte("short") })
	spoil("out_of_range event.signal", activityFact(), func(f *goodhartv1.Fact) { f.Event.Signal = 99 })
	spoil("out_of_range event.quality", usageFact(), func(f *goodhartv1.Fact) { f.Event.Quality = append(f.Event.Quality, -1) })
	spoil("out_of_range event.tz_offset_min", usageFact(), func(f *goodhartv1.Fact) { f.Event.TzOffsetMin = ptr[int32](1 << 20) })
	spoil("out_of_range event.usage.cost_basis", usageFact(), func(f *goodhartv1.Fact) { f.Event.Usage.CostBasis = 200 })
	spoil("out_of_range transition", transitionFact(), func(f *goodhartv1.Fact) { f.Transition.FinalDelta = 1000 })
	spoil("missing event.usage.granularity", usageFact(), func(f *goodhartv1.Fact) { f.Event.Usage = nil })
	spoil("missing event.activity", activityFact(), func(f *goodhartv1.Fact) { f.Event.Activity = nil })
	spoil("missing event.outcome", outcomeFact(), func(f *goodhartv1.Fact) { f.Event.Outcome = nil })
	spoil("missing event.tick", tickFact(), func(f *goodhartv1.Fact) { f.Event.Tick = nil })
	spoil("unknown_kind kind", usageFact(), func(f *goodhartv1.Fact) { f.Kind = 77 })

	b := newBed(t)
	values := [][]byte{bytesOf(t, usageFact())}
	var want []string
	for name, f := range wrong {
		values = append(values, bytesOf(t, f), bytesOf(t, usageFact()))
		want = append(want, name)
	}
	values = append(values, []byte("no protobuf"))
	want = append(want, "undecodable ")
	b.produce(schemas.TopicFacts, 0, values...)
	b.start()
	b.until("usage", uint64(len(wrong)+1))
	b.until("dead", uint64(len(want)))
	got := b.query("SELECT reason, field FROM core.dead")
	for i, row := range got {
		row = strings.TrimSuffix(strings.TrimPrefix(row, `{"reason":"`), `"}`)
		got[i] = strings.Replace(row, `","field":"`, " ", 1)
	}
	sortStrings(want)
	sortStrings(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	facts := b.query(`SELECT uniqExact(offset) AS places, countIf(tenant = 'acme') AS known, any(stage) AS stage, any(topic) AS topic, countIf(size_bytes > 0) AS sized
		FROM core.dead SETTINGS output_format_json_quote_64bit_integers = 0`)
	if diff := cmp.Diff([]string{`{"places":18,"known":17,"stage":"sink","topic":"goodhart.facts.v1","sized":18}`}, facts); diff != "" {
		t.Error(diff)
	}
}

func FuzzDecode(f *testing.F) {
	for _, fact := range []*goodhartv1.Fact{usageFact(), activityFact(), outcomeFact(), transitionFact(), tickFact(), tallyFact(), configFact("acme")} {
		f.Add(bytesOf(f, fact))
	}
	f.Add([]byte(`{"kind":"rolling","tenant":"acme"}`))
	f.Add([]byte(`{"kind":"group_size","tenant":"acme","week_start":1}`))
	f.Add([]byte(`{"tenant":"acme","signal_id":"s","evidence":[{}]}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		for topic, of := range openers() {
			d := of.open(chsink.Origin{Topic: topic}, 2)
			// Rows or a reason: never a panic, never both.
			if err := d.Decode(&kgo.Record{Topic: topic, Value: value}); err != nil {
				for _, b := range d.Blocks() {
					if b.Rows() > 1 {
						t.Fatalf("%s: %d rows beside %v", topic, b.Rows(), err)
					}
				}
			}
		}
	})
}
