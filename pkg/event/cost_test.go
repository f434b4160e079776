package event_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/price"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	unspecified = goodhartv1.CostBasis_COST_BASIS_UNSPECIFIED
	billed      = goodhartv1.CostBasis_COST_BASIS_BILLED
	reported    = goodhartv1.CostBasis_COST_BASIS_REPORTED
	estimated   = goodhartv1.CostBasis_COST_BASIS_ESTIMATED
	unpriced    = goodhartv1.CostBasis_COST_BASIS_UNPRICED
)

func TestCostHasOneBasis(t *testing.T) {
	delta := func(u *goodhartv1.Usage) {
		u.Granularity = goodhartv1.Granularity_GRANULARITY_DELTA
		u.InputUncachedTokens, u.OutputTokens = nil, nil
	}
	for name, c := range map[string]struct {
		change func(u *goodhartv1.Usage)
		basis  goodhartv1.CostBasis
		nanos  *int64
		person string
	}{
		// 100 × 5 + 10 × 25 micro-USD
		"priced": {func(*goodhartv1.Usage) {}, estimated, p[int64](750_000), ""},
		"priced although reported": {func(u *goodhartv1.Usage) {
			u.ReportedCostNanos = p[int64](7)
		}, estimated, p[int64](750_000), ""},
		"billed": {func(u *goodhartv1.Usage) {
			u.CostNanos, u.CostBasis = p[int64](42), billed
		}, billed, p[int64](42), ""},
		"billed, says a person": {func(u *goodhartv1.Usage) {
			u.CostNanos, u.CostBasis = p[int64](42), billed
		}, estimated, p[int64](750_000), "ada"},
		"a cost without basis is none": {func(u *goodhartv1.Usage) {
			u.CostNanos = p[int64](42)
		}, estimated, p[int64](750_000), ""},
		"unknown model": {func(u *goodhartv1.Usage) { u.RequestModel = "x-1" }, unpriced, nil, ""},
		"no model":      {func(u *goodhartv1.Usage) { u.RequestModel = "" }, unpriced, nil, ""},
		"unknown model, reported": {func(u *goodhartv1.Usage) {
			u.RequestModel, u.ReportedCostNanos = "x-1", p[int64](7)
		}, reported, p[int64](7), ""},
		"output unknown": {func(u *goodhartv1.Usage) { u.OutputTokens = nil }, unpriced, nil, ""},
		"output unknown, reported": {func(u *goodhartv1.Usage) {
			u.OutputTokens, u.ReportedCostNanos = nil, p[int64](7)
		}, reported, p[int64](7), ""},
		"embeddings have no output": {func(u *goodhartv1.Usage) {
			u.OutputTokens, u.OperationName = nil, "embeddings"
		}, estimated, p[int64](500_000), ""},
		"unknown tier": {func(u *goodhartv1.Usage) { u.PriceTier = "flex" }, unpriced, nil, ""},
		"batch":        {func(u *goodhartv1.Usage) { u.PriceTier = "batch" }, estimated, p[int64](375_000), ""},
		"token point": {func(u *goodhartv1.Usage) {
			delta(u)
			u.OutputTokens = p[int64](10)
		}, estimated, p[int64](250_000), ""},
		"cost point of a priced model": {func(u *goodhartv1.Usage) {
			delta(u)
			u.ReportedCostNanos = p[int64](7)
		}, unspecified, nil, ""},
		"cost point of an unpriced model": {func(u *goodhartv1.Usage) {
			delta(u)
			u.RequestModel, u.ReportedCostNanos = "x-1", p[int64](7)
		}, reported, p[int64](7), ""},
	} {
		d := usage(func(d *event.Draft) { c.change(d.Event.Usage) })
		cred := acme()
		cred.Person = c.person
		_, e := stamp(t, event.NewStamper(keys(), price.Embedded(), nil), d, cred)
		u := e.Usage
		if u.CostBasis != c.basis || (u.CostNanos == nil) != (c.nanos == nil) || c.nanos != nil && *u.CostNanos != *c.nanos {
			t.Errorf("%s: basis %v cost %v, want %v", name, u.CostBasis, u.CostNanos, c.basis)
		}
		if (u.PriceVersion != "") != (c.basis == estimated) {
			t.Errorf("%s: price version %q", name, u.PriceVersion)
		}
	}
}

// A usage says what it would have cost at the first price that is known of its
// model, where that is another: whatever its cost rests on.
func TestCostAtConstantPrice(t *testing.T) {
	rates := func(usd price.USD) map[string]price.Rates {
		r := price.Rates{Input: &usd, Output: &usd}
		long := r
		long.Input = new(2 * usd)
		r.Long = &price.LongContext{Threshold: 150, Rates: long}
		return map[string]price.Rates{price.TierStandard: r}
	}
	book, err := price.New(price.File{Version: "1", Models: []price.Model{{Name: "m", Periods: []price.Period{
		{From: "2020-02-01", Source: "x", Tiers: rates(4e6)}, // listed last first
		{From: "2020-01-01", To: "2020-02-01", Source: "x", Tiers: rates(10e6)},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change     func(u *goodhartv1.Usage)
		cost, base *int64
	}{
		"after a cut":        {func(*goodhartv1.Usage) {}, p[int64](440_000), p[int64](1_100_000)},
		"a long context":     {func(u *goodhartv1.Usage) { u.InputUncachedTokens = p[int64](200) }, p[int64](1_640_000), p[int64](4_100_000)},
		"billed at the same": {func(u *goodhartv1.Usage) { u.CostNanos, u.CostBasis = p[int64](1_100_000), billed }, p[int64](1_100_000), nil},
		"billed":             {func(u *goodhartv1.Usage) { u.CostNanos, u.CostBasis = p[int64](42), billed }, p[int64](42), p[int64](1_100_000)},
		"output unknown": {func(u *goodhartv1.Usage) {
			u.OutputTokens, u.ReportedCostNanos = nil, p[int64](7)
		}, p[int64](7), nil},
		"unpriced":           {func(u *goodhartv1.Usage) { u.RequestModel = "x" }, nil, nil},
		"what a source says": {func(u *goodhartv1.Usage) { u.RequestModel, u.BaseCostNanos = "x", p[int64](9) }, nil, nil},
	} {
		d := usage(func(d *event.Draft) {
			d.Event.Usage.RequestModel = "m"
			c.change(d.Event.Usage)
		})
		_, e := stamp(t, event.NewStamper(keys(), book, nil), d, acme())
		if diff := cmp.Diff([]*int64{c.cost, c.base}, []*int64{e.Usage.CostNanos, e.Usage.BaseCostNanos}); diff != "" {
			t.Errorf("%s: cost and cost at constant price (-want +got)\n%s", name, diff)
		}
	}
}

func TestModelNames(t *testing.T) {
	for in, want := range map[string][2]string{
		"claude-opus-4-5-20251101":                             {"claude-opus-4-5-20251101", "claude-opus-4-5"},
		"claude-opus-4-5[1m]":                                  {"claude-opus-4-5", "claude-opus-4-5"},
		"claude-opus-4-5@20251101":                             {"claude-opus-4-5-20251101", "claude-opus-4-5"},
		"us.anthropic.claude-opus-4-5-20251101-v1:0":           {"us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5"},
		"arn:aws:b/eu.anthropic.claude-opus-4-5-20251101-v1:0": {"eu.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5"},
		"My Model":        {event.Other, event.Other},
		"ada@example.com": {event.Other, event.Other},
		"Local/Coder-32b": {"Local/Coder-32b", "coder-32b"},
		"":                {"", price.Unknown},
	} {
		d := usage(func(d *event.Draft) { d.Event.Usage.RequestModel = in })
		_, e := stamp(t, event.NewStamper(keys(), price.Embedded(), nil), d, acme())
		if got := [2]string{e.Usage.RequestModel, e.Usage.Model}; got != want {
			t.Errorf("model %q became %q, want %q", in, got, want)
		}
	}
}
