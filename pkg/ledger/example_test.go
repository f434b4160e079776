package ledger_test

import (
	"fmt"

	"github.com/goodhartlabs/goodhart/pkg/ledger"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// A tool announces one request as a log and as a span, and sends the log twice.
func Example() {
	fold := ledger.New(ledger.Default())
	event := func(id string, signal goodhartv1.Signal) []byte {
		value, err := (&goodhartv1.Event{
			Kind: goodhartv1.EventKind_EVENT_KIND_USAGE, Tenant: "acme", Signal: signal,
			EventId: []byte(id), RequestKey: []byte("request-number-1"), Conversation: "c1",
			TimeMs: 1_772_447_425_000, Usage: &goodhartv1.Usage{Model: "claude-sonnet-4-5"},
		}).MarshalVT()
		if err != nil {
			panic(err)
		}
		return value
	}
	log := event("announcement-log", goodhartv1.Signal_SIGNAL_LOG)
	span := event("announcement-spn", goodhartv1.Signal_SIGNAL_SPAN)
	var out machine.Outputs
	for i, value := range [][]byte{span, log, log} {
		fold.Step(&machine.Record{
			Position: machine.Position{Seq: uint64(i) + 1}, Time: 1_772_447_425_500, Key: []byte("acme|c1"), Value: value,
		}, &out)
	}
	for _, o := range out.Records() {
		var fact goodhartv1.Fact
		if err := fact.UnmarshalVT(o.Body()); err != nil {
			panic(err)
		}
		fmt.Println(fact.Event.Signal, "observational:", fact.Observational)
	}
	fmt.Println("duplicates:", fold.Stats().Duplicates)
	// Output:
	// SIGNAL_SPAN observational: true
	// SIGNAL_LOG observational: false
	// duplicates: 1
}
