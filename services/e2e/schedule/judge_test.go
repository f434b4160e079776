package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	roles "github.com/goodhartlabs/goodhart/services/clickhouse"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/reconcile"
	"github.com/goodhartlabs/goodhart/services/simulate/truth"
)

// judge returns what is wrong with the outcome of a schedule: where Kafka holds
// something else than a calm run makes of the same log, and where ClickHouse
// holds something else than the input and the log add up to.
func (b *bench) judge(t *testing.T, out outcome) []string {
	t.Helper()
	c := calmRun(out.plan, out.wrote[schemas.TopicEvents])
	problems := c.compare(out.wrote)
	want := slices.Concat(b.planned(t, out.plan), accounts(t, out, c), scores(t, out.wrote))
	got := b.stored(t, out.plan.org.Tenant)
	b.weigh(want, got)
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		problems = append(problems, "ClickHouse (-want +got):\n"+diff)
	}
	return problems
}

// weigh counts events, and those that are missing or stored more than once.
func (b *bench) weigh(want, got []string) {
	ids := func(lines []string) (rows, distinct int64) {
		for _, line := range lines {
			if _, err := fmt.Sscanf(line, "ids %d %d", &rows, &distinct); err == nil {
				return rows, distinct
			}
		}
		return 0, 0
	}
	planned, _ := ids(want)
	rows, distinct := ids(got)
	b.totals.more(countEvents, planned)
	b.totals.more(countLost, planned-distinct)
	b.totals.more(countDouble, rows-distinct)
}

// planned is what must count, added up from the input.
func (b *bench) planned(t *testing.T, p *plan) (lines []string) {
	t.Helper()
	sum := truth.New(p.steps[len(p.steps)-1].End)
	for _, step := range p.steps {
		sum.Add(step)
	}
	dir := t.TempDir()
	if err := sum.Write(dir); err != nil {
		t.Fatal(err)
	}
	for what, name := range map[string]string{"usage": truth.UsageFile, "credit": truth.OutcomesFile, "total": truth.TotalsFile} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(raw)) {
			lines = append(lines, what+" "+strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "\t", " "))
		}
	}
	b.totals.more(phenomenon+"late", sum.Totals.Late)
	b.totals.more(phenomenon+"delayed", sum.Totals.Delayed)
	b.totals.more(phenomenon+"fast clock", sum.Totals.ClockSkew)
	b.totals.more(phenomenon+"merged", sum.Totals.Merged)
	b.totals.more(phenomenon+"reverted", sum.Totals.Reverted)
	b.totals.more(phenomenon+"rejected", sum.Totals.Rejected)
	return lines
}

// hour is what becomes of the records that a source sends in an hour.
type hour struct{ accepted, duplicate, stored, merged, dead int64 }

type hourKey struct {
	source string
	hour   int64
}

func hourOf(source string, ms int64) hourKey { return hourKey{source, ms - ms%3_600_000} }

// accounts is what every record of the log must have become, by source and hour
// of acceptance.
func accounts(t *testing.T, out outcome, c *calm) (lines []string) {
	t.Helper()
	hours := map[hourKey]*hour{}
	at := func(key hourKey) *hour {
		if hours[key] == nil {
			hours[key] = &hour{}
		}
		return hours[key]
	}
	seen := map[string]bool{}
	for _, rec := range out.wrote[schemas.TopicEvents] {
		var e goodhartv1.Event
		if err := e.UnmarshalVT(rec.Value); err != nil {
			t.Fatal(err)
		}
		if e.Kind == goodhartv1.EventKind_EVENT_KIND_TICK {
			continue
		}
		h := at(hourOf(e.Source, e.ReceivedMs))
		h.accepted++
		switch id := string(e.EventId); {
		case id == "":
			h.dead++
		case seen[id]:
			h.duplicate++
		default:
			seen[id] = true
		}
	}
	for _, entries := range c.facts {
		for _, en := range entries {
			var f goodhartv1.Fact
			if err := f.UnmarshalVT(en.rec.Value); err != nil {
				t.Fatal(err)
			}
			switch f.Kind {
			case goodhartv1.FactKind_FACT_KIND_USAGE, goodhartv1.FactKind_FACT_KIND_ACTIVITY, goodhartv1.FactKind_FACT_KIND_OUTCOME:
			default:
				continue
			}
			h := at(hourOf(f.Event.Source, f.Event.ReceivedMs))
			if f.Observational {
				h.merged++
			} else {
				h.stored++
			}
		}
	}
	var ids int64
	for key, h := range hours {
		lines = append(lines, fmt.Sprintf("hour %s %s accepted %d = duplicate %d + held 0 + stored %d + merged %d + dead %d",
			key.source, time.UnixMilli(key.hour).UTC().Format(time.DateTime), h.accepted, h.duplicate, h.stored, h.merged, h.dead))
		if h.accepted != h.duplicate+h.stored+h.merged+h.dead {
			t.Errorf("the calm run itself loses records: %s", lines[len(lines)-1])
		}
		ids += h.stored + h.merged
		out.struck[phenomenon+"duplicate"] += h.duplicate
		out.struck[phenomenon+"dead"] += h.dead
	}
	letters := map[string]int{}
	for _, rec := range out.wrote[schemas.TopicDead] {
		letters[stageOf(rec)]++
	}
	for stage, n := range letters {
		lines = append(lines, fmt.Sprintf("dead %s %d %d", stage, n, n))
	}
	return append(lines, fmt.Sprintf("ids %d %d %d", ids, ids, ids))
}

func stageOf(rec *kgo.Record) string {
	var l goodhartv1.DeadLetter
	if err := l.UnmarshalVT(rec.Value); err != nil {
		return "undecodable"
	}
	return strings.ToLower(strings.TrimPrefix(l.Stage.String(), "STAGE_"))
}

func fromFold(rec *kgo.Record) bool { return stageOf(rec) != "collector" }

// scores is what the newest revisions of the rolling figures add up to.
func scores(t *testing.T, w wrote) []string {
	t.Helper()
	type key struct{ ScopeKind, Scope, Window, End string }
	type figures struct {
		Kind      string          `json:"kind"`
		ScopeKind string          `json:"scope_kind"`
		Scope     string          `json:"scope"`
		Window    string          `json:"window"`
		End       json.RawMessage `json:"window_end"`
		Rev       int64           `json:"rev"`
		Records   int64           `json:"records"`
		Requests  int64           `json:"requests"`
		Cost      *int64          `json:"cost_nanos"`
	}
	newest := map[key]figures{}
	for _, rec := range w[schemas.TopicScores] {
		var f figures
		if err := json.Unmarshal(rec.Value, &f); err != nil {
			t.Fatal(err)
		}
		k := key{f.ScopeKind, f.Scope, f.Window, string(f.End)}
		if before, ok := newest[k]; f.Kind == "rolling" && (!ok || f.Rev > before.Rev) {
			newest[k] = f
		}
	}
	var rev, records, requests, cost int64
	for _, f := range newest {
		rev, records, requests = rev+f.Rev, records+f.Records, requests+f.Requests
		if f.Cost != nil {
			cost += *f.Cost
		}
	}
	return []string{fmt.Sprintf("scores %d %d %d %d %d", len(newest), rev, records, requests, cost)}
}

// sqlStored prints what a tenant's rows say, in the words of planned, accounts
// and scores.
const sqlStored = `
SELECT concat('usage ', toString(toDateTime(toStartOfHour(u.event_time), 'UTC')), ' ', u.team, ' ', u.model, ' ', arrayStringConcat(arrayMap(x -> toString(x), [
	toInt64(count()), toInt64(countIf(u.granularity = 'request')),
	ifNull(sum(u.input_uncached_tokens), 0), ifNull(sum(u.cache_read_tokens), 0),
	sum(ifNull(u.cache_write_tokens, 0) + ifNull(u.cache_write_5m_tokens, 0) + ifNull(u.cache_write_1h_tokens, 0)),
	ifNull(sum(u.output_tokens), 0), ifNull(sum(u.reasoning_tokens), 0), ifNull(sum(u.cost_nanos), 0)]), ' ')) AS line
FROM core.usage AS u WHERE u.tenant = {tenant:String} AND u.observational = 0 GROUP BY toStartOfHour(u.event_time), u.team, u.model
UNION ALL
SELECT concat('credit ', o.team, ' ', toString(o.object_day), ' ', toString(sum(toInt64(o.provisional_delta))), ' ', toString(sum(toInt64(o.final_delta))), ' ',
	toString(sum(toInt64(o.reverted_delta))))
FROM core.outcomes AS o WHERE o.tenant = {tenant:String} AND o.record = 'transition' GROUP BY o.team, o.object_day
UNION ALL
SELECT arrayJoin([
	concat('total activity ', toString(countIf(a.what = 'activity'))),
	concat('total clock_skew ', toString(countIf(a.skewed))),
	concat('total late ', toString(countIf(a.late = 1))),
	concat('total merged ', toString(countIf(a.what = 'usage' AND a.observational = 1))),
	concat('total outcomes_announced ', toString(countIf(a.what = 'outcome'))),
	concat('total usage ', toString(countIf(a.what = 'usage' AND a.observational = 0))),
	concat('ids ', toString(count()), ' ', toString(uniqExact(a.event_id)), ' ', toString(uniqExact(a.k_partition, a.k_offset)))])
FROM (
	SELECT 'usage' AS what, event_id, late, observational, has(quality, 'clock_skew') AS skewed, k_partition, k_offset FROM core.usage WHERE tenant = {tenant:String}
	UNION ALL SELECT 'activity', event_id, late, observational, has(quality, 'clock_skew'), k_partition, k_offset FROM core.activity WHERE tenant = {tenant:String}
	UNION ALL SELECT 'outcome', event_id, late, observational, has(quality, 'clock_skew'), k_partition, k_offset FROM core.outcomes
		WHERE tenant = {tenant:String} AND record = 'announced'
) AS a
UNION ALL
SELECT concat('hour ', q.source, ' ', toString(q.hour), ' accepted ', toString(sum(q.accepted)), ' = duplicate ', toString(sum(q.duplicate)), ' + held ', toString(sum(q.held)),
	' + stored ', toString(sum(q.stored)), ' + merged ', toString(sum(q.merged)), ' + dead ', toString(uniqExactMerge(q.dead)))
FROM core.quality_hour AS q WHERE q.tenant = {tenant:String} GROUP BY q.source, q.hour
HAVING sum(q.accepted) + sum(q.duplicate) + sum(q.held) + sum(q.stored) + sum(q.merged) + uniqExactMerge(q.dead) != 0
UNION ALL
SELECT concat('dead ', d.stage, ' ', toString(count()), ' ', toString(uniqExact(d.k_partition, d.k_offset)))
FROM core.dead AS d WHERE d.tenant = {tenant:String} GROUP BY d.stage
UNION ALL
SELECT concat('scores ', arrayStringConcat(arrayMap(x -> toString(x), [toInt64(count()), sum(s.r), sum(s.records), sum(s.requests), sum(s.cost)]), ' '))
FROM (
	SELECT toInt64(max(rev)) AS r, argMax(c.records, c.rev) AS records, argMax(c.requests, c.rev) AS requests, argMax(ifNull(c.cost_nanos, 0), c.rev) AS cost
	FROM core.scores AS c WHERE c.tenant = {tenant:String} GROUP BY c.scope_kind, c.scope, c.window, c.window_end
) AS s`

func (b *bench) stored(t *testing.T, tenant string) (lines []string) {
	t.Helper()
	ctx := clickhouse.Context(t.Context(), clickhouse.WithParameters(clickhouse.Parameters{"tenant": tenant}))
	rows, err := b.conn.Query(ctx, sqlStored)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}

// reconcile compares the rollups with the raw rows of all schedules so far, and
// names the seeds whose rows differ.
func (b *bench) reconcile(t *testing.T) {
	t.Helper()
	cfg := reconcile.Default()
	cfg.ClickHouse = roles.Config{DSN: b.dsn}
	cfg.Pause = 100 * time.Millisecond
	err := reconcile.Run(t.Context(), cfg, probe.New(discard()))
	if err == nil {
		return
	}
	t.Error(err)
	var m *reconcile.MismatchError
	if !errors.As(err, &m) {
		return
	}
	tenants := map[string]bool{}
	for _, d := range m.Differences {
		tenant, _, _ := strings.Cut(d.Key, "|")
		tenants[tenant] = true
	}
	for _, i := range m.Imbalances {
		tenants[i.Tenant] = true
	}
	for tenant := range tenants {
		t.Error("repeat with: " + command(strings.TrimPrefix(tenant, "seed-")))
	}
}

func command(seed string) string {
	return "go test ./services/e2e/schedule -run TestSchedules -seed " + seed
}
