package price_test

import (
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/price"
)

func date(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

var today = date("2026-11-02")

func TestCanonical(t *testing.T) {
	b := price.Embedded()
	for in, want := range map[string]string{
		"claude-sonnet-4-5":                            "claude-sonnet-4-5",
		"claude-sonnet-4-5-20250929":                   "claude-sonnet-4-5",
		"Claude-Sonnet-4-5-20250929[1m]":               "claude-sonnet-4-5",
		"claude-sonnet-4-5@20250929":                   "claude-sonnet-4-5",
		"claude-sonnet-4-5@default":                    "claude-sonnet-4-5",
		"claude-sonnet-4.5":                            "claude-sonnet-4-5",
		"anthropic/claude-sonnet-4.5":                  "claude-sonnet-4-5",
		"openrouter/anthropic/claude-sonnet-4.5":       "claude-sonnet-4-5",
		"us.anthropic.claude-sonnet-4-5-20250929-v1:0": "claude-sonnet-4-5",
		"global.anthropic.claude-opus-4-6-v1":          "claude-opus-4-6",
		"anthropic.claude-3-5-sonnet-20241022-v2:0":    "claude-3-5-sonnet",
		"vertex_ai/claude-opus-4-1@20250805":           "claude-opus-4-1",
		"claude-3.5-haiku":                             "claude-3-5-haiku",
		"claude-3-5-haiku-latest":                      "claude-3-5-haiku",
		"claude-opus-4-6-thinking":                     "claude-opus-4-6",
		"claude-opus-4-6-high-thinking":                "claude-opus-4-6",
		"claude-opus-41":                               "claude-opus-4-1",
		"claude-opus-4-20250514":                       "claude-opus-4",
		"claude-sonnet-4":                              "claude-sonnet-4",
		"claude-fable-5[1m]":                           "claude-fable-5",
		"arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0": "claude-haiku-4-5",
	} {
		if got, known := b.Canonical(in); got != want || !known {
			t.Errorf("%q is %q (known %v), want %q", in, got, known, want)
		}
	}
}

// A name of another generation or size must not find a price.
func TestCanonicalNeverGuesses(t *testing.T) {
	b := price.Embedded()
	for in, want := range map[string]string{
		"claude-sonnet-4-7":         "claude-sonnet-4-7",
		"claude-sonnet-4-50":        "claude-sonnet-4-50",
		"claude-opus-4-6-fast":      "claude-opus-4-6-fast",
		"claude-opus-4-6-mini":      "claude-opus-4-6-mini",
		"claude-opus-4-5:free":      "claude-opus-4-5:free",
		"claude-opus":               "claude-opus",
		"claude-opus-":              "claude-opus-",
		"claude-3-sonnet-2":         "claude-3-sonnet-2",
		"claude-sonnet-45":          "claude-sonnet-45",
		"opus":                      "opus",
		"gpt-4.1-2025-04-14":        "gpt-4.1-2025-04-14",
		"azure/gpt-4.1":             "gpt-4.1",
		"us.meta.llama3-3-70b-v1:0": "meta.llama3-3-70b",
		"Qwen3-Coder":               "qwen3-coder",
		"":                          price.Unknown,
		"[1m]":                      "[1m]",
		"x/":                        price.Unknown,
		"claude-fable-6":            "claude-fable-6",
	} {
		got, known := b.Canonical(in)
		if known || got != want {
			t.Errorf("%q is %q (known %v), want %q, unknown", in, got, known, want)
		}
		if _, ok := b.Cost(got, "anthropic", price.Usage{Input: 1}, today); ok {
			t.Errorf("%q has a price", in)
		}
	}
}

func TestCost(t *testing.T) {
	b := price.Embedded()
	million := int64(1e6)
	for name, c := range map[string]struct {
		model string
		usage price.Usage
		at    string
		want  price.Cost
		none  bool
	}{
		// US dollars per million are nano-USD × 1e9 for a million tokens.
		"input":          {"claude-opus-4-5", price.Usage{Input: million}, "2026-11-02", price.Cost{Nanos: 5e9, Tier: "standard"}, false},
		"output":         {"claude-opus-4-5", price.Usage{Output: million}, "2026-11-02", price.Cost{Nanos: 25e9, Tier: "standard"}, false},
		"cache read":     {"claude-opus-4-5", price.Usage{CacheRead: million}, "2026-11-02", price.Cost{Nanos: 5e8, Tier: "standard"}, false},
		"write 5m":       {"claude-opus-4-5", price.Usage{CacheWrite5m: million}, "2026-11-02", price.Cost{Nanos: 625e7, Tier: "standard"}, false},
		"write 1h":       {"claude-opus-4-5", price.Usage{CacheWrite1h: million}, "2026-11-02", price.Cost{Nanos: 10e9, Tier: "standard"}, false},
		"write, no ttl":  {"claude-opus-4-5", price.Usage{CacheWrite: million}, "2026-11-02", price.Cost{Nanos: 625e7, Tier: "standard"}, false},
		"batch":          {"claude-opus-4-5", price.Usage{Input: million, Tier: "batch"}, "2026-11-02", price.Cost{Nanos: 25e8, Tier: "batch"}, false},
		"fast":           {"claude-opus-4-6", price.Usage{Output: million, Tier: "fast"}, "2026-11-02", price.Cost{Nanos: 150e9, Tier: "fast"}, false},
		"no such tier":   {"claude-opus-4-5", price.Usage{Input: 1, Tier: "fast"}, "2026-11-02", price.Cost{}, true},
		"nothing":        {"claude-opus-4-5", price.Usage{}, "2026-11-02", price.Cost{Tier: "standard"}, false},
		"before its day": {"claude-opus-4-5", price.Usage{Input: 1}, "2025-11-23", price.Cost{}, true},
		"its first day":  {"claude-opus-4-5", price.Usage{Input: 1000}, "2025-11-24", price.Cost{Nanos: 5_000_000, Tier: "standard"}, false},
		"unknown":        {"gpt-9", price.Usage{Input: 1}, "2026-11-02", price.Cost{}, true},
		"at the threshold": {
			"claude-sonnet-4-5",
			price.Usage{Input: 100_000, CacheRead: 60_000, CacheWrite: 40_000, Request: true},
			"2026-11-02",
			price.Cost{Nanos: 300_000_000 + 18_000_000 + 150_000_000, Tier: "standard"},
			false,
		},
		"above it, all of it costs more": {
			"claude-sonnet-4-5",
			price.Usage{Input: 100_000, CacheRead: 60_000, CacheWrite: 40_001, Output: 1000, Request: true},
			"2026-11-02",
			price.Cost{Nanos: 600_000_000 + 36_000_000 + 300_007_500 + 22_500_000, Tier: "long_context"},
			false,
		},
		"above it in batch": {
			"claude-sonnet-4-5",
			price.Usage{Input: million, Tier: "batch", Request: true},
			"2026-11-02",
			price.Cost{Nanos: 3e9, Tier: "batch"},
			false,
		},
		"a counter has no size": {
			"claude-sonnet-4-5", price.Usage{Input: million}, "2026-11-02", price.Cost{Nanos: 3e9, Tier: "standard"}, false,
		},
		"last day of the surcharge": {
			"claude-opus-4-6", price.Usage{Input: million, Request: true}, "2026-03-12", price.Cost{Nanos: 10e9, Tier: "long_context"}, false,
		},
		"the day after": {
			"claude-opus-4-6", price.Usage{Input: million, Request: true}, "2026-03-13", price.Cost{Nanos: 5e9, Tier: "standard"}, false,
		},
		"negative": {"claude-opus-4-5", price.Usage{Input: -1}, "2026-11-02", price.Cost{}, true},
		"beyond":   {"claude-opus-4-6", price.Usage{Output: math.MaxInt64, Tier: "fast"}, "2026-11-02", price.Cost{}, true},
	} {
		got, ok := b.Cost(c.model, "anthropic", c.usage, date(c.at))
		if ok == c.none || ok && got != c.want {
			t.Errorf("%s: %+v, %v; want %+v, %v", name, got, ok, c.want, !c.none)
		}
	}
}

func TestCostRoundsHalfUp(t *testing.T) {
	b, err := price.ParseJSON([]byte(`{"version":"t","models":[{"name":"m","periods":[{"from":"2020-01-01","source":"x",
		"tiers":{"standard":{"input":"0.0005","output":"0.000499","cache_read":"0"}}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	// 500 pico-USD and 499 pico-USD per token
	for u, want := range map[price.Usage]int64{
		{Input: 1}: 1, {Input: 2}: 1, {Input: 3}: 2, {Output: 1}: 0, {Output: 3}: 1, {Input: 1, Output: 1}: 1, {CacheRead: 9}: 0,
	} {
		if got, ok := b.Cost("m", "", u, today); !ok || got.Nanos != want {
			t.Errorf("%+v costs %d (%v), want %d nano-USD", u, got.Nanos, ok, want)
		}
	}
	if _, ok := b.Cost("m", "", price.Usage{CacheWrite1h: 1}, today); ok {
		t.Error("a class without a rate has a price")
	}
}

// Against arithmetic of another kind.
func FuzzCost(f *testing.F) {
	b := price.Embedded()
	f.Add(int64(1), int64(2), int64(3), int64(4), int64(5))
	f.Add(int64(1e10), int64(1e10), int64(1e10), int64(1e10), int64(1e10))
	f.Add(int64(math.MaxInt64), int64(math.MaxInt64), int64(0), int64(0), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, in, read, w5, w1, out int64) {
		u := price.Usage{Input: in, CacheRead: read, CacheWrite5m: w5, CacheWrite1h: w1, Output: out}
		got, ok := b.Cost("claude-3-haiku", "", u, today)
		sum := new(big.Int)
		negative := false
		for _, c := range [][2]int64{{in, 250_000}, {read, 30_000}, {w5, 300_000}, {w1, 500_000}, {out, 1_250_000}} {
			negative = negative || c[0] < 0
			sum.Add(sum, new(big.Int).Mul(big.NewInt(c[0]), big.NewInt(c[1])))
		}
		sum.Add(sum, big.NewInt(500)).Div(sum, big.NewInt(1000))
		if want := !negative && sum.IsInt64(); ok != want || ok && got.Nanos != sum.Int64() {
			t.Errorf("%+v: %d %v, want %s %v", u, got.Nanos, ok, sum, want)
		}
	})
}

func TestProvidersHaveTheirOwnPrices(t *testing.T) {
	b, err := price.ParseJSON([]byte(`{"version":"t","models":[
		{"name":"m","periods":[{"from":"2020-01-01","source":"x","tiers":{"standard":{"input":1}}}]},
		{"name":"m","providers":["reseller"],"periods":[{"from":"2020-01-01","to":"2021-01-01","source":"x","tiers":{"standard":{"input":2}}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	cost := func(provider, at string) int64 {
		c, ok := b.Cost("m", provider, price.Usage{Input: 1e6}, date(at))
		if !ok {
			return -1
		}
		return c.Nanos
	}
	got := []int64{cost("", "2020-06-01"), cost("other", "2022-01-01"), cost("reseller", "2020-06-01"), cost("reseller", "2021-01-01")}
	if diff := cmp.Diff([]int64{1e9, 1e9, 2e9, -1}, got); diff != "" {
		t.Error(diff)
	}
}

func TestValidationReportsEverything(t *testing.T) {
	_, err := price.ParseJSON([]byte(`{"version":"a b","models":[
		{"name":"Upper","periods":[]},
		{"name":"a","aliases":["b"],"periods":[{"from":"2020-13-01","source":"","tiers":{}},{"from":"2020-01-01","to":"2019-01-01","source":"","tiers":{"standard":{"input":1},"flex":{"input":1}}}]},
		{"name":"b","periods":[
			{"from":"2020-01-01","source":"","tiers":{"standard":{"input":1,"long_context":{"threshold":0,"rates":{}}}}},
			{"from":"2021-01-01","source":"","tiers":{"standard":{}}}]},
		{"name":"b","periods":[{"from":"2020-01-01","source":"","tiers":{"standard":{"input":1}}}]}]}`))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`version "a b"`, `models[0] Upper: name "Upper"`, "models[0] Upper: periods: want at least one",
		`models[1] a: periods[0]: from: day "2020-13-01"`, "models[1] a: periods[0]: tiers: no standard",
		"models[1] a: periods[1]: to ", `tier "flex"`, `models[2] b: name "b" belongs to a`,
		"long_context: threshold 0", "long_context: rates", "periods[1]: overlaps", "periods[1]: tier standard: input: missing",
		"models[3] b: two entries without providers",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %s:\n%v", want, err)
		}
	}
	for _, bad := range []string{`{`, `{"version":"t","models":[],"x":1}`, `{} {}`, `{"version":"t","models":[{"name":"m","periods":[{"from":"2020-01-01","tiers":{"standard":{"input":"-1"}}}]}]}`} {
		if _, err := price.ParseJSON([]byte(bad)); err == nil {
			t.Errorf("%s is a price file", bad)
		}
	}
}

func TestUSD(t *testing.T) {
	for in, want := range map[string]string{
		"3.75": "3.75", "5": "5", "0.000001": "0.000001", "1000000": "1000000", "0": "0", "0.50": "0.5",
		"": "!", ".5": "!", "-1": "!", "1e3": "!", "1.0000001": "!", "1000000.000001": "!", "NaN": "!", "1,5": "!", "99999999999999999999": "!",
	} {
		var u price.USD
		got := "!"
		if err := u.UnmarshalText([]byte(in)); err == nil {
			got = u.String()
		}
		if got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
}

func TestOverride(t *testing.T) {
	over, err := price.ParseJSON([]byte(`{"version":"ours","models":[
		{"name":"claude-opus-4-5","aliases":["house-model"],"periods":[{"from":"2020-01-01","source":"contract","tiers":{"standard":{"input":4,"output":20}}}]},
		{"name":"local","periods":[{"from":"2020-01-01","source":"own machines","tiers":{"standard":{"input":0,"output":0}}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	b, err := price.Embedded().With(over)
	if err != nil {
		t.Fatal(err)
	}
	if b.Version() != price.Embedded().Version()+"-ours" {
		t.Errorf("version %q", b.Version())
	}
	for model, want := range map[string]int64{"claude-opus-4-5": 4e9, "local": 0, "claude-opus-4-6": 5e9} {
		if c, ok := b.Cost(model, "anthropic", price.Usage{Input: 1e6}, today); !ok || c.Nanos != want {
			t.Errorf("%s: %d %v, want %d", model, c.Nanos, ok, want)
		}
	}
	cloud, err := price.ParseJSON([]byte(`{"version":"cloud","models":[
		{"name":"claude-opus-4-6","providers":["aws.bedrock"],"periods":[{"from":"2020-01-01","source":"contract","tiers":{"standard":{"input":1}}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = b.With(cloud); err != nil {
		t.Fatal(err)
	}
	for provider, want := range map[string]int64{"anthropic": 5e9, "aws.bedrock": 1e9} {
		if c, ok := b.Cost("claude-opus-4-6", provider, price.Usage{Input: 1e6}, today); !ok || c.Nanos != want {
			t.Errorf("%s: %d %v, want %d", provider, c.Nanos, ok, want)
		}
	}
	if name, known := b.Canonical("house-model"); name != "claude-opus-4-5" || !known {
		t.Errorf("house-model is %q", name)
	}
}

func TestRows(t *testing.T) {
	rows := price.Embedded().Rows()
	seen := map[string]price.Row{}
	for _, r := range rows {
		key := strings.Join([]string{r.Model, r.Provider, r.Tier, r.TokenClass, r.From.Format(time.DateOnly)}, "|")
		if _, twice := seen[key]; twice {
			t.Errorf("%s twice", key)
		}
		seen[key] = r
		if r.PicoUSD <= 0 || r.From.IsZero() || r.Source == "" || r.Version == "" {
			t.Errorf("incomplete row %+v", r)
		}
	}
	got := seen["claude-sonnet-4-5||batch_long_context|output|2025-09-29"]
	if got.PicoUSD != 11_250_000 || !got.To.IsZero() {
		t.Errorf("batch above the threshold: %+v", got)
	}
	if got := seen["claude-opus-4-6||standard|input_uncached|2026-02-05"]; got.To != date("2026-03-13") {
		t.Errorf("first period: %+v", got)
	}
	var none *price.Book
	if none.Rows() != nil || none.Version() != "" {
		t.Error("the nil book has rows")
	}
}

// The multiples that the vendor publishes for caches and batches.
func TestEmbeddedBookIsConsistent(t *testing.T) {
	for _, r := range price.Embedded().Rows() {
		if name, known := price.Embedded().Canonical(r.Model); !known || name != r.Model {
			t.Errorf("%s is not its own canonical name", r.Model)
		}
	}
	for _, model := range []string{"claude-opus-4-6", "claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-5-5", "claude-fable-5-1"} {
		cost := func(u price.Usage) int64 {
			c, ok := price.Embedded().Cost(model, "", u, today)
			if !ok {
				t.Fatalf("%s: no price for %+v", model, u)
			}
			return c.Nanos
		}
		in := cost(price.Usage{Input: 1e5})
		if w5, w1 := cost(price.Usage{CacheWrite5m: 1e5}), cost(price.Usage{CacheWrite1h: 1e5}); 4*w5 != 5*in || w1 != 2*in {
			t.Errorf("%s: writes cost %d and %d, input %d", model, w5, w1, in)
		}
		if batch := cost(price.Usage{Input: 1e5, Tier: "batch"}); 2*batch != in {
			t.Errorf("%s: batch costs %d, input %d", model, batch, in)
		}
	}
}
