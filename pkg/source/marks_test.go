package source_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/cloudevents"
	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
)

// mark is put in one place at a time. It has the form of a label and the
// alphabet of every id, so that nothing but an allow-list can stop it; the
// second form is what content looks like.
const (
	mark   = "zqmark-7f3a"
	inside = "see /home/ada/zqmark-7f3a.go and ada@zqmark-7f3a.example"
)

// literals are all strings in the source of the adapters that could be the name
// of an attribute, and some that no adapter knows.
func literals(t *testing.T, dirs ...string) []string {
	t.Helper()
	set := map[string]bool{
		"unknown.key": true, "user.name": true, "prompt": true, "response": true, "body": true, "error": true, "tool_input": true,
		"code.filepath": true, "gen_ai.input.messages": true, "gen_ai.output.messages": true, "gen_ai.system_instructions": true,
		"gen_ai.tool.name": true, "gen_ai.tool.call.arguments": true, "input.value": true, "output.value": true, "url.full": true,
		"server.address": true, "organization.id": true, "terminal.type": true, "workspace.host_paths": true, "skill.name": true,
		"exception.message": true, "host.name": true, "os.version": true, "process.command_line": true, "db.statement": true,
	}
	word := regexp.MustCompile(`"([A-Za-z][A-Za-z0-9_.]{1,63})"`)
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no source in %s: %v", dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range word.FindAllSubmatch(raw, -1) {
				set[string(m[1])] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// leak says where a mark came out: fields of the event as JSON, the Kafka key,
// or the rejection.
func leak(t *testing.T, drafts []event.Draft, rejected []event.Rejection) []string {
	t.Helper()
	var places []string
	s := stamper()
	for i := range drafts {
		d := &drafts[i]
		key, rej := s.Stamp(d, credential(), now)
		if rej != nil {
			rejected = append(rejected, *rej)
			continue
		}
		if strings.Contains(string(key), mark) {
			places = append(places, "key")
		}
		raw, err := d.Event.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(raw, []byte("zqmark")) {
			continue
		}
		places = append(places, fields(t, d.Event)...)
	}
	for i := range rejected {
		if strings.Contains(fmt.Sprintf("%+v", rejected[i]), "zqmark") {
			places = append(places, "rejection")
		}
	}
	return places
}

// fields names the leaves of v that hold a mark.
func fields(t *testing.T, v any) []string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	var found []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if key, ok := v["key"].(string); ok { // a label of an activity
				path += "." + key
			}
			for name, inner := range v {
				walk(strings.TrimPrefix(path+"."+name, "."), inner)
			}
		case []any:
			for _, inner := range v {
				walk(path, inner)
			}
		case string:
			if strings.Contains(v, "zqmark") {
				found = append(found, path)
			}
		}
	}
	walk("", tree)
	slices.Sort(found)
	return found
}

// check marks each attribute in turn and compares where marks came out with
// the labels that may pass.
func check(t *testing.T, name string, places []string, decode func(place string, value any) ([]event.Draft, []event.Rejection), allowed map[string]string) {
	t.Helper()
	got := map[string]string{}
	for _, place := range places {
		drafts, rejected := decode(place, mark)
		if leaks := leak(t, drafts, rejected); len(leaks) > 0 {
			got[place] = strings.Join(leaks, " ")
		}
		drafts, rejected = decode(place, inside)
		if leaks := leak(t, drafts, rejected); len(leaks) > 0 {
			t.Errorf("%s: content in %s comes out in %v", name, place, leaks)
		}
	}
	if diff := cmp.Diff(allowed, got); diff != "" {
		t.Errorf("%s: labels that pass: %s", name, diff)
	}
}

// both makes places of attribute names: on the record and on the resource.
func both(names []string) []string {
	var places []string
	for _, name := range names {
		places = append(places, "record "+name, "resource "+name)
	}
	return places
}

// split puts a mark on a record or its resource.
func split(place string, value any, resource, record attrs) (attrs, attrs) {
	where, name, _ := strings.Cut(place, " ")
	switch where {
	case "record":
		record = record.with(name, value)
	case "resource":
		resource = resource.with(name, value)
	}
	return resource, record
}

func TestNoMarkPassesLogs(t *testing.T) {
	places := append(both(literals(t, "record", "otlp", "claudecode", "genai")), "body", "eventName", "scope name", "scope version", "severity", "schema")
	decodeLog := func(base attrs) func(string, any) ([]event.Draft, []event.Rejection) {
		return func(place string, value any) ([]event.Draft, []event.Rejection) {
			resource, record := split(place, value, claudeResource(), base)
			ld := logs(t, resource, record)
			text := fmt.Sprint(value)
			rl := ld.ResourceLogs().At(0)
			lr := rl.ScopeLogs().At(0).LogRecords().At(0)
			switch place {
			case "body":
				lr.Body().SetStr(text)
			case "eventName":
				lr.SetEventName(text)
			case "scope name":
				rl.ScopeLogs().At(0).Scope().SetName(text)
			case "scope version":
				rl.ScopeLogs().At(0).Scope().SetVersion(text)
			case "severity":
				lr.SetSeverityText(text)
			case "schema":
				rl.SetSchemaUrl(text)
			}
			drafts, rejected, err := otlp.DecodeLogs(otlp.Protobuf, marshal(t, ld))
			if err != nil {
				t.Fatal(err)
			}
			return drafts, rejected
		}
	}
	check(t, "api_request", places, decodeLog(claudeRequest(1)), map[string]string{
		"resource service.name": "tool", "resource service.version": "tool_version",
		"record model": "usage.model usage.request_model", "record query_source": "usage.query_source",
		"record agent.name": "usage.agent_name", "record stop_reason": "usage.finish_reason",
	})
	common := map[string]string{"resource service.name": "tool", "resource service.version": "tool_version"}
	with := func(labels ...string) map[string]string {
		m := maps.Clone(common)
		for _, l := range labels {
			m["record "+l] = "activity.labels." + l + ".value"
		}
		return m
	}
	for name, allowed := range map[string]map[string]string{
		"tool_result":           with("error_type"),
		"api_error":             with("error_type", "model", "query_source"),
		"internal_error":        with("error_name", "error_code"),
		"mcp_server_connection": with("error_code"),
		"auth":                  with("error_category"),
		"user_prompt":           common,
		"assistant_response":    with("model", "query_source"),
		"api_request_body":      with("model", "query_source"),
		"skill_activated":       common,
		"brand_new":             common,
	} {
		check(t, name, places, decodeLog(toolResult(1).with("event.name", name)), allowed)
	}
}

func TestNoMarkPassesSpans(t *testing.T) {
	places := append(both(literals(t, "record", "otlp", "claudecode", "genai")),
		"name", "status", "state", "event name", "event attribute", "link", "scope attribute")
	decodeSpan := func(scope, name string, base attrs) func(string, any) ([]event.Draft, []event.Rejection) {
		return func(place string, value any) ([]event.Draft, []event.Rejection) {
			resource, record := split(place, value, attrs{"service.name": "svc"}, base)
			td := traces(t, scope, name, resource, record)
			ss := td.ResourceSpans().At(0).ScopeSpans().At(0)
			span, text := ss.Spans().At(0), fmt.Sprint(value)
			switch place {
			case "name":
				span.SetName(text)
			case "status":
				span.Status().SetCode(ptrace.StatusCodeError)
				span.Status().SetMessage(text)
			case "state":
				span.TraceState().FromRaw(text)
			case "event name":
				span.Events().AppendEmpty().SetName(text)
			case "event attribute":
				span.Events().AppendEmpty().Attributes().PutStr("gen_ai.prompt", text)
			case "link":
				span.Links().AppendEmpty().Attributes().PutStr("gen_ai.request.model", text)
			case "scope attribute":
				ss.Scope().Attributes().PutStr("gen_ai.request.model", text)
			}
			drafts, rejected, err := otlp.DecodeTraces(otlp.Protobuf, marshal(t, td))
			if err != nil {
				t.Fatal(err)
			}
			return drafts, rejected
		}
	}
	common := map[string]string{"resource service.name": "tool", "resource service.version": "tool_version"}
	chat := maps.Clone(common)
	for name, field := range map[string]string{
		"gen_ai.provider.name": "provider_name", "gen_ai.request.model": "request_model", "gen_ai.response.model": "model usage.response_model",
		"gen_ai.agent.name": "agent_name", "gen_ai.response.finish_reasons": "finish_reason", "error.type": "error_type",
		"gen_ai.response.service_tier": "price_tier", "gen_ai.request.service_tier": "price_tier",
		"gen_ai.openai.response.service_tier": "price_tier", "gen_ai.openai.request.service_tier": "price_tier",
		"openai.response.service_tier": "price_tier", "openai.request.service_tier": "price_tier",
	} {
		chat["record "+name] = "usage." + field
	}
	check(t, "chat", places, decodeSpan("x", "chat m", genaiSpan()), chat)
	check(t, "execute_tool", places, decodeSpan("x", "tool", attrs{"gen_ai.operation.name": "execute_tool"}), common)
	request := maps.Clone(common)
	maps.Copy(request, map[string]string{
		"record model": "usage.model usage.request_model", "record query_source": "usage.query_source",
		"record agent.name": "usage.agent_name", "record stop_reason": "usage.finish_reason",
		"record gen_ai.request.model": "", // the model comes first
	})
	delete(request, "record gen_ai.request.model")
	check(t, "llm_request", places, decodeSpan("com.anthropic.claude_code.tracing", "claude_code.llm_request", claudeRequest(1)), request)
	check(t, "tool", places, decodeSpan("com.anthropic.claude_code.tracing", "claude_code.tool", toolResult(1)), common)
}

func TestNoMarkPassesMetrics(t *testing.T) {
	places := append(both(literals(t, "record", "otlp", "claudecode", "genai")), "metric name", "description", "unit", "exemplar")
	decodePoint := func(scope, name string, base attrs) func(string, any) ([]event.Draft, []event.Rejection) {
		return func(place string, value any) ([]event.Draft, []event.Rejection) {
			resource, record := split(place, value, claudeResource(), base)
			md := counters(t, scope, name, resource, record)
			m, text := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0), fmt.Sprint(value)
			switch place {
			case "metric name":
				m.SetName(text)
			case "description":
				m.SetDescription(text)
			case "unit":
				m.SetUnit(text)
			case "exemplar":
				m.Sum().DataPoints().At(0).Exemplars().AppendEmpty().FilteredAttributes().PutStr("model", text)
			}
			drafts, rejected, err := otlp.DecodeMetrics(otlp.Protobuf, marshal(t, md))
			if err != nil {
				t.Fatal(err)
			}
			return drafts, rejected
		}
	}
	const scope = "com.anthropic.claude_code"
	common := map[string]string{"resource service.name": "tool", "resource service.version": "tool_version"}
	tokens := maps.Clone(common)
	maps.Copy(tokens, map[string]string{
		"record model": "usage.model usage.request_model", "record gen_ai.request.model": "usage.model usage.request_model",
		"record query_source": "usage.query_source", "record agent.name": "usage.agent_name",
	})
	check(t, "token.usage", places, decodePoint(scope, "claude_code.token.usage", attrs{"type": "input"}), tokens)
	check(t, "commit.count", places, decodePoint(scope, "claude_code.commit.count", attrs{}), common)
	lines := maps.Clone(common)
	lines["record model"] = "activity.labels.model.value"
	check(t, "lines_of_code.count", places, decodePoint(scope, "claude_code.lines_of_code.count", attrs{}), lines)
	decision := maps.Clone(common)
	decision["record language"] = "activity.labels.language.value"
	check(t, "code_edit_tool.decision", places, decodePoint(scope, "claude_code.code_edit_tool.decision", attrs{}), decision)
}

func TestNoMarkPassesCloudEvents(t *testing.T) {
	names := literals(t, "cloudevents")
	for _, tag := range tags(t, "cloudevents") {
		if !slices.Contains(names, tag) {
			names = append(names, tag)
		}
	}
	decodeEvent := func(kind string, data attrs, mode string) func(string, any) ([]event.Draft, []event.Rejection) {
		return func(place string, value any) ([]event.Draft, []event.Rejection) {
			e := attrs{"specversion": "1.0", "id": "1", "source": "s", "type": kind, "time": "2026-11-02T09:30:00Z"}
			where, name, _ := strings.Cut(place, " ")
			payload := data
			switch where {
			case "data":
				payload = nest(data, name, value)
			default:
				e = e.with(name, value)
			}
			h := http.Header{}
			var body []byte
			if mode == "binary" {
				h.Set("Content-Type", "application/json")
				for key, v := range e {
					if key != "data" && key != "data_base64" {
						h.Set("Ce-"+key, fmt.Sprint(v))
					}
				}
				body = marshal(t, payload)
			} else {
				h.Set("Content-Type", "application/cloudevents+json")
				if _, marked := e["data"]; !marked {
					e = e.with("data", payload)
				}
				if mode == "base64" && where == "data" {
					delete(e, "data")
					e["data_base64"] = base64.StdEncoding.EncodeToString(marshal(t, payload))
				}
				body = marshal(t, e)
			}
			drafts, rejected, err := cloudevents.Decode(h, body)
			if err != nil {
				return nil, nil // nothing comes of it
			}
			return drafts, rejected
		}
	}
	var places []string
	for _, name := range names {
		places = append(places, "data "+name, "event "+name)
		for _, group := range []string{"tokens", "cost", "actor", "author", "merged_by", "subject", "size", "links", "evidence_of_ai"} {
			places = append(places, "data "+group+"/"+name)
		}
	}
	places = append(places, "event myextension", "data reviewers/0", "data links/reverts/0")
	usage := map[string]string{
		"data tool": "tool", "data tool_version": "tool_version", "data gen_ai.provider.name": "usage.provider_name",
		"data gen_ai.request.model": "usage.model usage.request_model", "data gen_ai.response.model": "usage.model usage.response_model",
		"data query_source": "usage.query_source", "data gen_ai.agent.name": "usage.agent_name", "data error.type": "usage.error_type",
		"data finish_reason": "usage.finish_reason", "data price_tier": "usage.price_tier",
	}
	outcome := map[string]string{
		"data tool": "tool", "data tool_version": "tool_version", "data conclusion": "outcome.conclusion", "data subject/env": "outcome.environment",
	}
	merged := attrs{"kind": "pr_merged", "subject": attrs{"host": "h", "repo_id": "r", "pr_number": 1}, "author": attrs{"login": "ada"}}
	for _, mode := range []string{"structured", "base64", "binary"} {
		check(t, "usage, "+mode, places, decodeEvent("ai.usage.v1", attrs{}, mode), usage)
		check(t, "outcome, "+mode, places, decodeEvent("ai.outcome.v1", merged, mode), outcome)
	}
}

// nest sets a value at a path of members; a number is an element of a list.
func nest(data attrs, path string, value any) attrs {
	name, rest, deeper := strings.Cut(path, "/")
	switch {
	case !deeper:
		return data.with(name, value)
	case rest == "0":
		return data.with(name, []any{value})
	}
	inner, _ := data[name].(attrs)
	if inner == nil {
		inner = attrs{}
	}
	return data.with(name, nest(inner, rest, value))
}

// tags are the JSON names in the source of a package.
func tags(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	tag := regexp.MustCompile("`json:\"([^\"]+)\"`")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range tag.FindAllSubmatch(raw, -1) {
			names = append(names, string(m[1]))
		}
	}
	if len(names) < 50 {
		t.Fatalf("only %d JSON names found", len(names))
	}
	return names
}

// Messages and prompts are read, and nothing of them stays but numbers.
func TestNoMarkPassesContent(t *testing.T) {
	long := strings.Repeat(mark+" "+inside+" ", 300)
	ask := fmt.Sprintf(`[{"role":%q,"parts":[{"type":"text","content":%q}]}]`, mark, long)
	act := fmt.Sprintf(`[{"role":"assistant","finish_reason":%q,"parts":[{"type":"tool_call","name":%q,"arguments":{"path":%q}}]}]`, mark, mark, inside)
	td := traces(t, "x", "chat", attrs{"service.name": "svc"}, genaiSpan().with("gen_ai.input.messages", ask).with("gen_ai.output.messages", act))
	drafts, rejected := otlp.FromTraces(td)
	if leaks := leak(t, drafts, rejected); len(leaks) > 0 || len(drafts) != 1 {
		t.Fatalf("%d drafts, marks in %v", len(drafts), leaks)
	}
	u := drafts[0].Event.Usage
	if u.H64 == nil || u.TargetH64 == nil || u.KappaPpm == nil || u.GetNewTurnTokens() < 2048 {
		t.Errorf("turn %v, target %v, ratio %v, tokens %d: want all of them", u.H64, u.TargetH64, u.KappaPpm, u.GetNewTurnTokens())
	}
	prompt := attrs{"event.name": "user_prompt", "session.id": "s", "prompt": long, "prompt_length": len(long)}
	drafts, rejected = otlp.FromLogs(logs(t, claudeResource(), prompt))
	if leaks := leak(t, drafts, rejected); len(leaks) > 0 || len(drafts) != 1 {
		t.Fatalf("%d drafts, marks in %v", len(drafts), leaks)
	}
	if n := drafts[0].Event.Activity.Numbers; len(n) != 2 || n[0].Key != event.KappaPPM {
		t.Errorf("numbers of a prompt: %v", n)
	}
}

// A mark in every place at once, in the JSON encoding and among records that do
// not decode.
func TestNoMarkPassesTheFallback(t *testing.T) {
	body, err := (&plog.JSONMarshaler{}).MarshalLogs(logs(t, claudeResource().with("secret", mark), claudeRequest(1).with("my.prompt", mark)))
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Replace(body, []byte(`"logRecords":[`), []byte(`"logRecords":[{"timeUnixNano":"zqmark","zqmark-7f3a":{"zqmark-7f3a":["zqmark-7f3a"]}},`), 1)
	drafts, rejected, err := otlp.DecodeLogs(otlp.JSON, bad)
	if err != nil || len(drafts) != 1 || len(rejected) != 1 {
		t.Fatalf("%d drafts, %d rejected, %v", len(drafts), len(rejected), err)
	}
	if leaks := leak(t, drafts, rejected); len(leaks) > 0 {
		t.Errorf("marks in %v", leaks)
	}
}
