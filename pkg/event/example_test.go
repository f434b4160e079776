package event_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/price"
	"github.com/goodhartlabs/goodhart/pkg/source/cloudevents"
)

// From the bytes of a request to an event that may be stored.
func ExampleStamper() {
	body := `{"specversion":"1.0","id":"1","source":"//ci","type":"ai.usage.v1","time":"2026-11-02T09:30:00Z","data":{
		"actor":"ada@example.com","gen_ai.request.model":"claude-haiku-4-5","gen_ai.conversation.id":"build-7",
		"tokens":{"input_total":1000,"cache_read":400,"output_total":100},"prompt":"what may never be stored"}}`
	drafts, rejected, err := cloudevents.Decode(http.Header{"Content-Type": {"application/cloudevents+json"}}, []byte(body))
	fmt.Println(len(drafts), len(rejected), err)

	stamper := event.NewStamper(event.Keyring{"acme": make([]byte, 32)}, price.Embedded(), nil)
	credential := &event.Credential{ID: "ci", Tenant: "acme"}
	key, rejection := stamper.Stamp(&drafts[0], credential, time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC))
	e := drafts[0].Event
	fmt.Println(string(key), rejection)
	fmt.Println(e.Subject)
	fmt.Println(e.Usage.GetInputUncachedTokens(), e.Usage.GetCostNanos(), e.Usage.CostBasis)
	// Output:
	// 1 0 <nil>
	// acme|cf7c466dc7dc732a75d5637059cb7177 <nil>
	// a_7a295a1e57669991953f46cc999f503a
	// 600 1140000 COST_BASIS_ESTIMATED
}
