package otlp_test

import (
	"testing"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/identity"
	"github.com/goodhartlabs/goodhart/pkg/price"
	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
)

const apiRequest = `{"resourceLogs":[{"resource":{"attributes":[
 {"key":"service.name","value":{"stringValue":"claude-code"}},{"key":"service.version","value":{"stringValue":"2.1.214"}}]},
 "scopeLogs":[{"scope":{"name":"com.anthropic.claude_code.events","version":"2.1.214"},"logRecords":[
 {"timeUnixNano":"1791301155852000000","body":{"stringValue":"claude_code.api_request"},"attributes":[
  {"key":"event.name","value":{"stringValue":"api_request"}},
  {"key":"session.id","value":{"stringValue":"7d1e4c1b-0000-4000-8000-000000000001"}},
  {"key":"user.email","value":{"stringValue":"Ada@Example.com"}},
  {"key":"model","value":{"stringValue":"claude-opus-4-6[1m]"}},
  {"key":"input_tokens","value":{"intValue":10}},
  {"key":"output_tokens","value":{"stringValue":"200"}},
  {"key":"cache_read_tokens","value":{"intValue":"3000"}},
  {"key":"cache_creation_tokens","value":{"doubleValue":40}},
  {"key":"cost_usd","value":{"doubleValue":0.00675}},
  {"key":"request_id","value":{"stringValue":"req_011CXexample0000000001"}}]}]}]}]}`

func TestThinPath(t *testing.T) {
	drafts, rejected, err := otlp.DecodeLogs("application/json; charset=utf-8", []byte(apiRequest))
	if err != nil || len(rejected) != 0 || len(drafts) != 1 {
		t.Fatalf("drafts %d, rejected %v, err %v", len(drafts), rejected, err)
	}
	people, err := identity.New(identity.File{People: []identity.Person{{
		ID: "ada", Role: "developer",
		Identities:  []identity.RawID{{Kind: identity.KindEmail, Value: "ada@example.com"}},
		Memberships: []identity.Membership{{Team: "engines", From: "2026-01-01"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	s := event.NewStamper(event.Keyring{"acme": make([]byte, 32)}, price.Embedded(), people)
	key, rej := s.Stamp(&drafts[0], &event.Credential{ID: "k1", Tenant: "acme"}, time.UnixMilli(1791301160000))
	if rej != nil {
		t.Fatal(rej)
	}
	e := drafts[0].Event
	t.Logf("%s\n%v", key, e)
	// 10*5e6 + 200*25e6 + 3000*0.5e6 + 40*6.25e6 pico
	if got, want := e.Usage.GetCostNanos(), int64(50_000+5_000_000+1_500_000+250_000); got != want {
		t.Errorf("cost %d nano-USD, want %d", got, want)
	}
	if e.Team != "engines" || e.Usage.Model != "claude-opus-4-6" {
		t.Errorf("team %q, model %q", e.Team, e.Usage.Model)
	}
}
