// Package score turns what a scope did in a window into the figures that are
// published, and renders them as JSON. It is pure.
//
// Rolling figures and group sizes are integer arithmetic: a share is rounded from
// integers, never from a float, so the same totals give the same bytes on every
// machine. Efficiency compares what a unit achieved with what its peers achieve at
// the same spend: a Model learns from the past, and its Assess scores a window.
// Floats begin after the integer sums of blocks, and are summed in a fixed order.
//
// Unknown is never zero: a figure whose inputs are unknown is null.
package score

import goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"

// Totals is what a scope did in a pane or a window; every field adds up.
type Totals struct {
	// Requests are model requests, Records usage records of any granularity,
	// Errors requests that failed.
	Requests, Records, Errors int64
	// Disjoint token classes; ReasoningTokens is a part of OutputTokens.
	InputUncachedTokens, CacheReadTokens, CacheWriteTokens, OutputTokens, ReasoningTokens int64
	// CostNanos is in nano-USD, of the records that have a price.
	CostNanos int64
	// UnpricedRequests are usage records without a price, UnknownTokenRequests
	// requests without an input or an output count.
	UnpricedRequests, UnknownTokenRequests int64
	// Credits of outcome objects, net: a revert takes one back.
	OutcomesProvisional, OutcomesFinal, OutcomesReverted int64
	Activities                                           int64
	// CacheRecords and ReasoningRecords stated such a count.
	CacheRecords, ReasoningRecords int64
}

// Add adds o.
func (t *Totals) Add(o *Totals) {
	t.Requests += o.Requests
	t.Records += o.Records
	t.Errors += o.Errors
	t.InputUncachedTokens += o.InputUncachedTokens
	t.CacheReadTokens += o.CacheReadTokens
	t.CacheWriteTokens += o.CacheWriteTokens
	t.OutputTokens += o.OutputTokens
	t.ReasoningTokens += o.ReasoningTokens
	t.CostNanos += o.CostNanos
	t.UnpricedRequests += o.UnpricedRequests
	t.UnknownTokenRequests += o.UnknownTokenRequests
	t.OutcomesProvisional += o.OutcomesProvisional
	t.OutcomesFinal += o.OutcomesFinal
	t.OutcomesReverted += o.OutcomesReverted
	t.Activities += o.Activities
	t.CacheRecords += o.CacheRecords
	t.ReasoningRecords += o.ReasoningRecords
}

// FromCell returns the totals of a cell.
func FromCell(c *goodhartv1.Cell) Totals {
	return Totals{
		Requests:             c.GetRequests(),
		Records:              c.GetRecords(),
		Errors:               c.GetErrors(),
		InputUncachedTokens:  c.GetInputUncachedTokens(),
		CacheReadTokens:      c.GetCacheReadTokens(),
		CacheWriteTokens:     c.GetCacheWriteTokens(),
		OutputTokens:         c.GetOutputTokens(),
		ReasoningTokens:      c.GetReasoningTokens(),
		CostNanos:            c.GetCostNanos(),
		UnpricedRequests:     c.GetUnpricedRequests(),
		UnknownTokenRequests: c.GetUnknownTokenRequests(),
		OutcomesProvisional:  c.GetOutcomesProvisional(),
		OutcomesFinal:        c.GetOutcomesFinal(),
		OutcomesReverted:     c.GetOutcomesReverted(),
		Activities:           c.GetActivities(),
		CacheRecords:         c.GetCacheRecords(),
		ReasoningRecords:     c.GetReasoningRecords(),
	}
}

// Cell returns the totals as a cell without team, model and tool.
func (t *Totals) Cell() *goodhartv1.Cell {
	return &goodhartv1.Cell{
		Requests:             t.Requests,
		Records:              t.Records,
		Errors:               t.Errors,
		InputUncachedTokens:  t.InputUncachedTokens,
		CacheReadTokens:      t.CacheReadTokens,
		CacheWriteTokens:     t.CacheWriteTokens,
		OutputTokens:         t.OutputTokens,
		ReasoningTokens:      t.ReasoningTokens,
		CostNanos:            t.CostNanos,
		UnpricedRequests:     t.UnpricedRequests,
		UnknownTokenRequests: t.UnknownTokenRequests,
		OutcomesProvisional:  t.OutcomesProvisional,
		OutcomesFinal:        t.OutcomesFinal,
		OutcomesReverted:     t.OutcomesReverted,
		Activities:           t.Activities,
		CacheRecords:         t.CacheRecords,
		ReasoningRecords:     t.ReasoningRecords,
	}
}

// Tokens is the sum of the disjoint token classes.
func (t *Totals) Tokens() int64 {
	return t.InputUncachedTokens + t.CacheReadTokens + t.CacheWriteTokens + t.OutputTokens
}

// Outcomes is the verified outcomes of a window, reverts taken off.
func (t *Totals) Outcomes() int64 { return t.OutcomesProvisional + t.OutcomesFinal }
