package cloudevents

import (
	"encoding/json"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/event"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// outcomeData is the data of ai.outcome.v1.
type outcomeData struct {
	Kind      string   `json:"kind"`
	Subject   subject  `json:"subject"`
	Author    person   `json:"author"`
	MergedBy  person   `json:"merged_by"`
	Reviewers []person `json:"reviewers"`

	IsBot       *bool  `json:"is_bot"`
	SelfMerged  *bool  `json:"self_merged"`
	Approvals   number `json:"independent_approvals"`
	Size        size   `json:"size"`
	Links       links  `json:"links"`
	Evidence    *proof `json:"evidence_of_ai"`
	FinalisesAt string `json:"finalises_at"`
	Conclusion  string `json:"conclusion"`
	RunAttempt  number `json:"run_attempt"`
	Value       number `json:"value"`
	Tool        string `json:"tool"`
	ToolVersion string `json:"tool_version"`
}

type subject struct {
	Host     string `json:"host"`
	RepoID   id     `json:"repo_id"`
	Project  id     `json:"project"`
	PRID     id     `json:"pr_id"`
	PRNumber id     `json:"pr_number"`
	IssueID  id     `json:"issue_id"`
	SHA      string `json:"sha"`
	HeadSHA  string `json:"head_sha"`
	MergeSHA string `json:"merge_sha"`
	Env      string `json:"env"`
	DeployID id     `json:"deployment_id"`
}

type size struct {
	Additions number `json:"additions"`
	Deletions number `json:"deletions"`
	Files     number `json:"files"`
	Commits   number `json:"commits"`
}

type links struct {
	Closes      []id `json:"closes"`
	Reverts     []id `json:"reverts"`
	CherryPicks []id `json:"cherry_picks"`
}

// proof is evidence that AI took part: a boolean, or what the evidence is.
type proof struct{ found bool }

// UnmarshalJSON accepts true, false or an object of which a member that is
// neither false nor empty is evidence.
func (p *proof) UnmarshalJSON(data []byte) error {
	if json.Unmarshal(data, &p.found) == nil {
		return nil
	}
	var kinds map[string]json.RawMessage
	if err := json.Unmarshal(data, &kinds); err != nil {
		return err
	}
	for _, kind := range []string{"trailer", "label", "commit_sha_seen_in_usage"} {
		switch string(kinds[kind]) {
		case "", "false", "null", `""`, "[]":
		default:
			p.found = true
		}
	}
	return nil
}

// kinds maps the names of outcomes to the enumeration, and to the kind of their
// object.
func kinds(name string) (kind goodhartv1.OutcomeKind, object string) {
	value, ok := goodhartv1.OutcomeKind_value["OUTCOME_KIND_"+strings.ToUpper(name)]
	if !ok || value == 0 || name != strings.ToLower(name) {
		return goodhartv1.OutcomeKind_OUTCOME_KIND_UNSPECIFIED, ""
	}
	object, _, _ = strings.Cut(name, "_")
	switch object {
	case "review":
		object = "pr"
	case "ci":
		object = "commit"
	}
	return goodhartv1.OutcomeKind(value), object
}

// outcome decodes the data of ai.outcome.v1.
func (it *item) outcome(d *event.Draft, data []byte) (*event.Draft, *event.Rejection) {
	var in outcomeData
	if err := json.Unmarshal(data, &in); err != nil {
		return it.reject(event.ReasonMalformed, typeField(err), "data is not an object of ai.outcome.v1")
	}
	kind, object := kinds(in.Kind)
	if object == "" {
		return it.reject(event.ReasonBadValue, "kind", "not a kind of outcome")
	}
	var r reader
	o := in.fill(kind, &r)
	d.Event.Kind, d.Event.Outcome = goodhartv1.EventKind_EVENT_KIND_OUTCOME, o
	d.Event.Tool, d.Event.ToolVersion = in.Tool, in.ToolVersion
	s := &in.Subject
	repository := string(s.RepoID)
	if repository == "" {
		repository = string(s.Project)
	}
	d.Repository = event.RepositoryID(s.Host, repository)
	ids := &event.OutcomeIDs{MergedBy: in.MergedBy.actor()}
	ids.Object = s.object(object, repository, &r)
	s.shas(ids, object, &r)
	for i := range in.Reviewers {
		ids.Reviewers = append(ids.Reviewers, in.Reviewers[i].actor())
	}
	link := func(field string, list []id) []event.Ref {
		refs := make([]event.Ref, 0, len(list))
		for _, name := range list {
			refs = append(refs, s.ref(field, string(name), object, repository, &r))
		}
		return refs
	}
	ids.Closes = link("links.closes", in.Links.Closes)
	ids.Reverts = link("links.reverts", in.Links.Reverts)
	ids.CherryPicks = link("links.cherry_picks", in.Links.CherryPicks)
	if r.fault != nil {
		return it.reject(r.fault.reason, r.fault.field, r.fault.detail)
	}
	d.Outcome, d.Actor = ids, in.Author.actor()
	d.Actor.Service = d.Actor.Service || in.IsBot != nil && *in.IsBot
	return d, nil
}

func (in *outcomeData) fill(kind goodhartv1.OutcomeKind, r *reader) *goodhartv1.Outcome {
	o := &goodhartv1.Outcome{
		Kind: kind, IsBot: in.IsBot, SelfMerged: in.SelfMerged,
		IndependentApprovals: r.count32("independent_approvals", in.Approvals),
		Additions:            r.count("size.additions", in.Size.Additions, event.MaxCount),
		Deletions:            r.count("size.deletions", in.Size.Deletions, event.MaxCount),
		Files:                r.count("size.files", in.Size.Files, event.MaxCount),
		Commits:              r.count("size.commits", in.Size.Commits, event.MaxCount),
		RunAttempt:           r.count32("run_attempt", in.RunAttempt),
		Conclusion:           in.Conclusion, Environment: in.Subject.Env,
	}
	if in.Evidence != nil {
		o.EvidenceOfAi = &in.Evidence.found
	}
	if points, ok := r.float("value", in.Value); ok {
		milli, problem := event.Count(float64(int64(points*1000+0.5)), event.MaxCount)
		if problem == "" {
			problem = event.Measure(points)
		}
		if problem != "" {
			r.fail(event.ReasonBadNumber, "value", string(problem))
		}
		o.ValueMillipoints = &milli
	}
	if in.FinalisesAt != "" {
		at, ok := parseTime(in.FinalisesAt)
		if !ok {
			r.fail(event.ReasonBadTime, "finalises_at", "not an RFC 3339 time")
		}
		o.FinalisesAtMs = &at
	}
	return o
}

// object spells the id of the object that an outcome is about.
func (s *subject) object(kind, repository string, r *reader) string {
	var name, field string
	pr := string(s.PRID)
	if pr == "" {
		pr = string(s.PRNumber)
	}
	switch kind {
	case "pr":
		name, field = pr, "subject.pr_number"
	case "commit":
		name, field = strings.ToLower(s.SHA), "subject.sha"
		if name == "" {
			name = strings.ToLower(s.HeadSHA)
		}
		if name == "" && pr != "" { // a check of a pull request
			kind, name = "pr", pr
		}
	case "deployment":
		switch {
		case s.DeployID != "":
			name = string(s.DeployID)
		case s.SHA != "":
			name = s.Env + "\x00" + strings.ToLower(s.SHA)
		default:
			return "" // that one failed is worth knowing; no credit hangs on it
		}
	default:
		name, field = string(s.IssueID), "subject.issue_id"
	}
	if name == "" {
		r.fail(event.ReasonMissing, field, "the outcome names no object")
	}
	return event.ObjectID(s.Host, repository, kind, name)
}

// shas sets the commits by which later outcomes may name this one.
func (s *subject) shas(ids *event.OutcomeIDs, kind string, r *reader) {
	ids.MergeSHA, ids.HeadSHA = s.MergeSHA, s.HeadSHA
	if kind == "commit" && ids.MergeSHA == "" {
		ids.MergeSHA = s.SHA
	}
	if ids.HeadSHA == "" {
		ids.HeadSHA = s.SHA
	}
	for _, sha := range []struct{ field, value string }{
		{"subject.merge_sha", s.MergeSHA}, {"subject.head_sha", s.HeadSHA}, {"subject.sha", s.SHA},
	} {
		if sha.value != "" && !isSHA(sha.value) {
			r.fail(event.ReasonBadValue, sha.field, "want the 40 or 64 hex digits of a full commit id")
		}
	}
}

// ref reads a link: a full commit id, kind:id, or the id of an object of the
// same kind as the outcome's; in the same repository.
func (s *subject) ref(field, name, kind, repository string, r *reader) event.Ref {
	if isSHA(name) {
		return event.Ref{SHA: name}
	}
	prefix, rest, found := strings.Cut(name, ":")
	switch {
	case found && prefix == "sha" && isSHA(rest):
		return event.Ref{SHA: rest}
	case found && (prefix == "pr" || prefix == "issue" || prefix == "ticket") && rest != "":
		kind, name = prefix, rest
	case name == "" || found:
		r.fail(event.ReasonBadValue, field, "want a full commit id, pr:id, issue:id, ticket:id or an id")
	}
	return event.Ref{Object: event.ObjectID(s.Host, repository, kind, name)}
}

func isSHA(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}
