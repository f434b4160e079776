package price_test

import (
	"fmt"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/price"
)

// A request is priced under its canonical name; the whole of it costs more above
// the threshold of long contexts.
func ExampleBook_Cost() {
	book := price.Embedded()
	at := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	model, known := book.Canonical("us.anthropic.claude-sonnet-4-5-20250929-v1:0")
	fmt.Println(model, known)
	for _, cached := range []int64{100_000, 200_000} {
		cost, ok := book.Cost(model, "aws.bedrock", price.Usage{Input: 2_000, CacheRead: cached, Output: 500, Request: true}, at)
		fmt.Println(cost.Nanos, cost.Tier, ok)
	}
	_, ok := book.Cost("claude-sonnet-9", "anthropic", price.Usage{Input: 1}, at)
	fmt.Println(ok)
	// Output:
	// claude-sonnet-4-5 true
	// 43500000 standard true
	// 143250000 long_context true
	// false
}
