package console

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A figure is kept for as long as it is shown, a question for as long as it can be
// disputed.
func TestFiguresAreKeptForAWeek(t *testing.T) {
	b, told := newBook(), time.UnixMilli(1_792_067_696_000)
	for id, value := range map[string]string{
		"acme|signal|x|S1|1|0":            `{"kind":"self","tenant":"acme","subject":"p_1","signal_id":"x"}`,
		"acme|efficiency|p_1|28d|86400|0": `{"kind":"efficiency","tenant":"acme","subject":"p_1"}`,
	} {
		rec := &kgo.Record{Key: []byte("acme|p_1"), Value: []byte(value), Timestamp: told, Headers: []kgo.RecordHeader{{Key: "ce_id", Value: []byte(id)}}}
		if err := b.add(rec); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		after time.Duration
		held  int
	}{{visible, 2}, {visible + sweeps, 1}, {b.retains, 1}, {b.retains + sweeps, 0}} {
		b.sweep(told.Add(c.after))
		if held := b.count(); held != c.held {
			t.Errorf("after %s %d are held, want %d", c.after, held, c.held)
		}
	}
}
