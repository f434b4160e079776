package sink

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/subject"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// A person of the organisation below uses the same every working day of every
// week: whoever takes differences between weeks has nothing but who came and went.
type member struct {
	number int
	team   string
	// weeks in which they are there.
	weeks [3]bool
	// tokens a day; a token costs a thousand nano-USD.
	tokens int64
}

// organisation has teams that may be shown and teams that may not: a and b are
// large, d is tiny; c is one below k until somebody joins in the second week, and e
// is from then on, until the third; f is dominated by one person in the first two.
func organisation() []member {
	var all []member
	always := [3]bool{true, true, true}
	add := func(team string, n int, weeks [3]bool) {
		for range n {
			// Units differ in their lower digits, so that no two sets of people
			// that matter have the same sum.
			all = append(all, member{number: len(all), team: team, weeks: weeks, tokens: 1_000_000 + 7919*int64(len(all)+1)})
		}
	}
	add("a", 14, always)
	add("b", 12, always)
	add("c", 9, always)
	add("c", 1, [3]bool{false, true, true}) // joins
	add("d", 3, always)
	add("e", 9, always)
	add("e", 1, [3]bool{true, false, true}) // leaves, and comes back
	add("f", 10, always)
	add("f", 1, [3]bool{true, true, false})
	all[len(all)-1].tokens *= 17
	return all
}

// attackBed is the organisation's three weeks in a database: the facts and all that
// the subject and the tenant fold make of them, through the sink.
type attackBed struct {
	*bed
	people []member
	monday int64
	// secrets are sums that nobody may learn, by their tokens and by the points of
	// their outcomes.
	secrets, points map[int64]string
}

func newAttackBed(t *testing.T) *attackBed {
	t.Helper()
	b := &attackBed{bed: newBed(t), people: organisation(), secrets: map[int64]string{}, points: map[int64]string{}}
	b.monday = window.WeekStart(time.Now().UnixMilli()) - 6*window.Week // no retention comes near
	facts := b.facts()
	values := make([][]byte, len(facts))
	for i, f := range facts {
		values[i] = bytesOf(t, f)
	}
	b.produce(schemas.TopicFacts, schemas.Partition([]byte("acme"), 2), values...)
	// The newest record of each kind in scores.v1: merges may leave fewer rows.
	offset, newest := uint64(0), map[string]uint64{}
	for _, o := range b.fold(facts) {
		b.produce(o.Topic, 0, o.Body())
		if o.Topic != schemas.TopicScores {
			continue
		}
		for kind, table := range map[string]string{"rolling": "scores", "group_size": "group_size", "efficiency": "efficiency"} {
			if strings.HasPrefix(string(o.Body()), `{"kind":"`+kind+`"`) {
				newest[table] = offset
			}
		}
		offset++
	}
	b.start()
	b.until("usage", uint64(len(facts)*5/6))
	b.until("outcomes", uint64(len(facts)/6))
	for table, at := range newest {
		b.until(fmt.Sprintf("%s WHERE k_offset = %d", table, at), 1)
	}
	b.learn()
	return b
}

// facts are five days of usage and one outcome of each person and week, in order.
func (b *attackBed) facts() []*goodhartv1.Fact {
	var all []*goodhartv1.Fact
	for week := range int64(3) {
		for day := range int64(5) {
			for _, p := range b.people {
				if !p.weeks[week] {
					continue
				}
				at := b.monday + week*window.Week + day*window.Day + 12*window.Hour
				id := binary.BigEndian.AppendUint64(nil, uint64(p.number))
				id = binary.BigEndian.AppendUint64(id, uint64(at))
				subject := fmt.Sprintf("p_%032x", p.number)
				all = append(all, &goodhartv1.Fact{
					W: at, Kind: goodhartv1.FactKind_FACT_KIND_USAGE, AcceptedMs: at,
					Event: &goodhartv1.Event{
						Kind: goodhartv1.EventKind_EVENT_KIND_USAGE, Tenant: "acme", Source: "claude-code", Team: p.team, Tool: "claude-code", Subject: subject,
						EventId: id, RequestKey: id, TimeMs: at, ReceivedMs: at, IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN,
						Usage: &goodhartv1.Usage{
							Model: "m", OutputTokens: ptr(p.tokens), CostNanos: ptr(1000 * p.tokens), CostBasis: goodhartv1.CostBasis_COST_BASIS_ESTIMATED,
							Granularity: goodhartv1.Granularity_GRANULARITY_REQUEST, Status: goodhartv1.Status_STATUS_OK,
						},
					},
				})
				if day == 4 {
					all = append(all, &goodhartv1.Fact{
						W: at, Kind: goodhartv1.FactKind_FACT_KIND_TRANSITION, AcceptedMs: at,
						Transition: &goodhartv1.Transition{
							Kind: goodhartv1.TransitionKind_TRANSITION_KIND_MERGED, Outcome: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, Tenant: "acme",
							Object: string(id), Subject: subject, Team: p.team, Source: "github", ObjectDayMs: at - at%window.Day, TimeMs: at, TransitionId: id,
							ProvisionalDelta: 1, ValueMillipoints: ptr(p.tokens), IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN,
						},
					})
				}
			}
		}
	}
	return all
}

// fold runs the facts through the two folds behind the ledger.
func (b *attackBed) fold(facts []*goodhartv1.Fact) []machine.Output {
	var features []machine.Record
	subjects := subject.New(subject.Config{Partitions: 1})
	last := int64(math.MinInt64)
	push := func(w int64, key, value []byte) {
		features = append(features, machine.Record{Position: machine.Position{W: w, Seq: uint64(len(features))}, Key: key, Value: value})
	}
	end := &goodhartv1.Fact{W: b.monday + 5*window.Week, Kind: goodhartv1.FactKind_FACT_KIND_WATERMARK}
	for i, f := range append(facts, end) {
		var out machine.Outputs
		subjects.Step(&machine.Record{
			Position: machine.Position{W: f.W, Seq: uint64(i)}, Key: []byte("acme|" + f.GetEvent().GetSubject() + f.GetTransition().GetSubject()), Value: bytesOf(b.tb, f),
		}, &out)
		for _, o := range out.Records() {
			push(o.W, o.Key, o.Stamped(0, uint64(len(features)), true))
		}
		if w := subjects.W(); w > last {
			last = w
			mark, err := (&goodhartv1.Feature{W: w, Kind: goodhartv1.FeatureKind_FEATURE_KIND_WATERMARK}).MarshalVT()
			if err != nil {
				b.tb.Fatal(err)
			}
			push(w, nil, mark)
		}
	}
	var told []machine.Output
	f := tenant.New(tenant.Default())
	for i := range features {
		var out machine.Outputs
		f.Step(&features[i], &out)
		told = append(told, out.Records()...)
	}
	return told
}

// learn writes down what must stay hidden: each person's day and week, and of each
// team that may not be shown in a week the sum of its first and last days.
func (b *attackBed) learn() {
	hidden := [3]map[string]bool{{"c": true, "d": true, "f": true}, {"d": true, "e": true, "f": true}, {"d": true}}
	for week := range 3 {
		day := map[string]int64{}
		for _, p := range b.people {
			if !p.weeks[week] {
				continue
			}
			day[p.team] += p.tokens
			for n := int64(1); n <= 5; n++ {
				b.secrets[n*p.tokens] = fmt.Sprintf("%d days of person %d of %s", n, p.number, p.team)
			}
			b.points[p.tokens] = fmt.Sprintf("person %d of %s", p.number, p.team)
		}
		for team := range hidden[week] {
			for n := int64(1); n <= 5; n++ {
				b.secrets[n*day[team]] = fmt.Sprintf("%d days of %s in week %d", n, team, week)
			}
			b.points[day[team]] = fmt.Sprintf("%s in week %d", team, week)
		}
	}
}

// attacks are queries on the public views, each with rows of one number: tokens or
// thousandths of points that somebody who may query all views can work out. {n} is
// the Monday of week n.
var attacks = map[string]string{
	"named teams":                                 `SELECT sum(output_tokens) FROM goodhart.usage_daily WHERE team != '(small groups)' GROUP BY team, toMonday(day)`,
	"named teams by the hour":                     `SELECT sum(output_tokens) FROM goodhart.usage_hourly WHERE team != '(small groups)' GROUP BY team, toMonday(hour)`,
	"the tenant less its teams":                   `SELECT sum(output_tokens) - sumIf(output_tokens, team != '(small groups)') FROM goodhart.usage_daily GROUP BY toMonday(day)`,
	"the tenant less its teams, by day and model": `SELECT sum(output_tokens) - sumIf(output_tokens, team != '(small groups)') FROM goodhart.usage_daily GROUP BY day, model`,
	"the tenant's window less its teams'": `SELECT toInt64((anyIf(cost_usd, scope_kind = 'tenant') - sumIf(cost_usd, scope_kind = 'team')) * 1000000)
		FROM goodhart.efficiency WHERE window = '7d' AND as_of IN ('{1}', '{2}', '{3}') GROUP BY as_of`,
	"the model's window less the teams'": `SELECT toInt64((anyIf(cost_usd, scope_kind = 'model') - sumIf(cost_usd, scope_kind = 'team')) * 1000000)
		FROM goodhart.efficiency WHERE window = '7d' AND as_of IN ('{1}', '{2}', '{3}') GROUP BY as_of`,
	// A window that reaches into a week less what is shown of the other week.
	"a window less the days that are shown": `SELECT toInt64(e.cost_usd * 1000000) - ifNull(u.tokens, 0) FROM
		(SELECT * FROM goodhart.efficiency WHERE scope_kind = 'team' AND window = '7d') AS e
		CROSS JOIN (SELECT DISTINCT as_of AS until FROM goodhart.efficiency) AS x
		LEFT JOIN (SELECT team, day, sum(sum(output_tokens)) OVER (PARTITION BY team ORDER BY day) AS tokens
			FROM goodhart.usage_daily GROUP BY team, day) AS u ON u.team = e.team AND u.day = x.until
		WHERE x.until BETWEEN e.as_of - 7 AND e.as_of`,
	"a window less the one of the day before": `SELECT toInt64((cost_usd - lagInFrame(cost_usd) OVER w) * 1000000)
		FROM goodhart.efficiency WHERE scope_kind = 'team' WINDOW w AS (PARTITION BY scope, window ORDER BY as_of)`,
	"a week less the one before": `SELECT tokens - lagInFrame(tokens) OVER (PARTITION BY team ORDER BY week) FROM
		(SELECT team, toMonday(day) AS week, sum(output_tokens) AS tokens FROM goodhart.usage_daily GROUP BY team, week)`,
	// Who joins: a team that is shown from this week on less what was left over the
	// week before; who leaves: the other way round.
	"a team less the rest of another week": `SELECT abs(t.tokens - r.tokens) FROM
		(SELECT team, toMonday(day) AS week, sum(output_tokens) AS tokens FROM goodhart.usage_daily WHERE team != '(small groups)' GROUP BY team, week) AS t
		CROSS JOIN (SELECT toMonday(day) AS week, sum(output_tokens) AS tokens FROM goodhart.usage_daily WHERE team = '(small groups)' GROUP BY week) AS r
		WHERE abs(t.week - r.week) = 7`,
	"the rest of a week less that of another": `SELECT abs(t.tokens - r.tokens) FROM
		(SELECT toMonday(day) AS week, sum(output_tokens) AS tokens FROM goodhart.usage_daily WHERE team = '(small groups)' GROUP BY week) AS t
		CROSS JOIN (SELECT toMonday(day) AS week, sum(output_tokens) AS tokens FROM goodhart.usage_daily WHERE team = '(small groups)' GROUP BY week) AS r
		WHERE t.week != r.week`,
}

// outcomeAttacks are the same on points.
var outcomeAttacks = map[string]string{
	"named teams":               `SELECT sum(value_points) FROM goodhart.outcomes_daily WHERE team != '(small groups)' GROUP BY team, toMonday(day)`,
	"the tenant less its teams": `SELECT sum(value_points) - sumIf(value_points, team != '(small groups)') FROM goodhart.outcomes_daily GROUP BY toMonday(day)`,
}

// reveals runs the attacks and returns what they learned, by attack.
func (b *attackBed) reveals() (learned map[string][]string, empty []string) {
	b.tb.Helper()
	learned = map[string][]string{}
	run := func(name, sql string, scale float64, secrets map[int64]string) {
		for n := range int64(4) {
			sql = strings.ReplaceAll(sql, fmt.Sprintf("{%d}", n), time.UnixMilli(b.monday+n*window.Week).UTC().Format(time.DateOnly))
		}
		rows, err := b.conn.Query(context.Background(), "SELECT toString(ifNull(number, 0)) FROM ("+sql+") AS numbers(number)")
		if err != nil {
			b.tb.Fatalf("%s: %v", name, err)
		}
		defer func() { _ = rows.Close() }()
		n := 0
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				b.tb.Fatal(err)
			}
			x, err := strconv.ParseFloat(text, 64)
			if err != nil {
				b.tb.Fatal(err)
			}
			n++
			if who, is := secrets[int64(math.Round(math.Abs(x)*scale))]; is {
				learned[name] = append(learned[name], who)
			}
		}
		if err := rows.Err(); err != nil {
			b.tb.Fatalf("%s: %v", name, err)
		}
		if n == 0 {
			empty = append(empty, name)
		}
	}
	for name, sql := range attacks {
		run(name, sql, 1, b.secrets)
	}
	for name, sql := range outcomeAttacks {
		run("outcomes: "+name, sql, 1000, b.points)
	}
	return learned, empty
}

// publish overrules the folds: what a condition holds for is shown.
func (b *attackBed) publish(rev int, condition string) {
	b.tb.Helper()
	if err := b.conn.Exec(context.Background(), fmt.Sprintf(`INSERT INTO core.group_size (tenant, team, week_start, iso_week, rev, people, publishable, reason)
		SELECT tenant, team, week_start, any(iso_week), %d, any(people), (%s), argMax(reason, rev) AS why FROM core.group_size WHERE rev < 100 GROUP BY tenant, team, week_start`,
		rev, strings.ReplaceAll(condition, "reason", "argMax(reason, rev)"))); err != nil {
		b.tb.Fatal(err)
	}
}

// Nobody who may query every view can work out what one person did, nor what a team
// did in a week in which it may not be shown. Each attack works as soon as the rule
// that it runs against is off.
func TestDifferenceAttacks(t *testing.T) {
	b := newAttackBed(t)
	learned, empty := b.reveals()
	for name, who := range learned {
		t.Errorf("%s: %q", name, who)
	}
	if len(empty) > 0 {
		t.Errorf("nothing to learn from: %q", empty)
	}
	must := func(names ...string) {
		t.Helper()
		learned, _ := b.reveals()
		for _, name := range names {
			if len(learned[name]) == 0 {
				t.Errorf("%s learns nothing with the rule off", name)
			}
		}
	}
	b.publish(100, "1")
	must("named teams", "named teams by the hour", "a window less the one of the day before", "outcomes: named teams", "a week less the one before",
		"a window less the days that are shown")
	b.publish(101, "reason IN ('', 'complementary')")
	must("the tenant less its teams", "the tenant less its teams, by day and model", "the tenant's window less its teams'", "the model's window less the teams'",
		"outcomes: the tenant less its teams")
}
