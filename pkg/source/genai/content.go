package genai

import (
	"encoding/json"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/goodhartlabs/goodhart/pkg/event"
)

// maxMessages is the longest list of messages that is read, in bytes of JSON: a
// conversation is sent whole with each of its requests.
const maxMessages = 4 << 20

// quoted are the messages of a request and its answer, where the client sends
// them: a list, or the JSON of one.
type quoted struct{ asked, answered pcommon.Value }

// content returns what reads the messages; nil where there are none.
func (f *fields) content() func() event.Content {
	q := f.quoted
	none := pcommon.Value{}
	if q.asked == none && q.answered == none {
		return nil
	}
	return func() (c event.Content) {
		if q.asked != none {
			c.Turn = newTurn(messagesOf(q.asked))
		}
		if q.answered != none {
			c.Target, c.TargetKnown = target(messagesOf(q.answered))
		}
		return c
	}
}

// message is one message by the conventions; older clients have no parts.
type message struct {
	Role    string          `json:"role"`
	Parts   json.RawMessage `json:"parts"`
	Content json.RawMessage `json:"content"`
}

// part is one part of a message: a text, a tool call, what a tool answered, or
// something that is attached.
type part struct {
	Type      string          `json:"type"`
	Content   json.RawMessage `json:"content"`
	Response  json.RawMessage `json:"response"`
	Result    json.RawMessage `json:"result"`
	URI       json.RawMessage `json:"uri"`
	FileID    json.RawMessage `json:"file_id"`
	Arguments json.RawMessage `json:"arguments"`
}

// messagesOf decodes a list of messages; nil if it is none.
func messagesOf(v pcommon.Value) (list []message) {
	text := v.AsString()
	if len(text) > maxMessages || json.Unmarshal([]byte(text), &list) != nil {
		return nil
	}
	return list
}

// newTurn joins what stands behind the last answer: what a person wrote, what
// tools gave back, what is attached.
func newTurn(list []message) string {
	first := 0
	for i, m := range list {
		if m.Role == "assistant" || m.Role == "model" {
			first = i + 1
		}
	}
	var texts []string
	for _, m := range list[first:] {
		if m.Role == "system" || m.Role == "developer" {
			continue
		}
		if len(m.Parts) == 0 {
			texts = append(texts, text(m.Content))
			continue
		}
		var parts []part
		if json.Unmarshal(m.Parts, &parts) != nil {
			return ""
		}
		for _, p := range parts {
			for _, raw := range [...]json.RawMessage{p.Content, p.Response, p.Result, p.URI, p.FileID} {
				if len(raw) > 0 {
					texts = append(texts, text(raw))
				}
			}
		}
	}
	return strings.Join(texts, "\n")
}

// target names what the tool calls of an answer act on, and reports whether that
// is known: an answer without calls acts on nothing, but a call whose arguments
// name nothing that we know, such as a shell's, may act on anything.
func target(list []message) (name string, known bool) {
	var names []string
	for _, m := range list {
		var parts []part
		if len(m.Parts) == 0 || json.Unmarshal(m.Parts, &parts) != nil {
			return "", false
		}
		for _, p := range parts {
			if p.Type != "tool_call" {
				continue
			}
			on := object(p.Arguments)
			if on == "" {
				return "", false
			}
			names = append(names, on)
		}
	}
	return strings.Join(names, "\n"), len(list) > 0
}

// object is the file or ticket in the arguments of a tool call, empty if there
// is none.
func object(arguments json.RawMessage) string {
	if len(arguments) > 0 && arguments[0] == '"' { // JSON in JSON
		arguments = json.RawMessage(text(arguments))
	}
	var named map[string]json.RawMessage
	if json.Unmarshal(arguments, &named) != nil {
		return ""
	}
	for _, key := range [...]string{
		"file_path", "filePath", "notebook_path", "absolute_path", "target_file", "relative_path", "path", "filename", "file",
		"issue_key", "issueIdOrKey", "issue_id", "issue_number", "ticket", "ticket_id", "pull_number", "pullNumber",
		"merge_request_iid", "uri", "url",
	} {
		if raw := named[key]; len(raw) > 0 && raw[0] != '{' && raw[0] != '[' && string(raw) != "null" {
			return text(raw)
		}
	}
	return ""
}

// text is a JSON string, or other JSON as it stands.
func text(raw json.RawMessage) string {
	var s string
	if len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
