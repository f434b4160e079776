package collector

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	typeBatch      = "application/cloudevents-batch+json"
	typeStructured = "application/cloudevents+json"
	ciKey          = "Bearer " + ciSecret
)

func usageEvent(id, tokens string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"//gateway","type":"ai.usage.v1","time":%q,
		"data":{"gen_ai.request.model":"claude-sonnet-4-5","request_id":%q,"tokens":{"input_total":%s,"output_total":7}}}`,
		id, time.Now().UTC().Format(time.RFC3339), "req_"+id, tokens)
}

func outcomeEvent(id, kind string) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":"//forge","type":"ai.outcome.v1","time":%q,
		"data":{"kind":%q,"subject":{"host":"forge.example","repo_id":"42","pr_number":"17","merge_sha":"%s"},
		"author":{"email":"ada@acme.example"}}}`,
		id, time.Now().UTC().Format(time.RFC3339), kind, strings.Repeat("ab", 20))
}

func answerOf(t *testing.T, res reply) eventsAnswer {
	t.Helper()
	var a eventsAnswer
	if err := json.Unmarshal(res.body, &a); err != nil {
		t.Fatalf("answer %q: %v", res.body, err)
	}
	return a
}

func TestCloudEventsInThreeModes(t *testing.T) {
	r := start(t, nil)
	f := func(name string, c call, events int) {
		t.Helper()
		before := len(r.events())
		c.path, c.secret = eventsPath, ciKey
		res := r.post(c)
		a := answerOf(t, res)
		if res.code != http.StatusOK || res.header.Get("Content-Type") != typeJSON || a.Accepted != events || a.Rejected != 0 || len(a.Items) != events {
			t.Errorf("%s: status %d: %s", name, res.code, res.body)
		}
		if n := len(r.events()) - before; n != events {
			t.Errorf("%s: %d events, want %d", name, n, events)
		}
	}
	f("structured", call{contentType: typeStructured, body: strings.NewReader(usageEvent("1", "5"))}, 1)
	f("structured, charset", call{contentType: typeStructured + "; charset=UTF-8", body: strings.NewReader(outcomeEvent("2", "pr_merged"))}, 1)
	f("batch", call{contentType: typeBatch, body: strings.NewReader("[" + usageEvent("3", "5") + "," + outcomeEvent("4", "pr_opened") + "]")}, 2)
	f("empty batch", call{contentType: typeBatch, body: strings.NewReader("[]")}, 0)
	f("gzip", call{contentType: typeBatch, encoding: "gzip", body: strings.NewReader(string(gzipped(t, []byte("["+usageEvent("5", "5")+"]"))))}, 1)
	f("binary", call{
		contentType: "application/json", body: strings.NewReader(`{"gen_ai.request.model":"claude-sonnet-4-5","tokens":{"output_total":7}}`),
		headers: map[string]string{"ce-specversion": "1.0", "ce-id": "6", "ce-source": "//gateway", "ce-type": "ai.usage.v1"},
	}, 1)
	kinds := map[goodhartv1.EventKind]int{}
	for _, e := range r.events() {
		kinds[e.Kind]++
		if e.Signal != goodhartv1.Signal_SIGNAL_CLOUDEVENT || e.Transport != goodhartv1.Transport_TRANSPORT_HTTP || e.Credential != "ci" {
			t.Errorf("event %v", e.Event)
		}
	}
	want := map[goodhartv1.EventKind]int{goodhartv1.EventKind_EVENT_KIND_USAGE: 4, goodhartv1.EventKind_EVENT_KIND_OUTCOME: 2}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
}

func TestCloudEventsNameIndexFieldAndReason(t *testing.T) {
	r := start(t, nil)
	res := r.post(call{path: eventsPath, secret: ciKey, contentType: typeBatch, body: strings.NewReader("[" + strings.Join([]string{
		usageEvent("1", "5"), usageEvent("2", "-5"), `{"specversion":"1.0"}`, outcomeEvent("4", "pr_merged"),
		outcomeEvent("5", "promoted"), `17`, strings.Replace(usageEvent("7", "5"), time.Now().UTC().Format("2006-"), "1970-", 1),
	}, ",") + "]")})
	a := answerOf(t, res)
	if res.code != http.StatusOK || a.Accepted != 2 || a.Rejected != 5 {
		t.Errorf("status %d: %s", res.code, res.body)
	}
	var got []string
	for i, item := range a.Items {
		if item.Index != i {
			t.Errorf("item %d has index %d", i, item.Index)
		}
		got = append(got, strings.TrimSpace(item.Status+" "+item.Field+" "+item.Reason))
	}
	want := []string{
		"accepted", "rejected tokens.input_total bad_number", "rejected id missing_field", "accepted",
		"rejected kind bad_value", "rejected  malformed_record", "rejected time bad_time",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("items (-want +got):\n%s", diff)
	}
	if n := len(r.events()); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
	letters := r.deadLetters()
	if len(letters) != 5 {
		t.Errorf("%d dead letters, want 5", len(letters))
	}
	for _, d := range letters {
		if d.Source != "cloudevents" || len(d.Hash) != 32 || !strings.HasPrefix(d.Field, "[") || d.GetRecords() != 1 {
			t.Errorf("dead letter %v", d)
		}
	}
}

func TestCloudEventsProblems(t *testing.T) {
	r := start(t, nil)
	f := func(name string, c call, code int, reason string) {
		t.Helper()
		c.path = eventsPath
		if c.secret == "" {
			c.secret = ciKey
		}
		res := r.post(c)
		a := answerOf(t, res)
		if res.code != code || res.header.Get("Content-Type") != typeProblem || a.Status != code || a.Reason != reason || a.Title == "" || a.Detail == "" || a.Type == "" {
			t.Errorf("%s: status %d, want %d %s: %s", name, res.code, code, reason, res.body)
		}
	}
	f("not JSON", call{contentType: typeStructured, body: strings.NewReader("{")}, 400, reasonMalformed)
	f("no list", call{contentType: typeBatch, body: strings.NewReader("{}")}, 400, reasonMalformed)
	f("nothing", call{contentType: typeBatch, body: strings.NewReader("")}, 400, reasonMalformed)
	f("all bad", call{contentType: typeBatch, body: strings.NewReader("[" + usageEvent("1", "-1") + "]")}, 400, "bad_number")
	f("one and bad", call{contentType: typeStructured, body: strings.NewReader(usageEvent("1", "1e99"))}, 400, "bad_number")
	f("unknown type", call{contentType: "text/csv", body: strings.NewReader("a,b")}, 415, reasonContentType)
	f("CloudEvents in Avro", call{contentType: "application/cloudevents+avro", body: strings.NewReader("x")}, 415, reasonContentType)
	f("unknown encoding", call{contentType: typeBatch, encoding: "br", body: strings.NewReader("[]")}, 415, reasonEncoding)
	f("no key", call{secret: "-", contentType: typeBatch, body: strings.NewReader("[]")}, 401, reasonUnauthenticated)
	f("too large", call{contentType: typeBatch, body: strings.NewReader("[" + strings.Repeat(" ", 64<<20) + "]")}, 413, reasonBodyTooLarge)
	// A tool's key must not announce outcomes.
	writeFile(t, r.s.cfg.Keys, keysYAML(keyYAML("tool", testSecret, ", source: claude-code")))
	waitFor(t, "the new keys", func() bool { return r.s.library.current.Load().keys.size == 1 })
	f("outcome with a tool's key", call{secret: "Bearer " + testSecret, contentType: typeStructured, body: strings.NewReader(outcomeEvent("9", "pr_merged"))}, 400, reasonSource)
	if n := len(r.events()); n != 0 {
		t.Errorf("%d events, want none", n)
	}
}
