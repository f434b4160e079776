package wire

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/goodhartlabs/goodhart/services/simulate/client"
	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
)

// cloudEvent is an event in the JSON format. Absent fields are not sent.
type cloudEvent struct {
	SpecVersion string `json:"specversion"`
	ID          string `json:"id,omitempty"`
	Source      string `json:"source"`
	Type        string `json:"type"`
	Time        string `json:"time"`
	ContentType string `json:"datacontenttype"`
	Data        any    `json:"data"`
}

// cloudEvents encodes usage and outcomes in one of the three modes of the HTTP
// binding.
func cloudEvents(m *client.Message, r *traffic.Request) error {
	m.Path = "/v1/events"
	events := make([]cloudEvent, 0, len(r.Items))
	for i := range r.Items {
		if r.Signal == traffic.Outcomes {
			events = append(events, outcomeEvent(r.Items[i].Outcome))
			continue
		}
		events = append(events, usageEvent(&r.Items[i]))
	}
	var payload any = events
	switch r.Encoding {
	case traffic.Structured:
		payload = events[0]
		m.Header.Set("Content-Type", "application/cloudevents+json; charset=UTF-8")
	case traffic.Binary:
		e := events[0]
		payload = e.Data
		m.Header.Set("Content-Type", "application/json")
		for name, value := range map[string]string{
			"Ce-Specversion": e.SpecVersion, "Ce-Id": e.ID, "Ce-Source": e.Source, "Ce-Type": e.Type, "Ce-Time": e.Time,
		} {
			if value != "" {
				m.Header.Set(name, value)
			}
		}
	default:
		m.Header.Set("Content-Type", "application/cloudevents-batch+json")
	}
	body, err := json.Marshal(payload)
	m.Body = body
	return err
}

type usageData struct {
	Operation    string    `json:"gen_ai.operation.name"`
	Provider     string    `json:"gen_ai.provider.name"`
	Model        string    `json:"gen_ai.request.model"`
	Conversation string    `json:"gen_ai.conversation.id"`
	RequestID    string    `json:"request_id"`
	Tokens       tokenData `json:"tokens"`
	DurationMs   int64     `json:"duration_ms"`
	Status       string    `json:"status"`
	Prompt       string    `json:"prompt"`
}

type tokenData struct {
	InputTotal  int64 `json:"input_total"`
	CacheRead   int64 `json:"cache_read"`
	OutputTotal int64 `json:"output_total"`
}

func usageEvent(it *traffic.Item) cloudEvent {
	c, s := it.Call, it.Session
	input := c.Input + c.CacheRead
	if it.Fault == traffic.NegativeCount {
		input = -7
	}
	e := cloudEvent{
		SpecVersion: "1.0", ID: c.RequestID, Source: "//batch.acme.example/nightly", Type: "ai.usage.v1",
		Time: iso(c.End), ContentType: "application/json",
		Data: usageData{
			Operation: "chat", Provider: s.Provider, Model: c.Model, Conversation: s.ID, RequestID: c.RequestID,
			Tokens:     tokenData{InputTotal: input, CacheRead: c.CacheRead, OutputTotal: c.Output},
			DurationMs: c.DurationMs, Status: "ok", Prompt: traffic.Mark,
		},
	}
	if it.Fault == traffic.NoID {
		e.ID = ""
	}
	return e
}

type outcomeData struct {
	Kind       string      `json:"kind"`
	Subject    subjectData `json:"subject"`
	Author     string      `json:"author"`
	Size       *sizeData   `json:"size,omitempty"`
	Links      *linksData  `json:"links,omitempty"`
	Conclusion string      `json:"conclusion,omitempty"`
	Title      string      `json:"title"`
}

type subjectData struct {
	Host     string `json:"host"`
	RepoID   string `json:"repo_id"`
	PRNumber int    `json:"pr_number,omitempty"`
	IssueID  string `json:"issue_id,omitempty"`
	SHA      string `json:"sha,omitempty"`
	MergeSHA string `json:"merge_sha,omitempty"`
	Env      string `json:"env,omitempty"`
}

type sizeData struct {
	Additions int64 `json:"additions"`
	Deletions int64 `json:"deletions"`
}

type linksData struct {
	Reverts []string `json:"reverts"`
}

func outcomeEvent(o *traffic.Outcome) cloudEvent {
	d := outcomeData{
		Kind: o.Kind, Author: o.Author.Login, Title: traffic.Mark,
		Subject: subjectData{Host: "git.acme.example", RepoID: o.Repo},
	}
	switch {
	case strings.HasPrefix(o.Kind, "ticket"):
		d.Subject.Host, d.Subject.IssueID = "tracker.acme.example", o.Repo+"#"+strconv.Itoa(o.Number)
	case strings.HasPrefix(o.Kind, "deployment"):
		d.Subject.Env, d.Subject.SHA = "production", o.Sha
	default:
		d.Subject.PRNumber, d.Subject.MergeSHA = o.Number, o.Sha
		d.Size = &sizeData{Additions: o.Lines, Deletions: o.Lines / 3}
	}
	if o.Kind == traffic.CICompleted {
		d.Conclusion = "success"
	}
	if o.Kind == traffic.PRReverted {
		d.Links = &linksData{Reverts: []string{o.Reverts}}
	}
	return cloudEvent{
		SpecVersion: "1.0", ID: o.ID, Source: "//git.acme.example/" + o.Repo, Type: "ai.outcome.v1",
		Time: iso(o.At), ContentType: "application/json", Data: d,
	}
}
