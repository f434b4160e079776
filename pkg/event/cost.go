package event

import (
	"time"

	"github.com/goodhartlabs/goodhart/pkg/price"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// nameModel sets the canonical model: that of the response, else of the request.
func nameModel(u *goodhartv1.Usage, book *price.Book) (known bool) {
	u.RequestModel, u.ResponseModel = price.Clean(u.RequestModel), price.Clean(u.ResponseModel)
	raw := u.ResponseModel
	if raw == "" {
		raw = u.RequestModel
	}
	u.Model, known = book.Canonical(raw)
	return known
}

// setCost gives a usage its one cost and the basis of it, and what it costs at
// constant price where that is another.
func setCost(e *goodhartv1.Event, book *price.Book) {
	u := e.Usage
	asked := toPrice(u) // before the tier that was applied replaces the one asked for
	chooseCost(e, book)
	u.BaseCostNanos = nil
	if u.CostNanos == nil || !countsKnown(u) {
		return
	}
	if first, ok := book.FirstCost(u.Model, u.ProviderName, asked); ok && first.Nanos != *u.CostNanos {
		u.BaseCostNanos = &first.Nanos
	}
}

// chooseCost takes the cost, in this order: billed by the source, estimated by
// the book, reported by the source, unpriced.
func chooseCost(e *goodhartv1.Event, book *price.Book) {
	u := e.Usage
	known := nameModel(u, book)
	at := time.UnixMilli(e.TimeMs)
	if known {
		known = book.Has(u.Model, u.ProviderName, at)
	}
	if !known {
		Flag(e, goodhartv1.Quality_QUALITY_UNPRICED_MODEL)
	}
	if u.CostBasis == goodhartv1.CostBasis_COST_BASIS_BILLED && u.CostNanos != nil {
		return
	}
	u.CostNanos, u.CostBasis = nil, goodhartv1.CostBasis_COST_BASIS_UNSPECIFIED
	if known && repeatsCost(u) {
		return // the token records of the same requests carry the estimate
	}
	if known && countsKnown(u) {
		if cost, ok := book.Cost(u.Model, u.ProviderName, toPrice(u), at); ok {
			u.CostNanos, u.CostBasis = &cost.Nanos, goodhartv1.CostBasis_COST_BASIS_ESTIMATED
			u.PriceTier, u.PriceVersion = cost.Tier, book.Version()
			return
		}
	}
	if u.ReportedCostNanos != nil {
		nanos := *u.ReportedCostNanos
		u.CostNanos, u.CostBasis = &nanos, goodhartv1.CostBasis_COST_BASIS_REPORTED
		return
	}
	u.CostBasis = goodhartv1.CostBasis_COST_BASIS_UNPRICED
}

// repeatsCost reports whether the record is a counter of cost beside counters
// of tokens.
func repeatsCost(u *goodhartv1.Usage) bool {
	return u.Granularity == goodhartv1.Granularity_GRANULARITY_DELTA && u.ReportedCostNanos != nil && !hasTokens(u)
}

func hasTokens(u *goodhartv1.Usage) bool {
	return u.InputUncachedTokens != nil || u.CacheReadTokens != nil || u.CacheWrite_5MTokens != nil ||
		u.CacheWrite_1HTokens != nil || u.CacheWriteTokens != nil || u.OutputTokens != nil
}

// countsKnown reports whether the counts suffice for a price. A delta carries
// one class at a time; a request whose input or output is unknown has no known
// cost. Embeddings and reranking have no output.
func countsKnown(u *goodhartv1.Usage) bool {
	if u.Granularity == goodhartv1.Granularity_GRANULARITY_DELTA {
		return hasTokens(u)
	}
	noOutput := u.OperationName == "embeddings" || u.OperationName == "rerank"
	return u.InputUncachedTokens != nil && (u.OutputTokens != nil || noOutput)
}

func toPrice(u *goodhartv1.Usage) price.Usage {
	return price.Usage{
		Tier:         u.PriceTier,
		Request:      u.Granularity == goodhartv1.Granularity_GRANULARITY_REQUEST,
		Input:        u.GetInputUncachedTokens(),
		CacheRead:    u.GetCacheReadTokens(),
		CacheWrite5m: u.GetCacheWrite_5MTokens(),
		CacheWrite1h: u.GetCacheWrite_1HTokens(),
		CacheWrite:   u.GetCacheWriteTokens(),
		Output:       u.GetOutputTokens(),
	}
}
