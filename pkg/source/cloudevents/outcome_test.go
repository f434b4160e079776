package cloudevents_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/event"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	mergeSHA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	headSHA  = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

func outcomeBody(data string) string {
	return envelope(`"specversion":"1.0","id":"o-1","source":"//git","type":"ai.outcome.v1","time":"2026-11-02T09:30:00Z"`, data)
}

func outcome(t *testing.T, data string) *goodhartv1.Event {
	t.Helper()
	return one(t, header(structured), outcomeBody(data))
}

const merged = `{"kind":"pr_merged","subject":{"host":"Git.example","repo_id":"acme/api","pr_number":42,"merge_sha":"` + mergeSHA + `","head_sha":"` + headSHA + `"},
	"author":{"login":"ada"},"merged_by":"ada","reviewers":["bob",{"email":"eve@example.com"}],"is_bot":false,"independent_approvals":1,
	"size":{"additions":10,"deletions":2,"files":3,"commits":1},"evidence_of_ai":{"trailer":true},"finalises_at":"2026-11-16T09:30:00Z",
	"links":{"closes":["issue:7","ticket:ENG-1"]},"value":2.5,"run_attempt":1,"conclusion":"success","title":"secret"}`

func TestOutcome(t *testing.T) {
	e := outcome(t, merged)
	o := e.Outcome
	got := []any{
		e.Kind, o.Kind, o.GetIsBot(), o.GetSelfMerged(), o.GetIndependentApprovals(), o.GetAdditions(), o.GetDeletions(), o.GetFiles(),
		o.GetCommits(), o.GetEvidenceOfAi(), o.GetFinalisesAtMs(), o.GetValueMillipoints(), o.GetRunAttempt(), o.Conclusion,
		len(o.Object), len(o.MergeSha), len(o.HeadSha), len(o.Reviewers), len(o.Closes), o.MergedBy == e.Subject, len(e.Repository),
	}
	want := []any{
		goodhartv1.EventKind_EVENT_KIND_OUTCOME, goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, false, true, uint32(1), int64(10), int64(2), int64(3),
		int64(1), true, int64(1794821400000), int64(2500), uint32(1), "success",
		32, 32, 32, 2, 2, true, 32,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Later outcomes name earlier ones by object or by commit.
func TestOutcomesMeet(t *testing.T) {
	m := outcome(t, merged)
	for name, data := range map[string]string{
		"same object":   `{"kind":"pr_reverted","subject":{"host":"git.example","repo_id":"acme/api","pr_number":"42"}}`,
		"by commit":     `{"kind":"pr_merged","subject":{"host":"git.example","repo_id":"acme/api","pr_number":43},"links":{"reverts":["` + strings.ToUpper(mergeSHA) + `"]}}`,
		"by sha:":       `{"kind":"pr_merged","subject":{"host":"git.example","repo_id":"acme/api","pr_number":43},"links":{"reverts":["sha:` + mergeSHA + `"]}}`,
		"by pr:":        `{"kind":"commit_landed","subject":{"host":"git.example","repo_id":"acme/api","sha":"` + headSHA + `"},"links":{"reverts":["pr:42"]}}`,
		"by number":     `{"kind":"pr_merged","subject":{"host":"git.example","repo_id":"acme/api","pr_number":43},"links":{"reverts":[42]}}`,
		"a check of it": `{"kind":"ci_completed","subject":{"host":"git.example","repo_id":"acme/api","pr_number":42,"merge_sha":"` + mergeSHA + `"},"conclusion":"success"}`,
	} {
		e := outcome(t, data)
		meets := e.Outcome.Object == m.Outcome.Object
		for _, r := range e.Outcome.Reverts {
			meets = meets || r == m.Outcome.Object || r == m.Outcome.MergeSha
		}
		if !meets || e.Repository != m.Repository {
			t.Errorf("%s: %v does not name %v", name, e.Outcome, m.Outcome)
		}
	}
	issue := outcome(t, `{"kind":"issue_closed","subject":{"host":"git.example","repo_id":"acme/api","issue_id":7}}`)
	if issue.Outcome.Object != m.Outcome.Closes[0] {
		t.Error("the pull request closes another issue")
	}
	other := outcome(t, `{"kind":"pr_merged","subject":{"host":"git.example","repo_id":"acme/web","pr_number":42}}`)
	if other.Outcome.Object == m.Outcome.Object {
		t.Error("pull requests of two repositories are one object")
	}
	landed := outcome(t, `{"kind":"commit_landed","subject":{"host":"git.example","repo_id":"acme/api","sha":"`+mergeSHA+`"}}`)
	if landed.Outcome.MergeSha != m.Outcome.MergeSha {
		t.Error("a commit is not the merge it is")
	}
}

func TestOutcomeKinds(t *testing.T) {
	subject := `"subject":{"host":"h","repo_id":"r","project":"p","pr_number":1,"issue_id":"i","sha":"` + mergeSHA + `","env":"production"}`
	for number, name := range goodhartv1.OutcomeKind_name {
		kind := strings.ToLower(strings.TrimPrefix(name, "OUTCOME_KIND_"))
		events, rejected := decode(t, header(structured), outcomeBody(fmt.Sprintf(`{"kind":%q,%s}`, kind, subject)))
		if number == 0 {
			if len(rejected) != 1 || rejected[0].Field != "kind" {
				t.Errorf("%s: rejected %v", kind, rejected)
			}
			continue
		}
		if len(events) != 1 || int32(events[0].Outcome.Kind) != number || events[0].Outcome.Object == "" {
			t.Errorf("%s: %v, rejected %v", kind, events, rejected)
		}
	}
	if e := outcome(t, `{"kind":"deployment_failed","subject":{"host":"h","repo_id":"r","env":"production"}}`); e.Outcome.Object != "" || e.Outcome.Environment != "production" {
		t.Errorf("a deployment of nothing known: %v", e.Outcome)
	}
	if e := outcome(t, `{"kind":"ticket_done","subject":{"project":"ENG","issue_id":"ENG-1"},"author":{"login":"robot"},"is_bot":true}`); !strings.HasPrefix(e.Subject, "s_") || e.Repository == "" {
		t.Errorf("a bot: %v", e)
	}
	for data, want := range map[string]bool{`true`: true, `false`: false, `{}`: false, `{"label":""}`: false, `{"trailer":"Co-Authored-By: x"}`: true, `{"x":true}`: false} {
		e := outcome(t, `{"kind":"pr_opened","subject":{"pr_id":"1"},"evidence_of_ai":`+data+`}`)
		if e.Outcome.EvidenceOfAi == nil || *e.Outcome.EvidenceOfAi != want {
			t.Errorf("evidence %s: %v", data, e.Outcome.EvidenceOfAi)
		}
	}
}

func TestRejectedOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		data, reason, field string
	}{
		"no kind":        {`{}`, event.ReasonBadValue, "kind"},
		"unknown kind":   {`{"kind":"pr_admired"}`, event.ReasonBadValue, "kind"},
		"upper case":     {`{"kind":"PR_MERGED","subject":{"pr_id":"1"}}`, event.ReasonBadValue, "kind"},
		"no object":      {`{"kind":"pr_merged","subject":{"issue_id":"1"}}`, event.ReasonMissing, "subject.pr_number"},
		"no issue":       {`{"kind":"issue_closed","subject":{}}`, event.ReasonMissing, "subject.issue_id"},
		"short sha":      {`{"kind":"pr_merged","subject":{"pr_id":"1","merge_sha":"abcdef0"}}`, event.ReasonBadValue, "subject.merge_sha"},
		"bad link":       {`{"kind":"pr_merged","subject":{"pr_id":"1"},"links":{"reverts":["what:1"]}}`, event.ReasonBadValue, "links.reverts"},
		"negative lines": {`{"kind":"pr_merged","subject":{"pr_id":"1"},"size":{"additions":-1}}`, event.ReasonBadNumber, "size.additions"},
		"negative value": {`{"kind":"pr_merged","subject":{"pr_id":"1"},"value":-2}`, event.ReasonBadNumber, "value"},
		"value NaN":      {`{"kind":"pr_merged","subject":{"pr_id":"1"},"value":"NaN"}`, event.ReasonBadNumber, "value"},
		"bad final time": {`{"kind":"pr_merged","subject":{"pr_id":"1"},"finalises_at":"soon"}`, event.ReasonBadTime, "finalises_at"},
		"list":           {`[]`, event.ReasonMalformed, ""},
		"author number":  {`{"kind":"pr_merged","author":5}`, event.ReasonMalformed, "author"},
	} {
		events, rejected := decode(t, header(structured), outcomeBody(c.data))
		if len(events) != 0 || len(rejected) != 1 || rejected[0].Reason != c.reason || rejected[0].Field != c.field {
			t.Errorf("%s: %d events, rejected %+v, want %s of %s", name, len(events), rejected, c.reason, c.field)
		}
	}
}
