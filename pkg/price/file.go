package price

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// File is the document a Book is made from. Its tags serve JSON and YAML.
type File struct {
	// Version names the document; it is part of every price_version. A label.
	Version string `json:"version" yaml:"version"`
	// Models lists each model once per set of providers.
	Models []Model `json:"models" yaml:"models"`
}

// Model is a canonical model name with its price periods.
type Model struct {
	// Name is the canonical name under which usage is stored.
	Name string `json:"name" yaml:"name"`
	// Aliases are further names of the same model and generation.
	Aliases []string `json:"aliases,omitempty" yaml:"aliases"`
	// Providers restricts the prices to these values of gen_ai.provider.name;
	// empty: every provider without an entry of its own.
	Providers []string `json:"providers,omitempty" yaml:"providers"`
	// Periods are disjoint in time.
	Periods []Period `json:"periods" yaml:"periods"`
}

// Period is what a model cost from one day to another, UTC.
type Period struct {
	// From is the first day, YYYY-MM-DD.
	From string `json:"from" yaml:"from"`
	// To is the day after the last one; empty: still valid.
	To string `json:"to,omitempty" yaml:"to"`
	// Source says where the price was published.
	Source string `json:"source" yaml:"source"`
	// Tiers maps standard, batch, priority and fast to rates. There must be a
	// standard tier; usage of an absent tier is unpriced.
	Tiers map[string]Rates `json:"tiers" yaml:"tiers"`
}

// Rates are US dollars per million tokens by token class. An absent class is
// unknown: usage that has tokens of it is unpriced.
type Rates struct {
	Input        *USD `json:"input" yaml:"input"`
	Output       *USD `json:"output,omitempty" yaml:"output"`
	CacheRead    *USD `json:"cache_read,omitempty" yaml:"cache_read"`
	CacheWrite5m *USD `json:"cache_write_5m,omitempty" yaml:"cache_write_5m"`
	CacheWrite1h *USD `json:"cache_write_1h,omitempty" yaml:"cache_write_1h"`
	// Long reprices the whole request once its input, caches included, exceeds
	// the threshold.
	Long *LongContext `json:"long_context,omitempty" yaml:"long_context"`
}

// LongContext is the price of a request above a size of input.
type LongContext struct {
	// Threshold in tokens; a request above it pays these rates for everything.
	Threshold int64 `json:"threshold" yaml:"threshold"`
	Rates     Rates `json:"rates" yaml:"rates"`
}

// USD is US dollars per million tokens in millionths of a dollar, which is
// pico-USD per token. It is written as a decimal, "3.75" or 3.75, with at most
// six decimals.
type USD int64

// maxUSD bounds a rate at a million dollars per million tokens.
const maxUSD = USD(1e12)

// String is the decimal, without trailing zeros.
func (u USD) String() string {
	s := fmt.Sprintf("%d.%06d", int64(u)/1e6, int64(u)%1e6)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// MarshalText implements encoding.TextMarshaler.
func (u USD) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *USD) UnmarshalText(text []byte) error {
	whole, frac, _ := strings.Cut(string(text), ".")
	digits := whole + frac + strings.Repeat("0", max(0, 6-len(frac)))
	if whole == "" || len(frac) > 6 || strings.Trim(digits, "0123456789") != "" {
		return fmt.Errorf("price %q: want a decimal of US dollars with at most 6 decimals", text)
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || USD(n) > maxUSD {
		return fmt.Errorf("price %q: want 0 to 1000000 US dollars per million tokens", text)
	}
	*u = USD(n)
	return nil
}

// UnmarshalJSON accepts a JSON string or number.
func (u *USD) UnmarshalJSON(data []byte) error { return u.UnmarshalText(bytes.Trim(data, `"`)) }

// ParseJSON decodes and checks a JSON price file; unknown keys are errors.
func ParseJSON(data []byte) (*Book, error) {
	var f File
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		return nil, fmt.Errorf("decode prices: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("decode prices: data after the document")
	}
	return New(f)
}
