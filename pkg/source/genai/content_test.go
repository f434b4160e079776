package genai

import (
	"encoding/json"
	"testing"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// value is an attribute that holds a list of messages, as JSON and as a list.
func value(t *testing.T, text string) (asJSON, structured pcommon.Value) {
	t.Helper()
	var raw any
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatal(err)
	}
	structured = pcommon.NewValueEmpty()
	if err := structured.FromRaw(raw); err != nil {
		t.Fatal(err)
	}
	return pcommon.NewValueStr(text), structured
}

func TestTheNewTurnStandsBehindTheLastAnswer(t *testing.T) {
	for name, c := range map[string]struct{ messages, want string }{
		"first question": {
			`[{"role":"system","parts":[{"type":"text","content":"be brief"}]},{"role":"user","parts":[{"type":"text","content":"why?"}]}]`, "why?",
		},
		"second question": {`[{"role":"user","parts":[{"type":"text","content":"why?"}]},
			{"role":"assistant","parts":[{"type":"text","content":"because"}]},
			{"role":"user","parts":[{"type":"text","content":"and"},{"type":"text","content":"how?"}]}]`, "and\nhow?"},
		"answer of a tool": {`[{"role":"user","parts":[{"type":"text","content":"why?"}]},
			{"role":"assistant","parts":[{"type":"tool_call","id":"1","name":"read","arguments":{"path":"a"}}]},
			{"role":"tool","parts":[{"type":"tool_call_response","id":"1","response":{"lines":3}}]}]`, `{"lines":3}`},
		"attached":        {`[{"role":"user","parts":[{"type":"text","content":"what is it?"},{"type":"uri","modality":"image","uri":"s3://b/c"}]}]`, "what is it?\ns3://b/c"},
		"older clients":   {`[{"role":"user","content":"why?"},{"role":"assistant","content":"because"},{"role":"user","content":"how?"}]`, "how?"},
		"nothing new":     {`[{"role":"user","content":"why?"},{"role":"model","content":"because"}]`, ""},
		"no list":         {`"secret"`, ""},
		"a list of words": {`["why?"]`, ""},
		"parts of words":  {`[{"role":"user","parts":["why?"]}]`, ""},
	} {
		asJSON, structured := value(t, c.messages)
		for form, v := range map[string]pcommon.Value{"JSON": asJSON, "list": structured} {
			if got := newTurn(messagesOf(v)); got != c.want {
				t.Errorf("%s as %s: %q: want %q", name, form, got, c.want)
			}
		}
	}
}

func TestTheTargetIsWhatToolCallsActOn(t *testing.T) {
	call := func(arguments string) string {
		return `[{"role":"assistant","parts":[{"type":"text","content":"I will"},{"type":"tool_call","name":"x","arguments":` + arguments + `}]}]`
	}
	for name, c := range map[string]struct {
		messages, want string
		known          bool
	}{
		"a file":            {call(`{"file_path":"/src/a.go","old":"x"}`), "/src/a.go", true},
		"arguments as text": {call(`"{\"path\":\"a.go\"}"`), "a.go", true},
		"a ticket":          {call(`{"issue_number":42,"owner":"acme"}`), "42", true},
		"two files": {
			`[{"role":"assistant","parts":[{"type":"tool_call","arguments":{"path":"a"}},{"type":"tool_call","arguments":{"path":"b"}}]}]`, "a\nb", true,
		},
		"a shell":           {call(`{"command":"rm a.go"}`), "", false},
		"no arguments":      {`[{"role":"assistant","parts":[{"type":"tool_call","name":"x"}]}]`, "", false},
		"an object":         {call(`{"path":{"deep":1}}`), "", false},
		"nothing but words": {`[{"role":"assistant","parts":[{"type":"text","content":"because"}]}]`, "", true},
		"no answer":         {`[]`, "", false},
		"an older answer":   {`[{"role":"assistant","content":"because"}]`, "", false},
		"no list":           {`"secret"`, "", false},
	} {
		asJSON, structured := value(t, c.messages)
		for form, v := range map[string]pcommon.Value{"JSON": asJSON, "list": structured} {
			if got, known := target(messagesOf(v)); got != c.want || known != c.known {
				t.Errorf("%s as %s: %q, known %v: want %q, %v", name, form, got, known, c.want, c.known)
			}
		}
	}
}
