package price

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

//go:embed book.json
var embedded []byte

// Names of the tiers, as they appear in price_tier.
const (
	TierStandard = "standard"
	TierBatch    = "batch"
	TierPriority = "priority"
	TierFast     = "fast"
	// TierLongContext is what a standard request becomes above the threshold;
	// it is never asked for and never a key of Period.Tiers.
	TierLongContext = "long_context"
)

// Book is a set of dated prices. The nil Book prices nothing.
type Book struct {
	version string
	file    File
	// names maps every name and alias, in canonical spelling, to its model.
	names map[string]string
	// entries maps a canonical name to its entries, those for named providers
	// first.
	entries map[string][]entry
}

// entry is one Model, ready for use.
type entry struct {
	providers []string
	// periods are sorted by time.
	periods []period
}

type period struct {
	from, to int64 // ms, half open
	tiers    map[string]Rates
}

// Embedded returns the book that ships with goodhart: list prices of current
// Anthropic models.
func Embedded() *Book {
	b, err := ParseJSON(embedded)
	if err != nil {
		panic("price: embedded book: " + err.Error()) // a test parses it
	}
	return b
}

// New checks f and makes a Book of it. The error joins every problem found.
func New(f File) (*Book, error) {
	b := &Book{version: f.Version, file: f, names: map[string]string{}, entries: map[string][]entry{}}
	var errs []error
	if !isName(f.Version) {
		errs = append(errs, fmt.Errorf("version %q: want 1 to 64 of A-Z a-z 0-9 . _ + -", f.Version))
	}
	if len(f.Models) == 0 {
		errs = append(errs, errors.New("models: want at least one"))
	}
	for i, m := range f.Models {
		at := fmt.Sprintf("models[%d] %s", i, m.Name)
		errs = append(errs, b.addNames(at, m)...)
		e, problems := newEntry(at, m)
		errs = append(errs, problems...)
		errs = append(errs, b.addEntry(at, m.Name, e)...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("prices: %w", err)
	}
	return b, nil
}

// addNames enters a model's names; a name may belong to one model only.
func (b *Book) addNames(at string, m Model) []error {
	var errs []error
	for _, name := range append([]string{m.Name}, m.Aliases...) {
		switch owner, taken := b.names[name]; {
		case name == "" || normalise(name) != name:
			errs = append(errs, fmt.Errorf("%s: name %q: want it normalised: %q", at, name, normalise(name)))
		case taken && owner != m.Name:
			errs = append(errs, fmt.Errorf("%s: name %q belongs to %s already", at, name, owner))
		default:
			b.names[name] = m.Name
		}
	}
	return errs
}

// addEntry adds a model's prices; no provider may have two entries.
func (b *Book) addEntry(at, name string, e entry) []error {
	var errs []error
	for _, other := range b.entries[name] {
		switch {
		case len(e.providers) == 0 && len(other.providers) == 0:
			errs = append(errs, fmt.Errorf("%s: two entries without providers", at))
		default:
			for _, p := range e.providers {
				if slices.Contains(other.providers, p) {
					errs = append(errs, fmt.Errorf("%s: two entries for provider %s", at, p))
				}
			}
		}
	}
	list := append(b.entries[name], e)
	slices.SortStableFunc(list, func(x, y entry) int { return min(1, len(y.providers)) - min(1, len(x.providers)) })
	b.entries[name] = list
	return errs
}

func newEntry(at string, m Model) (entry, []error) {
	e := entry{providers: m.Providers}
	var errs []error
	if len(m.Periods) == 0 {
		errs = append(errs, fmt.Errorf("%s: periods: want at least one", at))
	}
	for i, p := range m.Periods {
		at := fmt.Sprintf("%s: periods[%d]", at, i)
		from, err := day(p.From)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: from: %w", at, err))
		}
		to := int64(1<<63 - 1)
		if p.To != "" {
			if to, err = day(p.To); err != nil {
				errs = append(errs, fmt.Errorf("%s: to: %w", at, err))
			}
		}
		if to <= from {
			errs = append(errs, fmt.Errorf("%s: to %q is not after from %q", at, p.To, p.From))
		}
		for _, q := range e.periods {
			if from < q.to && q.from < to {
				errs = append(errs, fmt.Errorf("%s: overlaps another period", at))
			}
		}
		errs = append(errs, checkTiers(at, p.Tiers)...)
		e.periods = append(e.periods, period{from: from, to: to, tiers: p.Tiers})
	}
	slices.SortFunc(e.periods, func(a, b period) int { return cmp.Compare(a.from, b.from) })
	return e, errs
}

func checkTiers(at string, tiers map[string]Rates) []error {
	var errs []error
	if _, ok := tiers[TierStandard]; !ok {
		errs = append(errs, fmt.Errorf("%s: tiers: no %s", at, TierStandard))
	}
	for name, r := range tiers {
		if name != TierStandard && name != TierBatch && name != TierPriority && name != TierFast {
			errs = append(errs, fmt.Errorf("%s: tier %q: want standard, batch, priority or fast", at, name))
		}
		if r.Input == nil {
			errs = append(errs, fmt.Errorf("%s: tier %s: input: missing", at, name))
		}
		if r.Long == nil {
			continue
		}
		if r.Long.Threshold <= 0 {
			errs = append(errs, fmt.Errorf("%s: tier %s: long_context: threshold %d: want above 0", at, name, r.Long.Threshold))
		}
		if r.Long.Rates.Input == nil || r.Long.Rates.Long != nil {
			errs = append(errs, fmt.Errorf("%s: tier %s: long_context: rates: want input, and no further long_context", at, name))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}

func day(s string) (int64, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("day %q: want YYYY-MM-DD", s)
	}
	return t.UnixMilli(), nil
}

// isName reports whether s can name a version.
func isName(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !isAlnum(c) && c != '.' && c != '_' && c != '-' && c != '+' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// With returns b with the models of over: each replaces b's entries for the same
// name and the same providers, and goes before them for providers that b does
// not name. The version names both.
func (b *Book) With(over *Book) (*Book, error) {
	merged := File{Version: b.version + "-" + over.version}
	for _, m := range b.file.Models {
		replaced := slices.ContainsFunc(over.file.Models, func(o Model) bool {
			return o.Name == m.Name && (len(o.Providers) == 0 || sharesProvider(o, m))
		})
		if !replaced {
			merged.Models = append(merged.Models, m)
		}
	}
	merged.Models = append(merged.Models, over.file.Models...)
	return New(merged)
}

func sharesProvider(a, b Model) bool {
	return slices.ContainsFunc(a.Providers, func(p string) bool { return slices.Contains(b.Providers, p) })
}

// Version names the book; it is stored with each cost as price_version.
func (b *Book) Version() string {
	if b == nil {
		return ""
	}
	return b.version
}
