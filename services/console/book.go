package console

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/schemas"
)

const (
	// visible is for how long after it was told the person sees a record.
	visible = 7 * 24 * time.Hour
	// sweeps is how often what is no longer on the topic is forgotten.
	sweeps = time.Hour
)

// entry is the newest revision of something that concerns a person.
type entry struct {
	kind  string
	rev   int64
	told  time.Time
	value json.RawMessage
}

// book holds what goodhart.self.v1 says now: the newest revision of each record, by
// person. Safe for concurrent use.
type book struct {
	mu      sync.RWMutex
	people  map[string]map[string]entry // by tenant|subject, then by what it states
	size    int
	swept   time.Time
	retains time.Duration
}

func newBook() *book {
	b := &book{people: map[string]map[string]entry{}}
	for _, t := range schemas.Topics() {
		if t.Name == schemas.TopicSelf {
			b.retains = t.Retention
		}
	}
	return b
}

// add takes a record of the topic. One that is not like the others is an error, and
// is left out.
func (b *book) add(rec *kgo.Record) error {
	var of struct {
		Kind    string `json:"kind"`
		Tenant  string `json:"tenant"`
		Subject string `json:"subject"`
		ID      string `json:"signal_id"`
		Rev     int64  `json:"rev"`
	}
	if err := json.Unmarshal(rec.Value, &of); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	person := of.Tenant + "|" + of.Subject
	if of.Tenant == "" || of.Subject == "" || person != string(rec.Key) {
		return fmt.Errorf("the key is not that of its tenant and subject")
	}
	what := of.ID
	if of.Kind != signal.KindSelf { // a figure: it is what its id says but for the revision
		for _, h := range rec.Headers {
			if h.Key == "ce_id" {
				what = string(h.Value)
			}
		}
		if at := strings.LastIndexByte(what, '|'); at >= 0 {
			what = what[:at]
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	records := b.people[person]
	if records == nil {
		records = map[string]entry{}
		b.people[person] = records
	}
	old, known := records[of.Kind+"|"+what]
	if known && old.rev > of.Rev {
		return nil
	}
	if !known {
		b.size++
	}
	records[of.Kind+"|"+what] = entry{kind: of.Kind, rev: of.Rev, told: rec.Timestamp, value: rec.Value}
	return nil
}

// of lists what a person may see now, the newest first: questions, and figures.
func (b *book) of(tenant, subject string, now time.Time) (signals, figures []json.RawMessage) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var seen []entry
	for _, e := range b.people[tenant+"|"+subject] {
		if now.Sub(e.told) < visible {
			seen = append(seen, e)
		}
	}
	slices.SortFunc(seen, func(a, b entry) int {
		if c := b.told.Compare(a.told); c != 0 {
			return c
		}
		return strings.Compare(string(a.value), string(b.value))
	})
	signals, figures = []json.RawMessage{}, []json.RawMessage{}
	for _, e := range seen {
		if e.kind == signal.KindSelf {
			signals = append(signals, e.value)
		} else {
			figures = append(figures, e.value)
		}
	}
	return signals, figures
}

// owns reports whether a signal is a question to a person.
func (b *book) owns(tenant, subject, id string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	_, ok := b.people[tenant+"|"+subject][signal.KindSelf+"|"+id]
	return ok
}

// sweep forgets what is no longer on the topic, and figures that nobody sees any more.
func (b *book) sweep(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.swept) < sweeps {
		return
	}
	b.swept = now
	for person, records := range b.people {
		for what, e := range records {
			limit := b.retains
			if e.kind != signal.KindSelf { // nobody can dispute it later
				limit = visible
			}
			if now.Sub(e.told) > limit {
				delete(records, what)
				b.size--
			}
		}
		if len(records) == 0 {
			delete(b.people, person)
		}
	}
}

// count is how many records are held.
func (b *book) count() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.size
}
