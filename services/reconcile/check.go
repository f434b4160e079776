package reconcile

import (
	"fmt"
	"strings"
)

// check says how a rollup follows from raw: written by hand, not read from the
// materialized views, so that a wrong view is found as well.
type check struct {
	// table is the rollup, in core.
	table string
	// bucket is its time column.
	bucket string
	// keys are its other key columns.
	keys []string
	// metrics are the columns compared; each is additive and may be NULL.
	metrics []string
	// merge holds expressions for metrics that a plain sum does not read.
	merge map[string]string
	// raw lists the sources; what they say of a key adds up.
	raw []rawSide
}

// rawSide selects from one raw table: keys, bucket and metrics by name. A metric
// it does not name is NULL.
type rawSide struct {
	from    string
	bucket  string
	keys    map[string]string
	metrics map[string]string
}

const cacheWriteTokens = "if(isNull(r.cache_write_5m_tokens) AND isNull(r.cache_write_1h_tokens) AND isNull(r.cache_write_tokens), NULL, " +
	"ifNull(r.cache_write_5m_tokens, 0) + ifNull(r.cache_write_1h_tokens, 0) + ifNull(r.cache_write_tokens, 0))"

// checks lists the rollups.
func checks() []check {
	return []check{
		usage("usage_minute", "minute", "toStartOfMinute(toDateTime(r.event_time, 'UTC'))", minuteMetrics()),
		usage("usage_hour", "hour", "toStartOfHour(toDateTime(r.event_time, 'UTC'))", usageMetrics()),
		usage("usage_day", "day", "toDateTime(toDate(r.event_time, 'UTC'), 'UTC')", usageMetrics()),
		outcomes(),
		quality(),
	}
}

func usage(table, bucket, start string, metrics []string) check {
	known := map[string]string{
		"requests":               "toInt64(countIf(r.granularity = 'request'))",
		"records":                "toInt64(count())",
		"errors":                 "toInt64(countIf(r.granularity = 'request' AND r.status = 'error'))",
		"late":                   "toInt64(countIf(r.late != 0))",
		"input_uncached_tokens":  "sum(r.input_uncached_tokens)",
		"cache_read_tokens":      "sum(r.cache_read_tokens)",
		"cache_write_tokens":     "sum(" + cacheWriteTokens + ")",
		"output_tokens":          "sum(r.output_tokens)",
		"reasoning_tokens":       "sum(r.reasoning_tokens)",
		"cost_nanos":             "sum(r.cost_nanos)",
		"cost_billed_nanos":      "sumOrNullIf(r.cost_nanos, r.cost_basis = 'billed')",
		"cost_reported_nanos":    "sumOrNullIf(r.cost_nanos, r.cost_basis = 'reported')",
		"cost_estimated_nanos":   "sumOrNullIf(r.cost_nanos, r.cost_basis = 'estimated')",
		"source_cost_nanos":      "sum(r.reported_cost_nanos)",
		"unpriced_requests":      "toInt64(countIf(r.granularity = 'request' AND r.cost_basis = 'unpriced'))",
		"unpriced_records":       "toInt64(countIf(r.cost_basis = 'unpriced'))",
		"unknown_token_requests": "toInt64(countIf(r.granularity = 'request' AND NOT (isNotNull(r.input_uncached_tokens) AND isNotNull(r.output_tokens))))",
	}
	side := rawSide{
		from: "core.usage AS r WHERE r.observational = 0", bucket: start, metrics: map[string]string{},
		keys: map[string]string{
			"tenant": "r.tenant", "team": "r.team", "model": "if(r.model = 'unknown', '', r.model)",
			"provider": "r.provider", "tool": "r.tool", "source": "r.source",
		},
	}
	for _, m := range metrics {
		side.metrics[m] = known[m]
	}
	return check{
		table: table, bucket: bucket, metrics: metrics,
		keys: []string{"tenant", "team", "model", "provider", "tool", "source"}, raw: []rawSide{side},
	}
}

func minuteMetrics() []string {
	return []string{
		"records", "requests", "errors", "input_uncached_tokens", "cache_read_tokens", "cache_write_tokens",
		"output_tokens", "cost_nanos", "unpriced_records",
	}
}

func usageMetrics() []string {
	return append(minuteMetrics(), "late", "reasoning_tokens", "cost_billed_nanos", "cost_reported_nanos", "cost_estimated_nanos",
		"source_cost_nanos", "unpriced_requests", "unknown_token_requests")
}

func outcomes() check {
	return check{
		table: "outcomes_day", bucket: "day",
		keys:    []string{"tenant", "team", "kind", "repository_class"},
		metrics: []string{"provisional", "final", "reverted", "value_millipoints", "verified", "claimed", "transitions"},
		raw: []rawSide{
			{
				from: "core.outcomes AS r WHERE r.observational = 0", bucket: "toDateTime(r.object_day, 'UTC')",
				keys: map[string]string{"tenant": "r.tenant", "team": "r.team", "kind": "r.kind", "repository_class": "r.repository_class"},
				metrics: map[string]string{
					"provisional":       "sum(toInt64(r.provisional_delta))",
					"final":             "sum(toInt64(r.final_delta))",
					"reverted":          "sum(toInt64(r.reverted_delta))",
					"value_millipoints": "sumOrNullIf(r.value_millipoints * (toInt64(r.provisional_delta) + toInt64(r.final_delta)), r.record = 'transition')",
					"verified":          "nullIf(toInt64(countIf(r.record = 'announced')), 0)",
					"transitions":       "toInt64(countIf(r.record = 'transition'))",
				},
			},
			{
				from:   "core.activity AS r WHERE r.observational = 0 AND match(r.name, '(pull_request|commit)[.]count$')",
				bucket: "toDateTime(toDate(r.event_time, 'UTC'), 'UTC')",
				keys: map[string]string{
					"tenant": "r.tenant", "team": "r.team", "repository_class": "''",
					"kind": "if(match(r.name, 'pull_request[.]count$'), 'pr_opened', 'commit_landed')",
				},
				metrics: map[string]string{
					"provisional": "toInt64(0)", "final": "toInt64(0)", "reverted": "toInt64(0)", "transitions": "toInt64(0)",
					"claimed": "sum(accurateCastOrNull(arraySum(mapValues(r.numbers)), 'Int64'))",
				},
			},
		},
	}
}

func quality() check {
	c := check{
		table: "quality_hour", bucket: "hour",
		keys:    []string{"tenant", "source"},
		metrics: []string{"stored", "merged", "late", "accepted", "duplicate", "held", "rejected", "dead"},
		merge:   map[string]string{"dead": "toInt64(uniqExactMerge(t.dead))"},
	}
	keys := map[string]string{"tenant": "r.tenant", "source": "r.source"}
	for _, table := range []string{"usage", "activity", "outcomes"} {
		from := "core." + table + " AS r WHERE "
		if table == "outcomes" {
			from += "r.record = 'announced'"
		} else {
			from += "1"
		}
		c.raw = append(c.raw, rawSide{
			from: from, bucket: "toStartOfHour(toDateTime(r.received_at, 'UTC'))", keys: keys,
			metrics: map[string]string{
				"stored": "toInt64(countIf(r.observational = 0))",
				"merged": "toInt64(countIf(r.observational != 0))",
				"late":   "toInt64(countIf(r.observational = 0 AND r.late != 0))",
			},
		})
	}
	tallies := rawSide{from: "core.tallies AS r WHERE 1", bucket: "r.hour", keys: keys, metrics: map[string]string{}}
	for _, m := range []string{"accepted", "duplicate", "held", "rejected"} {
		tallies.metrics[m] = "sum(r." + m + ")"
	}
	dead := rawSide{
		from: "core.dead AS r WHERE r.stage IN ('ledger', 'sink') AND r.topic IN ('goodhart.events.v1', 'goodhart.facts.v1')", bucket: "toStartOfHour(toDateTime(r.event_time, 'UTC'))", keys: keys,
		metrics: map[string]string{"dead": "toInt64(uniqExact(r.topic, r.partition, r.offset))"},
	}
	for _, side := range []*rawSide{&c.raw[0], &c.raw[1], &c.raw[2], &tallies, &dead} {
		for _, m := range c.metrics {
			if side.metrics[m] == "" {
				side.metrics[m] = "toInt64(0)"
			}
		}
	}
	c.raw = append(c.raw, tallies, dead)
	return c
}

// query returns the statement that finds the keys of one month, from {from} on,
// whose metrics differ between raw and the rollup (or a rebuilt copy of it). Its
// columns: bucket, keys as text, raw metrics, rollup metrics.
func (c check) query(rollup string) string {
	var sides []string
	for _, r := range c.raw {
		sides = append(sides, c.side("0", r.from, r.bucket, func(k string) string { return r.keys[k] }, func(m string) string {
			if e := r.metrics[m]; e != "" {
				return e
			}
			return "NULL"
		}))
	}
	sides = append(sides, c.side("1", rollup+" AS t WHERE 1", "toDateTime(t."+c.bucket+", 'UTC')",
		func(k string) string { return "ifNull(t." + k + ", '')" }, func(m string) string {
			if e := c.merge[m]; e != "" {
				return e
			}
			return "sum(t." + m + ")"
		}))
	// The sources of a key add up: NULL and a number make the number.
	totals := make([]string, 0, 2*len(c.metrics))
	for _, side := range []string{"0", "1"} {
		for i := range c.metrics {
			totals = append(totals, fmt.Sprintf("sumOrNullIf(tupleElement(s.m, %d), s.side = %s)", i+1, side))
		}
	}
	half := len(c.metrics)
	return fmt.Sprintf(`SELECT d.bucket, d.k, d.raw, d.rollup FROM
(
    SELECT s.bucket AS bucket, s.k AS k, [%s] AS raw, [%s] AS rollup
    FROM (%s) AS s
    GROUP BY bucket, k
) AS d
WHERE toString(d.raw) != toString(d.rollup)
ORDER BY d.bucket, d.k LIMIT 10000`,
		strings.Join(totals[:half], ", "), strings.Join(totals[half:], ", "), strings.Join(sides, "\nUNION ALL\n"))
}

func (c check) side(number, from, bucket string, key, metric func(string) string) string {
	keys := make([]string, len(c.keys))
	for i, k := range c.keys {
		keys[i] = "toString(" + key(k) + ")"
	}
	metrics := make([]string, len(c.metrics))
	for i, m := range c.metrics {
		metrics[i] = "CAST(" + metric(m) + " AS Nullable(Int64))"
	}
	return fmt.Sprintf(`SELECT %s AS side, %s AS bucket, [%s] AS k, tuple(%s) AS m
FROM %s AND bucket >= toDateTime({from:Int64}, 'UTC') AND toYYYYMM(bucket) = {month:UInt32}
GROUP BY bucket, k`, number, bucket, strings.Join(keys, ", "), strings.Join(metrics, ", "), from)
}
