package score

import (
	"encoding/json"
	"math"
	"math/big"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRatioJSON(t *testing.T) {
	f := func(a, b, scale int64, want string) {
		t.Helper()
		if got := string(Ratio(a, b, scale).append(nil)); got != want {
			t.Errorf("Ratio(%d, %d, %d) = %s, want %s", a, b, scale, got, want)
		}
	}
	f(1, 2, 1, "0.5")
	f(1, 3, 1, "0.333333")
	f(2, 3, 1, "0.666667")
	f(1, 1, 1, "1")
	f(0, 7, 1, "0")
	f(7, 0, 1, "null")
	f(-1, 7, 1, "null")
	f(1, -7, 1, "null")
	f(3, 2_000_000, 1_000_000, "1.5")
	f(1, 3_000_000, 1, "0") // a third of a millionth rounds to nothing
	f(1, 2_000_000, 1, "0.000001")
	f(123, 1_000, 1_000_000, "123000")
	f(math.MaxInt64, 1, 1_000_000, "null") // does not fit
}

// Ratio against exact rational arithmetic.
func TestRatioIsRoundedExactly(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range 20_000 {
		a, b := rng.Int64()>>rng.IntN(62), rng.Int64()>>rng.IntN(62)
		if b == 0 {
			continue
		}
		want := new(big.Int).Mul(big.NewInt(a), big.NewInt(1_000_000))
		want.Add(want, new(big.Int).Rsh(big.NewInt(b), 1)).Quo(want, big.NewInt(b))
		got := Ratio(a, b, 1)
		if got.Known != want.IsInt64() || got.Known && got.N != want.Int64() {
			t.Fatalf("Ratio(%d, %d) = %+v, want %s", a, b, got, want)
		}
	}
}

func TestRollingJSON(t *testing.T) {
	r := Rolling{
		Tenant: "acme", ScopeKind: ScopeTeam, Scope: "payments", Window: "24h",
		Start: 1000, End: 2000, Rev: 2, W: 2345,
		Totals: Totals{
			Requests: 8, Records: 9, Errors: 2, InputUncachedTokens: 100, CacheReadTokens: 300, CacheWriteTokens: 100,
			OutputTokens: 500, ReasoningTokens: 40, CostNanos: 1001, UnpricedRequests: 1, UnknownTokenRequests: 2,
			OutcomesProvisional: 3, OutcomesFinal: -1, OutcomesReverted: 1, Activities: 6, CacheRecords: 5, ReasoningRecords: 1,
		},
		People: 4, PeopleKnown: true, Status: StatusRolling, ConfigVersion: 7,
	}
	want := `{"kind":"rolling","tenant":"acme","scope_kind":"team","scope":"payments","window":"24h",` +
		`"window_start":1000,"window_end":2000,"rev":2,"w":2345,"requests":8,"records":9,"errors":2,` +
		`"input_uncached_tokens":100,"cache_read_tokens":300,"cache_write_tokens":100,"output_tokens":500,"reasoning_tokens":40,` +
		`"cost_nanos":1001,"unpriced_requests":1,"unknown_token_requests":2,` +
		`"outcomes_provisional":3,"outcomes_final":-1,"outcomes_reverted":1,"activities":6,"people":4,` +
		`"cost_per_outcome_nanos":501,"outcomes_per_million_tokens":2000,"cache_read_share":0.6,"error_share":0.25,` +
		`"status":"rolling","formula":"rolling/1","config_version":7}`
	if got := string(r.AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Each case names a figure that must be null, and the totals that make it so.
func TestUnknownIsNull(t *testing.T) {
	f := func(name, scopeKind string, totals Totals, null ...string) {
		t.Helper()
		r := Rolling{ScopeKind: scopeKind, Totals: totals}
		var got map[string]any
		if err := json.Unmarshal(r.AppendJSON(nil), &got); err != nil {
			t.Fatal(err)
		}
		want := map[string]bool{"people": true}
		for _, field := range null {
			want[field] = true
		}
		nulls := map[string]bool{}
		for field, value := range got {
			if value == nil {
				nulls[field] = true
			}
		}
		if diff := cmp.Diff(want, nulls); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
	outcomes := []string{"outcomes_provisional", "outcomes_final", "outcomes_reverted", "cost_per_outcome_nanos", "outcomes_per_million_tokens"}
	full := Totals{
		Requests: 1, Records: 1, InputUncachedTokens: 1, OutputTokens: 1, CostNanos: 1,
		OutcomesProvisional: 1, CacheRecords: 1, ReasoningRecords: 1,
	}
	f("all known", ScopeTeam, full)
	f("a model has no outcomes", ScopeModel, full, outcomes...)
	f("a tool has no outcomes", ScopeTool, full, outcomes...)

	unpriced := full
	unpriced.CostNanos, unpriced.UnpricedRequests = 0, 1
	f("no price", ScopeTeam, unpriced, "cost_nanos", "cost_per_outcome_nanos")
	partly := full
	partly.UnpricedRequests = 1
	f("some price", ScopeTeam, partly)

	noCache := full
	noCache.CacheRecords = 0
	f("cache not reported", ScopeTeam, noCache, "cache_read_tokens", "cache_write_tokens", "cache_read_share")
	noReasoning := full
	noReasoning.ReasoningRecords = 0
	f("reasoning not reported", ScopeTeam, noReasoning, "reasoning_tokens")

	noTokens := full
	noTokens.InputUncachedTokens, noTokens.OutputTokens, noTokens.UnknownTokenRequests = 0, 0, 1
	f("no token count", ScopeTeam, noTokens, "input_uncached_tokens", "output_tokens", "outcomes_per_million_tokens", "cache_read_share")

	idle := Totals{OutcomesFinal: 2}
	f("outcomes alone", ScopeTeam, idle, "outcomes_per_million_tokens", "cache_read_share", "error_share")
	lost := full
	lost.OutcomesProvisional, lost.OutcomesReverted = -1, 1
	f("more reverted than verified", ScopeTeam, lost, "cost_per_outcome_nanos", "outcomes_per_million_tokens")
	none := full
	none.OutcomesProvisional = 0
	f("no outcome", ScopeTeam, none, "cost_per_outcome_nanos")
}

func TestGroupSizeJSON(t *testing.T) {
	g := GroupSize{
		Tenant: "acme", Team: `a"b`, Week: "2026-W48", WeekStart: 5, People: 12,
		Top1: Ratio(1, 4, 1), Reason: ReasonOK, Rev: 1, W: 9,
	}
	want := `{"kind":"group_size","tenant":"acme","team":"a\"b","iso_week":"2026-W48","week_start":5,"people":12,` +
		`"top1_share":0.25,"top2_share":null,"publishable":true,"reason":"","rev":1,"w":9}`
	if got := string(g.AppendJSON(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Every field of Totals is added and survives a cell: a field that is added to
// the struct and forgotten elsewhere fails here.
func TestTotalsCoverEveryField(t *testing.T) {
	var a Totals
	v := reflect.ValueOf(&a).Elem()
	for i := range v.NumField() {
		v.Field(i).SetInt(int64(i + 1))
	}
	if got := FromCell(a.Cell()); got != a {
		t.Errorf("through a cell: %+v, want %+v", got, a)
	}
	sum := a
	sum.Add(&a)
	w := reflect.ValueOf(sum)
	for i := range w.NumField() {
		if got, want := w.Field(i).Int(), int64(2*(i+1)); got != want {
			t.Errorf("%s = %d after adding, want %d", w.Type().Field(i).Name, got, want)
		}
	}
}

func BenchmarkRollingJSON(b *testing.B) {
	r := Rolling{
		Tenant: "acme", ScopeKind: ScopeTeam, Scope: "payments", Window: "24h", Start: 1_767_225_600_000, End: 1_767_312_000_000,
		W: 1_767_312_000_001, Totals: Totals{
			Requests: 812, Records: 900, InputUncachedTokens: 100_000, CacheReadTokens: 3_000_000, CacheWriteTokens: 100_000,
			OutputTokens: 50_000, CostNanos: 4_000_000_001, OutcomesProvisional: 3, CacheRecords: 1,
		}, Status: StatusRolling,
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = r.AppendJSON(dst[:0])
	}
	b.SetBytes(int64(len(dst)))
}
