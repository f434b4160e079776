package sink

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	cards "github.com/goodhartlabs/goodhart/pkg/kpi"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/config"
)

func sortStrings(s []string) { slices.Sort(s) }

// What the tenant fold writes, read from the tables.
func TestScoresBecomeRows(t *testing.T) {
	b := newBed(t)
	r := score.Rolling{
		Tenant: "acme", ScopeKind: score.ScopeTeam, Scope: "platform", Window: "5m", Start: moment - 300_000, End: moment,
		Rev: 2, W: moment + 1, Status: score.StatusRolling, ConfigVersion: 3,
		Totals: score.Totals{Requests: 4, Records: 5, Errors: 1, InputUncachedTokens: 100, OutputTokens: 50, CostNanos: 77, Activities: 2},
		People: 3, PeopleKnown: true,
	}
	g := score.GroupSize{Tenant: "acme", Team: "platform", Week: "2026-W42", WeekStart: 1_791_763_200_000, People: 3, Reason: score.ReasonSize, Rev: 1, W: moment}
	c := signal.WeekCoverage{
		Coverage: signal.Coverage{Code: "S4", Subjects: 60, Known: 40, Measured: 30, Records: 24000, KnownRecords: 800},
		Tenant:   "acme", WeekStart: 1_791_763_200_000, W: moment, ConfigVersion: 3,
	}
	whole, half := score.Efficiency{Rolling: r, Provisional: true, Dispersion: 1.25, Unattributed: score.Ratio(1, 4, 1)}, score.Efficiency{Rolling: r}
	whole.Rolling.Window, half.Rolling.Window = "7d", "28d"
	whole.Score = &score.Score{
		Credited: 9.5, Expected: 8, ExpectedKnown: true, AlignedNanos: 70, Index: 110, Low: 80, High: 150,
		UnitCost: 7, UnitCostLow: 5, UnitCostHigh: 9, Peers: 4, Above: 1, Below: 2, PeersKnown: true, Coverage: score.Ratio(1, 2, 1),
	}
	half.Score = &score.Score{Reason: score.ReasonSize}
	b.produce(schemas.TopicScores, 0, r.AppendJSON(nil), g.AppendJSON(nil), c.AppendJSON(nil), whole.AppendJSON(nil), half.AppendJSON(nil), []byte(`{"kind":"later","tenant":"acme"}`), []byte(`{`))
	b.start()
	b.until("scores", 1)
	b.until("efficiency", 2)
	b.until("group_size", 1)
	b.until("signal_coverage", 1)
	b.until("dead", 2)
	if diff := cmp.Diff([]string{
		`{"scope_kind":"team","scope":"platform","window":"5m","seconds":300,"rev":2,"requests":4,"records":5,"errors":1,"input_uncached_tokens":100,` +
			`"cache_read_tokens":null,"output_tokens":50,"cost_nanos":77,"people":3,"cost_per_outcome_nanos":null,"error_share":0.25,"status":"rolling","config_version":3}`,
	}, b.query(`SELECT scope_kind, scope, window, toUnixTimestamp(window_end) - toUnixTimestamp(window_start) AS seconds, rev, requests, records, errors,
		input_uncached_tokens, cache_read_tokens, output_tokens, cost_nanos, people, cost_per_outcome_nanos, error_share, status, config_version
		FROM core.scores SETTINGS output_format_json_quote_64bit_integers = 0`)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{
		`{"scope":"platform","rev":2,"people":3,"cost_nanos":77,"outcomes_credited":9.5,"outcomes_expected":8,"score":110,"score_lo":80,"score_hi":150,"coverage":0.5,` +
			`"unpriced_share":0,"unattributed_share":0.25,"dispersion":1.25,"aligned_cost_nanos":70,"unit_cost_nanos":7,"unit_cost_lo_nanos":5,"unit_cost_hi_nanos":9,` +
			`"peers":4,"peers_above":1,"peers_below":2,"status":"provisional","reason":"","config_version":3}`,
		`{"scope":"platform","rev":2,"people":3,"cost_nanos":77,"outcomes_credited":null,"outcomes_expected":null,"score":null,"score_lo":null,"score_hi":null,"coverage":null,` +
			`"unpriced_share":0,"unattributed_share":null,"dispersion":null,"aligned_cost_nanos":null,"unit_cost_nanos":null,"unit_cost_lo_nanos":null,"unit_cost_hi_nanos":null,` +
			`"peers":null,"peers_above":null,"peers_below":null,"status":"insufficient data","reason":"group_size","config_version":3}`,
	}, b.query(`SELECT scope, rev, people, cost_nanos, outcomes_credited, outcomes_expected, score, score_lo, score_hi, coverage, unpriced_share, unattributed_share, dispersion,
		aligned_cost_nanos, unit_cost_nanos, unit_cost_lo_nanos, unit_cost_hi_nanos, peers, peers_above, peers_below, status, reason, config_version
		FROM core.efficiency ORDER BY window DESC SETTINGS output_format_json_quote_64bit_integers = 0`)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{
		`{"team":"platform","week_start":"2026-10-12","iso_week":"2026-W42","people":3,"publishable":0,"reason":"group_size","rev":1}`,
	}, b.query("SELECT team, week_start, iso_week, people, publishable, reason, rev FROM core.group_size SETTINGS output_format_json_quote_64bit_integers = 0")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{
		`{"code":"S4","title":"Padding","week":"2026-10-12","subjects":60,"known":40,"measured":30,"measured_share":0.5,"rev":0,"config_version":3}`,
	}, b.query("SELECT code, title, week, subjects, known, measured, measured_share, rev, config_version FROM goodhart.signal_coverage SETTINGS output_format_json_quote_64bit_integers = 0")); diff != "" {
		t.Error(diff)
	}
}

func TestSignalsSelfAndCardsBecomeRows(t *testing.T) {
	const common = `"tenant":"acme","signal_id":"x1","rev":1,"w":1792067696789,"code":"S1","title":"T","label":"tooling","severity":"info","status":"opened",
		"opened_at":1792067696789,"updated_at":1792067696790,"resolved_at":null,"question":"Why?","cost_at_stake_nanos":12,"formula":"s/1","config_version":2,
		"evidence":[{"fact":"f1","statistic":"share","value":0.5,"unit":"1","threshold":0.25,"n":40,"window":"7d","look_alike_checked":["holiday: no"]},
			{"fact":"f2","statistic":"count","value":null,"unit":"1","threshold":null,"n":0,"window":"7d","look_alike_checked":[]}]`
	b := newBed(t)
	b.produce(schemas.TopicSignals, 0,
		[]byte(`{"kind":"signal","scope_kind":"team","scope":"platform","team":"platform",`+common+`,"field_of_the_future":1}`),
		nil, // a tombstone
		[]byte(`{"kind":"signal","scope_kind":"team","scope":"platform",`+strings.Replace(common, `"opened_at":1792067696789`, `"opened_at":-5`, 1)+`}`))
	b.produce(schemas.TopicSelf, 0, []byte(`{"kind":"self","subject":"p_1",`+common+`}`), []byte(`{"kind":"self",`+common+`}`))
	own := score.Personal{
		Tenant: "acme", Subject: "p_1", Role: "dev", Window: "28d", Start: moment - 28*86_400_000, End: moment, W: moment, Dispersion: 1.5, ConfigVersion: 4,
		Score: &score.Score{Credited: 80, Expected: 90, ExpectedKnown: true, Index: 90, Low: 70, High: 110, UnitCost: 7, UnitCostLow: 6, UnitCostHigh: 8, AlignedNanos: 630, Parts: make([]score.Part, 3)},
	}
	few := own
	few.Subject, few.Score = "p_2", &score.Score{Credited: 3, Expected: 4, ExpectedKnown: true, Reason: score.ReasonExpected}
	b.produce(schemas.TopicSelf, 0, own.AppendJSON(nil), few.AppendJSON(nil), bytes.Replace(few.AppendJSON(nil), []byte(`"subject"`), []byte(`"object"`), 1))
	b.produce(schemas.TopicKPI, 0,
		[]byte(`{"kind":"kpi_health","tenant":"acme","target":"t","scope_kind":"tenant","scope":"","iso_week":"2026-W42","week_start":1791763200000,"rev":0,"w":1,
			"elasticity":0.1,"elasticity_lo":null,"excess_cost_nanos":5,"verdict":"watch","reasons":["a","b"],"formula":"k/1","config_version":1,"compared_from":1791158400000,"compared_to":1792368000000,
			"checks":[{"check":"elasticity","value":0.1,"lo":null,"hi":null,"n":12,"placebo":null,"z":-2.5,"alarm":true,"reason":"","formula":"e/1","contribution":"decoupling"},
				{"check":"bunching","value":null,"lo":null,"hi":null,"n":3,"placebo":null,"z":null,"alarm":false,"reason":"users","formula":"b/1","contribution":"none"}]}`),
		[]byte(`{"tenant":"acme","week_start":1791763200000}`),
		[]byte(`{"tenant":"acme","target":"t","week_start":1791763200000,"compared_to":-5}`))
	b.start()
	b.until("signals", 1)
	b.until("signal_evidence", 2)
	b.until("self", 1)
	b.until("self_efficiency", 2)
	b.until("kpi_health", 1)
	b.until("kpi_checks", 2)
	b.until("dead", 5)
	check := func(want, sql string) {
		t.Helper()
		if diff := cmp.Diff(strings.Split(want, "\n"), b.query(sql+" SETTINGS output_format_json_quote_64bit_integers = 0")); diff != "" {
			t.Error(diff)
		}
	}
	check(`{"signal_id":"x1","scope":"platform","label":"tooling","opened_at":"2026-10-15 12:34:56.789","resolved_at":null,"cost_at_stake_nanos":12}`,
		"SELECT signal_id, scope, label, opened_at, resolved_at, cost_at_stake_nanos FROM core.signals")
	check(`{"fact":"f1","value":0.5,"threshold":0.25,"n":40,"look_alike_checked":["holiday: no"]}`+"\n"+
		`{"fact":"f2","value":null,"threshold":null,"n":0,"look_alike_checked":[]}`,
		"SELECT fact, value, threshold, n, look_alike_checked FROM core.signal_evidence ORDER BY fact")
	check(`{"subject":"p_1","items":2,"cost_at_stake_nanos":12}`, "SELECT subject, JSONLength(evidence) AS items, cost_at_stake_nanos FROM core.self")
	check(`{"subject":"p_1","role":"dev","days":28,"weeks":3,"outcomes_credited":80,"outcomes_expected":90,"score":90,"score_lo":70,"score_hi":110,"aligned_cost_nanos":630,`+
		`"unit_cost_nanos":7,"unit_cost_lo_nanos":6,"unit_cost_hi_nanos":8,"dispersion":1.5,"status":"final","reason":"","config_version":4}`+"\n"+
		`{"subject":"p_2","role":"dev","days":28,"weeks":0,"outcomes_credited":3,"outcomes_expected":4,"score":null,"score_lo":null,"score_hi":null,"aligned_cost_nanos":0,`+
		`"unit_cost_nanos":null,"unit_cost_lo_nanos":null,"unit_cost_hi_nanos":null,"dispersion":1.5,"status":"insufficient data","reason":"expected","config_version":4}`,
		`SELECT subject, role, dateDiff('day', window_start, window_end) AS days, weeks, outcomes_credited, outcomes_expected, score, score_lo, score_hi, aligned_cost_nanos,
			unit_cost_nanos, unit_cost_lo_nanos, unit_cost_hi_nanos, dispersion, status, reason, config_version FROM core.self_efficiency ORDER BY subject`)
	// No view that anybody reads has a row or a column of it.
	check(`{"views":0}`, "SELECT count() AS views FROM system.tables WHERE database = 'goodhart' AND create_table_query LIKE '%core.self%'")
	check(`{"target":"t","elasticity":0.1,"elasticity_lo":null,"excess_cost_nanos":5,"verdict":"watch","reasons":["a","b"]}`,
		"SELECT target, elasticity, elasticity_lo, excess_cost_nanos, verdict, reasons FROM core.kpi_health")
	check(`{"compared_from":"2026-10-05","compared_to":"2026-10-19"}`, "SELECT compared_from, compared_to FROM goodhart.kpi_health")
	check(`{"check_name":"elasticity","place":0,"known":1,"value":0.1,"n":12,"z":-2.5,"alarm":1,"contribution":"decoupling","reason":"","verdict":"watch"}`+"\n"+
		`{"check_name":"bunching","place":1,"known":0,"value":null,"n":3,"z":null,"alarm":0,"contribution":"none","reason":"users","verdict":"watch"}`,
		"SELECT check_name, place, known, value, n, z, alarm, contribution, reason, verdict FROM goodhart.kpi_checks ORDER BY place")
	check(`{"topic":"goodhart.kpi.v1","reason":"bad_time","field":"compared_to"}`+"\n"+
		`{"topic":"goodhart.kpi.v1","reason":"missing","field":"target"}`+"\n"+
		`{"topic":"goodhart.self.v1","reason":"missing","field":"subject"}`+"\n"+
		`{"topic":"goodhart.self.v1","reason":"missing","field":"subject"}`+"\n"+
		`{"topic":"goodhart.signals.v1","reason":"bad_time","field":"opened_at"}`,
		"SELECT topic, reason, field FROM core.dead ORDER BY topic, reason")
}

// A broken dead letter is counted and passed, not buried again.
func TestBrokenDeadLetter(t *testing.T) {
	b := newBed(t)
	b.produce(schemas.TopicDead, 0, []byte("no protobuf"))
	b.produce(schemas.TopicFacts, 0, []byte("nor this"))
	tel := b.start()
	b.until("dead", 1)
	n, err := testutil.GatherAndCount(tel.Metrics, "goodhart_sink_dlq_total")
	if err != nil || n != 2 {
		t.Errorf("%d topics with bad records counted (%v), want facts and dead", n, err)
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	err := Config{Topics: []string{"nonsense"}, From: "x", MaxAge: time.Hour}.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, key := range []string{"instance", "kafka.brokers", "clickhouse.dsn", "topics", "from", "max_rows", "max_bytes", "max_age", "inserts"} {
		if !strings.Contains(err.Error(), key+":") {
			t.Errorf("%v does not name %s", err, key)
		}
	}
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

// The example lists every key with its default.
func TestExampleIsTheDefault(t *testing.T) {
	var cfg Config
	if err := config.Load("config.example.yaml", &cfg, func(string) (string, bool) { return "", false }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), cfg); diff != "" {
		t.Error(diff)
	}
}

// The card of a target on the efficiency score, whose units are teams, is a row of
// the views like that of any other.
func TestCardOfTheScoreBecomesRows(t *testing.T) {
	const weeks, monday = 24, 1_767_571_200_000
	rng := rand.New(rand.NewPCG(1, 1))
	panel := &cards.Panel{Start: monday, TeamUnits: true}
	for i := range 44 {
		u := cards.Unit{Team: fmt.Sprint("t", i)}
		for w := range weeks {
			score := 80_000 + rng.Int64N(40_000)
			u.Weeks = append(u.Weeks, cards.Week{Known: true, OutcomesKnown: w < weeks-2, Tokens: score, DayTokens: [7]int64{score}, Outcomes: score / 2})
		}
		panel.Units = append(panel.Units, u)
	}
	card := cards.Assess(&cards.Input{Panel: panel, Week: weeks - 1, Target: cards.Target{
		ID: "score", Metric: policy.Efficiency, Threshold: 130_000, Period: policy.Week, Announced: 14,
	}})
	card.Tenant, card.ScopeKind, card.ConfigVersion = "acme", "tenant", 7
	b := newBed(t)
	b.produce(schemas.TopicKPI, 0, card.AppendJSON(nil))
	b.start()
	b.until("kpi_health", 1)
	b.until("kpi_checks", uint64(len(card.Results)))
	const settings = " SETTINGS output_format_json_quote_64bit_integers = 0"
	got := append(
		b.query("SELECT target, scope, week, verdict, elasticity > 0 AS known, excess_share, signalled_share, config_version FROM goodhart.kpi_health"+settings),
		b.query("SELECT check_name FROM goodhart.kpi_checks WHERE known = 0 AND reason = 'another metric' ORDER BY place")...)
	if diff := cmp.Diff([]string{
		`{"target":"score","scope":"","week":"2026-06-15","verdict":"healthy","known":1,"excess_share":null,"signalled_share":null,"config_version":7}`,
		`{"check_name":"minimum_effort"}`, `{"check_name":"deadline_shift"}`, `{"check_name":"signalled_share"}`, `{"check_name":"excess_share"}`,
	}, got); diff != "" {
		t.Error(diff)
	}
}
