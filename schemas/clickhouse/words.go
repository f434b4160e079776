package clickhouse

import (
	"fmt"
	"strings"
)

// rollup is a usage rollup that counts persons and latencies.
type rollup struct {
	// Name of the time column and of the table after usage_.
	Name string
	// Type of the time column.
	Type string
	// Start is the expression over core.usage AS u.
	Start string
}

func rollups() []rollup {
	return []rollup{
		{Name: "hour", Type: "DateTime('UTC')", Start: "toStartOfHour(toDateTime(u.event_time, 'UTC'))"},
		{Name: "day", Type: "Date", Start: "toDate(toDateTime(u.event_time, 'UTC'), 'UTC')"},
	}
}

// usageView is a public view of a usage rollup.
type usageView struct {
	View, Table string
	// Time is the view's time column, Column the rollup's.
	Time, Column string
	Type         string
	// Comment describes Time, Per completes "per ...".
	Comment, Per string
}

func usageViews() []usageView {
	return []usageView{
		{
			View: "usage_hourly", Table: "usage_hour", Time: "hour", Column: "hour", Type: "DateTime('UTC')",
			Comment: "Start of the hour of use, UTC", Per: "hour",
		},
		{
			View: "usage_daily", Table: "usage_day", Time: "day", Column: "day", Type: "Date",
			Comment: "UTC day of use", Per: "day",
		},
	}
}

// cacheWrite sums the three classes of cache writes of a row; NULL if it states
// none of them.
func cacheWrite(alias string) string {
	return strings.ReplaceAll("if(isNull(coalesce(@.cache_write_5m_tokens, @.cache_write_1h_tokens, @.cache_write_tokens)), NULL, "+
		"ifNull(@.cache_write_5m_tokens, 0) + ifNull(@.cache_write_1h_tokens, 0) + ifNull(@.cache_write_tokens, 0))", "@", alias)
}

// usd turns integer nano-USD into exact decimal USD. It goes through 128 bits,
// because the scale comes first; above 999,999,999 USD the query fails.
func usd(nanos string) string {
	return fmt.Sprintf("toDecimal64(toDecimal128(%s, 9) / 1000000000, 9)", nanos)
}

// monday is the ISO week of a day or an hour.
func monday(alias, column string) string {
	return "toMonday(" + alias + "." + column + ")"
}

// judged is the newest ISO week whose group sizes are settled at a time: weeks are
// judged ten days after they began.
func judged(at string) string { return "toMonday(toDate(" + at + ", 'UTC') - 10)" }

// definer lets readers of a view do without rights on what it reads, where the
// server has users at all.
func (p Params) definer() string {
	if p.Kind == Embedded {
		return ""
	}
	return "DEFINER = CURRENT_USER SQL SECURITY DEFINER"
}

// in is the operator before a subquery; in a cluster it runs once and is sent
// along.
func (p Params) in() string {
	if p.Kind == Cluster {
		return "GLOBAL IN"
	}
	return "IN"
}

func (p Params) notIn() string {
	if p.Kind == Cluster {
		return "GLOBAL NOT IN"
	}
	return "NOT IN"
}

// publication asks whether a team-week may be shown. The arguments are
// expressions; team may be NULL, which stands for persons without a team.
func (p Params) publication(tenant, team, week, operator string) string {
	return fmt.Sprintf(`(%s, ifNull(%s, ''), %s) %s (
    SELECT g.tenant, g.team, g.week_start FROM %s AS g
    GROUP BY g.tenant, g.team, g.week_start HAVING argMax(g.publishable, g.rev) = 1)`,
		tenant, team, week, operator, p.from("group_size"))
}

// publishedWindow asks whether the window of a team's score may be shown: of the
// ISO weeks that it touches at least one is publishable and none is known not to
// be.
func (p Params) publishedWindow() string {
	return fmt.Sprintf(`(s.tenant, s.scope, s.window, s.window_end) %s (
    SELECT x.tenant, x.team, x.window, x.window_end
    FROM
    (
        SELECT g.tenant AS tenant, g.team AS team, g.week_start AS week_start, argMax(g.publishable, g.rev) AS publishable
        FROM %s AS g
        GROUP BY tenant, team, week_start
    ) AS w
    INNER JOIN
    (
        SELECT DISTINCT c.tenant AS tenant, c.scope AS team, c.window AS window, c.window_end AS window_end,
            arrayJoin(arrayDistinct(arrayMap(i -> toMonday(toDate(c.window_end, 'UTC') - 1 - i), range(if(c.window = '7d', 7, 28))))) AS week_start
        FROM %s AS c
        WHERE c.scope_kind = 'team' AND c.window IN ('7d', '28d')
    ) AS x ON x.tenant = w.tenant AND x.team = w.team AND x.week_start = w.week_start
    GROUP BY x.tenant, x.team, x.window, x.window_end
    HAVING min(w.publishable) = 1)`, p.in(), p.from("group_size"), p.from("scores"))
}
