package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/recordtest"
)

// Every rule has its document and its message. What the JSON Schema cannot say
// is marked.
func TestProblems(t *testing.T) {
	const (
		beyondSchema = true
		inSchema     = false
	)
	compiled := recordtest.Schema(t, "policy.v1.json")
	f := func(beyond bool, document, want string) {
		t.Helper()
		document = `{"tenant":"acme","roles":[{"id":"dev"}],` + document + `}`
		_, err := policy.Parse([]byte(document))
		if err == nil {
			t.Errorf("%s: accepted, want %s", document, want)
			return
		}
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", document, diff)
		}
		if refused := valid(compiled, []byte(document)) != nil; refused == beyond {
			t.Errorf("%s: refused by the schema: %t", document, refused)
		}
	}
	const label = "want 1 to 128 of A-Z a-z 0-9 . _ : / -"

	f(inSchema, `"team":[]`, "team: unknown key: want one of tenant, roles, teams, outcomes, cap_per_ticket, targets, automation, context, disputes")
	f(inSchema, `"teams":{}`, "teams: a mapping: want a list")
	f(inSchema, `"teams":[3]`, "teams[0]: 3: want a mapping of id, size, role, connected")
	f(inSchema, `"teams":[null]`, "teams[0]: missing: want a mapping of id, size, role, connected")
	f(inSchema, `"teams":[{"id":"a","size":1,"members":["ada"]}]`, "teams[0].members: unknown key: want one of id, size, role, connected")
	f(inSchema, `"teams":[{"size":1}]`, "teams[0].id: missing: "+label)
	f(inSchema, `"teams":[{"id":"","size":1}]`, `teams[0].id: "": `+label)
	f(inSchema, `"teams":[{"id":"ada@example.com","size":1}]`, `teams[0].id: "ada@example.com": `+label)
	f(inSchema, `"teams":[{"id":"`+strings.Repeat("x", 129)+`","size":1}]`, `teams[0].id: "`+strings.Repeat("x", 80)+`…": `+label)
	f(inSchema, `"teams":[{"id":42,"size":1}]`, "teams[0].id: 42: "+label+", in quotes")
	f(inSchema, `"teams":[{"id":"a"}]`, "teams[0].size: missing: want a whole number 1..1000000, people")
	f(inSchema, `"teams":[{"id":"a","size":0}]`, "teams[0].size: 0: want a whole number 1..1000000, people")
	f(inSchema, `"teams":[{"id":"a","size":1000001}]`, "teams[0].size: 1000001: want a whole number 1..1000000, people")
	f(inSchema, `"teams":[{"id":"a","size":1.5}]`, "teams[0].size: 1.5: want a whole number 1..1000000, people")
	f(inSchema, `"teams":[{"id":"a","size":"1"}]`, `teams[0].size: "1": want a whole number 1..1000000, people`)
	f(inSchema, `"teams":[{"id":"a","size":1,"connected":101}]`, "teams[0].connected: 101: want a whole number 0..100, percent of the team's systems")
	f(beyondSchema, `"teams":[{"id":"a","size":1,"role":"chef"}]`, `teams[0].role: "chef": want one of the ids in roles`)
	f(beyondSchema, `"teams":[{"id":"a","size":1},{"id":"b","size":1},{"id":"a","size":2}]`, "teams[2]: a: given twice, first at teams[0]")

	f(inSchema, `"outcomes":[{"kind":"pr_reverted","weight":1}]`,
		`outcomes[0].kind: "pr_reverted": want one of pr_merged, commit_landed, deployment_succeeded, issue_closed, ticket_done`)
	f(inSchema, `"outcomes":[{"kind":"pr_merged"}]`, "outcomes[0].weight: missing: want a whole number 0..1000000, thousandths")
	f(inSchema, `"outcomes":[{"kind":"pr_merged","weight":-1}]`, "outcomes[0].weight: -1: want a whole number 0..1000000, thousandths")
	f(beyondSchema, `"outcomes":[{"kind":"pr_merged","weight":1,"team":"a"}]`, `outcomes[0].team: "a": want one of the ids in teams`)
	f(beyondSchema, `"outcomes":[{"kind":"pr_merged","weight":1},{"kind":"pr_merged","weight":2}]`, "outcomes[1]: pr_merged: given twice, first at outcomes[0]")
	f(inSchema, `"cap_per_ticket":-1`, "cap_per_ticket: -1: want a whole number 0..1000000, thousandths")

	target := func(rest string) string {
		return `"targets":[{"id":"t","period":"week","announced_at":"2026-09-07",` + rest + `}]`
	}
	f(inSchema, target(`"metric":"lines","threshold":1`), `targets[0].metric: "lines": want one of tokens, requests, weekly_use, cost, efficiency`)
	f(inSchema, target(`"metric":"tokens","threshold":0`), "targets[0].threshold: 0: want a whole number 1..1000000000000000, tokens per person and period")
	f(beyondSchema, target(`"metric":"requests","threshold":1000000001`), "targets[0].threshold: 1000000001: want a whole number 1..1000000000, requests per person and period")
	f(inSchema, target(`"metric":"weekly_use","threshold":1001`), "targets[0].threshold: 1001: want a whole number 1..1000, thousandths of the people")
	f(inSchema, target(`"metric":"cost","threshold":0.5`), "targets[0].threshold: 0.5: want a whole number 1..1000000000000000000, nano-USD per person and period")
	f(inSchema, target(`"metric":"efficiency","threshold":0`), "targets[0].threshold: 0: want a whole number 1..1000000, thousandths of a point of the score")
	f(inSchema, target(`"metric":"efficiency","threshold":1000001`), "targets[0].threshold: 1000001: want a whole number 1..1000000, thousandths of a point of the score")
	f(inSchema, target(`"metric":"efficiency","threshold":120000,"scope":"team"`), `targets[0].scope: "team": want tenant, of efficiency`)
	f(inSchema, `"teams":[{"id":"a","size":1}],`+target(`"metric":"efficiency","threshold":120000,"teams":["a"]`), "targets[0].teams: want none, of efficiency")
	for _, period := range []string{"month", "quarter"} {
		f(inSchema, `"targets":[{"id":"t","metric":"efficiency","threshold":120000,"period":"`+period+`","announced_at":"2026-09-07"}]`,
			`targets[0].period: "`+period+`": want week, of efficiency`)
	}
	f(inSchema, target(`"metric":"tokens"`), "targets[0].threshold: missing: want a whole number 1..1000000000000000, tokens per person and period")
	f(inSchema, target(`"metric":"tokens","threshold":9,"scope":"tool"`), `targets[0].scope: "tool": want one of tenant, team`)
	f(beyondSchema, target(`"metric":"tokens","threshold":9,"withdrawn_at":"2026-09-07"`), `targets[0].withdrawn_at: "2026-09-07": want a day after announced_at, 2026-09-07`)
	f(beyondSchema, `"teams":[{"id":"a","size":1}],`+target(`"metric":"tokens","threshold":9,"teams":["a"]`), `targets[0].scope: "tenant": want team, where teams are named`)
	f(beyondSchema, target(`"metric":"tokens","threshold":9,"scope":"team","teams":["a"]`), `targets[0].teams[0]: "a": want one of the ids in teams`)
	f(inSchema, target(`"metric":"tokens","threshold":9,"scope":"team","teams":[7]`), "targets[0].teams[0]: 7: "+label)
	f(beyondSchema, `"teams":[{"id":"a","size":1}],`+target(`"metric":"tokens","threshold":9,"scope":"team","teams":["a","a"]`),
		"targets[0].teams[1]: a: given twice, first at targets[0].teams[0]")
	const days = "want a day 2000-01-01..2099-12-31, YYYY-MM-DD"
	f(inSchema, `"targets":[{"id":"t","metric":"cost","threshold":1,"period":"day","announced_at":"2026-09-07"}]`, `targets[0].period: "day": want one of week, month, quarter`)
	f(inSchema, `"targets":[{"id":"t","metric":"cost","threshold":1,"period":"week"}]`, "targets[0].announced_at: missing: "+days)
	f(inSchema, `"targets":[{"id":"t","metric":"cost","threshold":1,"period":"week","announced_at":"2100-01-01"}]`, `targets[0].announced_at: "2100-01-01": `+days)
	f(beyondSchema, `"targets":[{"id":"t","metric":"cost","threshold":1,"period":"week","announced_at":"2026-02-30"}]`, `targets[0].announced_at: "2026-02-30": `+days)
	f(inSchema, `"targets":[{"id":"t","metric":"cost","threshold":1,"period":"week","announced_at":"7.9.2026"}]`, `targets[0].announced_at: "7.9.2026": `+days)

	const one = "automation[0]: want exactly one of credential, subject"
	f(inSchema, `"automation":[{"id":"x"}]`, one)
	f(inSchema, `"automation":[{"id":"x","credential":"k","subject":"`+ada+`"}]`, one)
	f(inSchema, `"automation":[{"id":"x","credential":"k","conversation":"c"}]`,
		"automation[0].conversation: unknown key: want one of id, credential, subject, cron")
	for _, name := range []string{"ada", "p_0123", "x_" + ada[2:], "pa_" + ada[2:], "p_" + strings.ToUpper(ada[2:])} {
		f(inSchema, `"automation":[{"id":"x","subject":"`+name+`"}]`, `automation[0].subject: "`+name+`": want a pseudonym: p_, a_, s_ or k_ and 32 hex digits`)
	}
	f(beyondSchema, `"automation":[{"id":"x","credential":"k"},{"id":"y","credential":"k"}]`, "automation[1]: credential k: given twice, first at automation[0]")
	for _, cron := range []string{"0 2 * *", "60 2 * * *", "0 24 * * *", "0 0 0 * *", "0 0 * 13 *", "0 0 * * 8", "*/0 * * * *", "5-3 * * * *", "1,, * * * *", "+1 * * * *"} {
		beyond := cron != "0 2 * *" && cron != "+1 * * * *"
		f(beyond, `"automation":[{"id":"x","credential":"k","cron":"`+cron+`"}]`, `automation[0].cron: "`+cron+
			`": want five fields, UTC: minute 0-59, hour 0-23, day 1-31, month 1-12, weekday 0-7; each of *, a number, a-b, with /step, or a list of them`)
	}

	context := func(rest string) string { return `"context":[{"from":"2026-10-01","to":"2026-10-02",` + rest + `}]` }
	f(inSchema, context(`"kind":"party","scope":"tenant"`), `context[0].kind: "party": want one of migration, on_call, vacation, release, incident, model_change`)
	f(inSchema, context(`"kind":"release","scope":"model","name":"m"`), `context[0].scope: "model": want one of tenant, team, tool, subject, credential`)
	f(inSchema, context(`"kind":"release","scope":"tenant","name":"acme"`), `context[0].name: "acme": want none in the scope tenant`)
	f(inSchema, context(`"kind":"release","scope":"tool"`), "context[0].name: missing: "+label)
	f(inSchema, context(`"kind":"vacation","scope":"subject","name":"ada"`), `context[0].name: "ada": want a pseudonym: p_, a_, s_ or k_ and 32 hex digits`)
	f(beyondSchema, context(`"kind":"release","scope":"team","name":"a"`), `context[0].name: "a": want one of the ids in teams`)
	f(inSchema, `"context":[{"kind":"release","scope":"tenant","from":"2026-10-01"}]`, "context[0].to: missing: "+days)
	f(beyondSchema, `"context":[{"kind":"release","scope":"tenant","from":"2026-10-01","to":"2026-10-01"}]`, `context[0].to: "2026-10-01": want 1 to 366 days after from, 2026-10-01`)
	f(beyondSchema, `"context":[{"kind":"release","scope":"tenant","from":"2026-10-01","to":"2027-10-03"}]`, `context[0].to: "2027-10-03": want 1 to 366 days after from, 2026-10-01`)
	same := `{"kind":"release","scope":"tenant","from":"2026-10-01","to":"2026-10-02"}`
	f(beyondSchema, `"context":[`+same+`,`+same+`]`, "context[1]: 2026-10-01 2026-10-02 release tenant: given twice, first at context[0]")

	f(inSchema, `"disputes":[{"signal":"s","state":"closed","until":"2026-10-01"}]`, `disputes[0].state: "closed": want one of open, accepted, rejected`)
	f(inSchema, `"disputes":[{"signal":"s","state":"open","until":"2026-10-01","reason":"why not"}]`,
		`disputes[0].reason: "why not": want one of automation, work, tool, not_me, figures, other`)
	f(inSchema, `"disputes":[{"state":"open","until":"2026-10-01"}]`, "disputes[0].signal: missing: "+label)
	f(inSchema, `"disputes":[{"signal":"s","state":"open"}]`, "disputes[0].until: missing: "+days)

	// All at once.
	f(inSchema, `"teams":[{"id":"a","sise":1}],"outcomes":[{"kind":"x"}],"disputes":[7]`, strings.Join([]string{
		"teams[0].sise: unknown key: want one of id, size, role, connected",
		"teams[0].size: missing: want a whole number 1..1000000, people",
		`outcomes[0].kind: "x": want one of pr_merged, commit_landed, deployment_succeeded, issue_closed, ticket_done`,
		"outcomes[0].weight: missing: want a whole number 0..1000000, thousandths",
		"disputes[0]: 7: want a mapping of signal, state, until, reason",
	}, "\n"))
}

func TestCron(t *testing.T) {
	for _, cron := range []string{"* * * * *", "*/15 0-23/2 1,15 1-12 0-7", "59 23 31 12 7", "0 2 * * 1-5"} {
		if _, err := policy.Parse([]byte(`{"tenant":"a","automation":[{"id":"x","credential":"k","cron":"` + cron + `"}]}`)); err != nil {
			t.Errorf("%s: %v", cron, err)
		}
	}
}
