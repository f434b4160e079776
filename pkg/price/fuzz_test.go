package price_test

import (
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/price"
)

// A name that is known by one spelling is known by its canonical one, and the
// canonical name of an unknown model stays what it is.
func FuzzCanonical(f *testing.F) {
	b := price.Embedded()
	for _, seed := range []string{
		"claude-opus-4-6[1m]", "us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-opus-4.6@default", "x/y/z", "[[]", "-20250101", "a-latest",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		name, known := b.Canonical(raw)
		if name == "" {
			t.Error("an empty name")
		}
		if again, stillKnown := b.Canonical(name); known && (again != name || !stillKnown) {
			t.Errorf("%q is %q is %q", raw, name, again)
		}
	})
}

func FuzzParseJSON(f *testing.F) {
	f.Add([]byte(`{"version":"t","models":[{"name":"m","providers":["p"],"periods":[{"from":"2020-01-01","to":"2021-01-01","source":"x","tiers":{"standard":{"input":"1.5","long_context":{"threshold":5,"rates":{"input":2}}}}}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := price.ParseJSON(data)
		if err != nil {
			return
		}
		for _, r := range b.Rows() {
			if _, known := b.Canonical(r.Model); !known || r.PicoUSD < 0 {
				t.Errorf("row %+v", r)
			}
		}
	})
}
