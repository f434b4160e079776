package chschema_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const questions = "../../deploy/demo/sql/questions"

// The five questions of the documentation, each one query on the public views:
// the answers are worked out by hand from the rows of the fixture.
func TestQuestions(t *testing.T) {
	conn := fixture(t)
	run(t, conn, dated(`INSERT INTO core.scores (tenant, scope_kind, scope, window, window_start, window_end, rev, w, requests, records, cost_nanos,
		outcomes_provisional, outcomes_final, outcomes_per_million_tokens, status) VALUES
		('acme','team','pay','28d','{0}','{7}',0,'{7}', 9,9, 200000000000, 0,100,NULL,'final'),
		('acme','team','pay','28d',toDateTime('{0}') - 2419200,toDateTime('{7}') - 2419200,0,'{7}', 9,9, 100000000000, 0,100,NULL,'final'),
		('acme','tenant','','28d','{0}','{0}',0,'{0}', 9,9, 1, 0,1,4,'final'),
		('acme','tenant','','28d','{0}','{7}',0,'{7}', 9,9, 1, 0,1,2.5,'final')`))
	run(t, conn, dated(`INSERT INTO core.kpi_health (tenant, target, scope_kind, scope, week_start, excess_share, excess_share_lo, excess_share_hi,
		excess_cost_nanos, placebo_excess, verdict, compared_from, compared_to) VALUES
		('acme','tokens','tenant','','{0}',0.32,0.2,0.4,1500000000,0.01,'losing meaning','{0}','{7}'),
		('acme','old','tenant','','{0}',NULL,NULL,NULL,NULL,NULL,'insufficient data',NULL,NULL)`))
	run(t, conn, dated(`INSERT INTO core.signals (tenant, signal_id, rev, code, title, scope_kind, scope, team, label, status, opened_at, updated_at, cost_at_stake_nanos) VALUES
		('acme','s1',0,'S1','Context bloat','tool','claude-code','','tooling','opened','{0} 01:00:00','{0} 01:00:00',2000000000),
		('acme','s2',1,'R2','Runaway spend','service','ci','','runaway','resolved','{0} 01:00:00','{0} 01:00:00',9000000000)`))
	run(t, conn, dated(`INSERT INTO core.signal_evidence (tenant, signal_id, rev, fact, team, statistic, value, unit, threshold, n, look_alike_checked, opened_at, w) VALUES
		('acme','s1',0,'coverage','','share measured',0.9,'share',NULL,50,[],'{0}','{0}'),
		('acme','s1',0,'headline','','shift',1.5,'nats',1.1,50,['a new model: not found'],'{0}','{0}'),
		('acme','s2',1,'headline','','cost',1,'USD',1,50,[],'{0}','{0}')`))
	run(t, conn, dated(`INSERT INTO core.tallies (tenant, source, hour, accepted, duplicate, held, rejected, rejected_lost, accepted_at) VALUES
		('acme','claude-code','{6} 23:00:00', 4, 1, 1, 2, 0, '{now}')`))
	run(t, conn, `INSERT INTO core.ticks (p, event_time, received_at, accepted_at, collector, sequence)
		SELECT 0, now64(3), now64(3), now64(3) - 200, 'c', 1`)
	// Four weeks before, too, the team could be shown.
	run(t, conn, dated(`INSERT INTO core.group_size (tenant, team, week_start, iso_week, rev, people, publishable) VALUES
		('acme','pay',toDate('{0}') - 28,'x',0,12,1)`))

	files, err := filepath.Glob(filepath.Join(questions, "*.sql"))
	if err != nil || len(files) != 5 {
		t.Fatalf("%d questions (%v), want 5", len(files), err)
	}
	want := map[string]string{
		"1_spend.sql": "(small groups)\topus\t1\t0\t0\t0\n" +
			"\\N\topus\t1\t\\N\t\\N\t1\n",
		"2_cost_per_outcome.sql": "pay\t100\t2\t1.7\t2.36\t1\t4.9\tdearer\n",
		"3_target.sql": "old\tinsufficient data\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n" +
			"tokens\tlosing meaning\t250000\t400000\t0.32\t0.2\t0.4\t0.01\t1.5\n",
		"4_signals.sql": "S1\tContext bloat\ttool claude-code\ttooling\t2\tshift\t1.5\tnats\t1.1\t50\t['a new model: not found']\n" +
			"S1\tContext bloat\ttool claude-code\ttooling\t2\tshare measured\t0.9\tshare\t\\N\t50\t[]\n",
		"5_complete.sql": "claude-code\t4\t1\t0\t1\t1\t0\t2\t0\t0.5\t1\n",
	}
	doc, err := os.ReadFile("../../docs/queries.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sql := string(raw)
		if !strings.Contains(string(doc), "```sql\n"+sql+"```\n") {
			t.Errorf("docs/queries.md does not show %s as it is", filepath.Base(file))
		}
		sql = strings.Replace(sql, "max(f.lag_seconds)", "max(f.lag_seconds) > 100", 1) // the clock goes on
		rows, err := conn.QueryFormat(t.Context(), "TSV", sql)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		got, err := io.ReadAll(rows)
		_ = rows.Close()
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if diff := cmp.Diff(want[filepath.Base(file)], string(got)); diff != "" {
			t.Errorf("%s:\n%s", file, diff)
		}
	}
}
