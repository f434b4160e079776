package price

import (
	"math/bits"
	"slices"
	"time"
)

// Usage is what is to be priced. Counts are tokens, not negative, in disjoint
// classes.
type Usage struct {
	// Tier is the tier the source names; empty: standard.
	Tier string
	// Request says that the counts are those of one request, so that its size
	// can decide about long-context prices.
	Request bool

	Input        int64 // uncached
	CacheRead    int64
	CacheWrite5m int64
	CacheWrite1h int64
	CacheWrite   int64 // time to live unknown: priced as 5 minutes
	Output       int64
}

// Cost is a price found.
type Cost struct {
	// Nanos is nano-USD, rounded half up.
	Nanos int64
	// Tier is what was applied: standard, batch, priority, fast or, above the
	// threshold of a standard request, long_context.
	Tier string
}

// Cost prices usage of a canonical model (see Canonical) at a time. It reports
// false if the book has no price for that model, provider, day, tier or for one
// of the classes used: then the cost is unknown, not zero.
func (b *Book) Cost(model, provider string, u Usage, at time.Time) (Cost, bool) {
	p := b.find(model, provider, at.UnixMilli())
	if p == nil {
		return Cost{}, false
	}
	return p.cost(u)
}

// FirstCost prices usage of a canonical model at the first prices that the book
// knows of it and that price the usage, whenever it was: at constant price.
func (b *Book) FirstCost(model, provider string, u Usage) (Cost, bool) {
	e := b.entry(model, provider)
	if e == nil {
		return Cost{}, false
	}
	for i := range e.periods {
		if cost, ok := e.periods[i].cost(u); ok {
			return cost, true
		}
	}
	return Cost{}, false
}

func (p *period) cost(u Usage) (Cost, bool) {
	tier := u.Tier
	if tier == "" {
		tier = TierStandard
	}
	rates, ok := p.tiers[tier]
	if !ok {
		return Cost{}, false
	}
	if long := rates.Long; long != nil && u.Request && u.prompt() > long.Threshold {
		rates = long.Rates
		if tier == TierStandard {
			tier = TierLongContext
		}
	}
	nanos, ok := rates.cost(u)
	return Cost{Nanos: nanos, Tier: tier}, ok
}

// Has reports whether the book prices a canonical model at a time.
func (b *Book) Has(model, provider string, at time.Time) bool {
	return b.find(model, provider, at.UnixMilli()) != nil
}

func (b *Book) find(model, provider string, at int64) *period {
	e := b.entry(model, provider)
	if e == nil {
		return nil
	}
	for i := range e.periods {
		if p := &e.periods[i]; p.from <= at && at < p.to {
			return p
		}
	}
	return nil
}

// entry returns the prices of a model that hold for a provider.
func (b *Book) entry(model, provider string) *entry {
	if b == nil {
		return nil
	}
	for i := range b.entries[model] {
		if e := &b.entries[model][i]; len(e.providers) == 0 || slices.Contains(e.providers, provider) {
			return e
		}
	}
	return nil
}

func (u Usage) prompt() int64 {
	return u.Input + u.CacheRead + u.CacheWrite5m + u.CacheWrite1h + u.CacheWrite
}

// cost sums tokens times rate in 128 bits and rounds once.
func (r Rates) cost(u Usage) (int64, bool) {
	var hi, lo uint64 // pico-USD
	for _, c := range [...]struct {
		tokens int64
		rate   *USD
	}{
		{u.Input, r.Input},
		{u.CacheRead, r.CacheRead},
		{u.CacheWrite5m, r.CacheWrite5m},
		{u.CacheWrite1h, r.CacheWrite1h},
		{u.CacheWrite, r.CacheWrite5m},
		{u.Output, r.Output},
	} {
		if c.tokens == 0 {
			continue
		}
		if c.tokens < 0 || c.rate == nil {
			return 0, false
		}
		h, l := bits.Mul64(uint64(c.tokens), uint64(*c.rate))
		var carry uint64
		lo, carry = bits.Add64(lo, l, 0)
		hi, _ = bits.Add64(hi, h, carry)
	}
	const picoPerNano = 1000
	lo, carry := bits.Add64(lo, picoPerNano/2, 0)
	hi += carry
	if hi >= picoPerNano {
		return 0, false
	}
	nanos, _ := bits.Div64(hi, lo, picoPerNano)
	if nanos > 1<<63-1 {
		return 0, false
	}
	return int64(nanos), true
}

// Row is one rate of the book, for publication.
type Row struct {
	Model string
	// Provider is empty where the rate holds for all without their own.
	Provider string
	// Tier is a name of Period.Tiers, or long_context; batch requests above the
	// threshold are batch_long_context, and so on.
	Tier string
	// TokenClass is input_uncached, cache_read, cache_write_5m, cache_write_1h
	// or output.
	TokenClass string
	// From and To bound the validity, To exclusive; zero: still valid.
	From, To time.Time
	// PicoUSD is pico-USD per token: millionths of a dollar per million tokens.
	PicoUSD int64
	Source  string
	Version string
}

// Rows lists every rate, ordered by the file, then tier, then class.
func (b *Book) Rows() []Row {
	if b == nil {
		return nil
	}
	var rows []Row
	for _, m := range b.file.Models {
		providers := m.Providers
		if len(providers) == 0 {
			providers = []string{""}
		}
		for _, provider := range providers {
			for _, p := range m.Periods {
				rows = append(rows, p.rows(Row{Model: m.Name, Provider: provider, Source: p.Source, Version: b.version})...)
			}
		}
	}
	return rows
}

func (p Period) rows(base Row) []Row {
	base.From, _ = time.Parse(time.DateOnly, p.From) // New checked both
	if p.To != "" {
		base.To, _ = time.Parse(time.DateOnly, p.To)
	}
	var rows []Row
	for _, tier := range []string{TierStandard, TierBatch, TierPriority, TierFast} {
		r, ok := p.Tiers[tier]
		if !ok {
			continue
		}
		base.Tier = tier
		rows = append(rows, r.rows(base)...)
		if r.Long == nil {
			continue
		}
		base.Tier = TierLongContext
		if tier != TierStandard {
			base.Tier = tier + "_" + TierLongContext
		}
		rows = append(rows, r.Long.Rates.rows(base)...)
	}
	return rows
}

func (r Rates) rows(base Row) []Row {
	var rows []Row
	for _, c := range []struct {
		class string
		rate  *USD
	}{
		{"input_uncached", r.Input},
		{"cache_read", r.CacheRead},
		{"cache_write_5m", r.CacheWrite5m},
		{"cache_write_1h", r.CacheWrite1h},
		{"output", r.Output},
	} {
		if c.rate == nil {
			continue
		}
		base.TokenClass, base.PicoUSD = c.class, int64(*c.rate)
		rows = append(rows, base)
	}
	return rows
}
