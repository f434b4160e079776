package tenant

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// line is the part of a record that the hand-computed tests speak of, times in
// minutes after base.
func line(r record) string {
	cost := "?"
	if r.Cost != nil {
		cost = fmt.Sprint(*r.Cost)
	}
	return fmt.Sprintf("%s end %d rev %d at %s: %d requests, cost %s", r.Window, (r.End-base)/window.Minute, r.Rev,
		clock(r.W-base), r.Requests, cost)
}

func clock(ms int64) string { return fmt.Sprintf("%d:%02d", ms/window.Minute, ms%window.Minute/1000) }

// lines returns the records of a scope in some windows.
func lines(records []record, scopeKind string, windows ...string) []string {
	var lines []string
	for _, r := range records {
		if r.ScopeKind == scopeKind && slices.Contains(windows, r.Window) {
			lines = append(lines, line(r))
		}
	}
	return lines
}

// act is one request by p_1 of team web.
func act(w, t, cost int64) deed {
	return deed{w: base + w, t: base + t, tenant: "acme", subject: "p_1", team: "web", model: "opus", tokens: 10, cost: cost}
}

const (
	sec = window.Second
	mnt = window.Minute
)

// A window is emitted by the first record past its end, and holds its last
// minute even if that minute's facts are the last thing before it.
func TestLastMinuteIsInTheFirstEmission(t *testing.T) {
	l := factLog{tb: t}
	l.deed(act(10*sec, 20*sec, 1))
	l.deed(act(40*sec, mnt-1, 10)) // the last millisecond of the first minute
	l.watermark(base + mnt)        // the pane fires; the window ends here and is not past
	l.watermark(base + mnt + 1)    // past
	got := lines(scores(t, New(Default()), features(t, l.records), score.KindRolling), score.ScopeTenant, "5m")
	want := []string{"5m end 1 rev 0 at 1:00: 2 requests, cost 11"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A watermark that jumps emits every slide in between, once, in order, and
// nothing for the hours without activity.
func TestJumpEmitsEverySlide(t *testing.T) {
	l := factLog{tb: t}
	l.deed(act(0, 30*sec, 1))
	l.deed(act(sec, 3*mnt, 2))
	l.watermark(base + 26*60*mnt)
	records := scores(t, New(Default()), features(t, l.records), score.KindRolling)
	at := "at 1560:00"
	want := []string{
		"5m end 1 rev 0 at 4:00: 1 requests, cost 1", // the second pane fires at 4:00
		"5m end 2 rev 0 at 4:00: 1 requests, cost 1",
		"5m end 3 rev 0 at 4:00: 1 requests, cost 1",
		"5m end 4 rev 0 " + at + ": 2 requests, cost 3",
		"5m end 5 rev 0 " + at + ": 2 requests, cost 3",
		"5m end 6 rev 0 " + at + ": 1 requests, cost 2",
		"5m end 7 rev 0 " + at + ": 1 requests, cost 2",
		"5m end 8 rev 0 " + at + ": 1 requests, cost 2",
	}
	if diff := cmp.Diff(want, lines(records, score.ScopeTeam, "5m")); diff != "" {
		t.Errorf("5m: (-want +got)\n%s", diff)
	}
	hours := lines(records, score.ScopeTeam, "1h")
	if len(hours) != 12 || hours[0] != "1h end 5 rev 0 "+at+": 2 requests, cost 3" || hours[11] != "1h end 60 rev 0 "+at+": 2 requests, cost 3" {
		t.Errorf("1h: %d records: %q", len(hours), hours)
	}
	days := lines(records, score.ScopeTeam, "24h")
	if len(days) != 24 || days[23] != "24h end 1440 rev 0 "+at+": 2 requests, cost 3" {
		t.Errorf("24h: %d records: %q", len(days), days)
	}
	if got := len(lines(records, score.ScopeTeam, "7d", "28d")); got != 2 {
		t.Errorf("7d and 28d: %d records at the first midnight, want 2", got)
	}
	for i := 1; i < len(records); i++ {
		if records[i].End < records[i-1].End {
			t.Fatalf("record %d ends before the one before it", i)
		}
	}
}

// A fact for a closed minute corrects the windows that were emitted, at the
// next slide, one revision up; until the deadline, and not after it.
func TestCorrections(t *testing.T) {
	l := factLog{tb: t}
	l.deed(act(0, 0, 1))
	l.watermark(base + 3*mnt + sec)
	l.deed(act(3*mnt+2*sec, 10*sec, 100)) // minute 0 is closed: a delta at 4:00
	l.watermark(base + 5*mnt + sec)
	l.deed(act(5*mnt+2*sec, 20*sec, 1000)) // again, at 6:00
	l.watermark(base + 16*mnt + sec)
	l.deed(act(16*mnt+2*sec, 30*sec, 10_000)) // at 17:00: only ends from 2 on are open
	l.watermark(base + 21*mnt + sec)
	l.deed(act(21*mnt+2*sec, 40*sec, 100_000)) // at 22:00: the window that ended at 5 closed at 20
	l.watermark(base + 59*mnt)
	records := scores(t, New(Default()), features(t, l.records), score.KindRolling)
	want := []string{
		"5m end 1 rev 0 at 3:01: 1 requests, cost 1",
		"5m end 2 rev 0 at 3:01: 1 requests, cost 1",
		"5m end 3 rev 0 at 3:01: 1 requests, cost 1",
		"5m end 1 rev 1 at 5:01: 2 requests, cost 101",
		"5m end 2 rev 1 at 5:01: 2 requests, cost 101",
		"5m end 3 rev 1 at 5:01: 2 requests, cost 101",
		"5m end 4 rev 0 at 5:01: 2 requests, cost 101",
		"5m end 5 rev 0 at 5:01: 2 requests, cost 101",
		"5m end 1 rev 2 at 16:01: 3 requests, cost 1101",
		"5m end 2 rev 2 at 16:01: 3 requests, cost 1101",
		"5m end 3 rev 2 at 16:01: 3 requests, cost 1101",
		"5m end 4 rev 1 at 16:01: 3 requests, cost 1101",
		"5m end 5 rev 1 at 16:01: 3 requests, cost 1101",
		"5m end 2 rev 3 at 21:01: 4 requests, cost 11101",
		"5m end 3 rev 3 at 21:01: 4 requests, cost 11101",
		"5m end 4 rev 2 at 21:01: 4 requests, cost 11101",
		"5m end 5 rev 2 at 21:01: 4 requests, cost 11101",
	}
	if diff := cmp.Diff(want, lines(records, score.ScopeTeam, "5m")); diff != "" {
		t.Errorf("5m: (-want +got)\n%s", diff)
	}
	hours := lines(records, score.ScopeTeam, "1h")
	if want := "1h end 55 rev 0 at 59:00: 5 requests, cost 111101"; hours[len(hours)-1] != want {
		t.Errorf("the hour holds what the shorter window had closed to: %s, want %s", hours[len(hours)-1], want)
	}
}

// The last moment of a window: a delta that is due exactly at its deadline
// corrects it, one a minute later does not; be it for its first minute, whose
// pane is the oldest that is held, or for its last.
func TestDeadline(t *testing.T) {
	f := func(name string, size, correct, fact, minutesAfter, want int64) {
		t.Helper()
		l := factLog{tb: t}
		l.deed(act(0, 0, 1))
		l.watermark(base + size + mnt)
		at := size + correct + (minutesAfter-1)*mnt // the delta is due a minute later
		l.deed(act(at, fact, 10))
		l.watermark(base + at + 3*window.Hour)
		last := int64(-1)
		for _, r := range scores(t, New(Default()), features(t, l.records), score.KindRolling) {
			if r.Window == name && r.ScopeKind == score.ScopeTenant && r.End == base+size {
				last = *r.Cost
			}
		}
		if last != want {
			t.Errorf("%s: a delta for %s, %d minutes after the deadline: cost %d, want %d", name, clock(fact), minutesAfter, last, want)
		}
	}
	for _, w := range window.Windows()[:3] { // the first midnight is the first end of the others
		for _, fact := range []int64{0, w.Size - 1} {
			f(w.Name, w.Size, w.Correct, fact, 0, 11)
			f(w.Name, w.Size, w.Correct, fact, 1, 1)
		}
	}
}

// Configuration holds from its place in the order: records before it name the
// version before.
func TestConfigVersion(t *testing.T) {
	l := factLog{tb: t}
	config := func(w int64, version uint64) {
		l.add(base+w, "acme", &goodhartv1.Fact{
			Kind:  goodhartv1.FactKind_FACT_KIND_CONFIG,
			Event: &goodhartv1.Event{Tenant: "acme", Config: &goodhartv1.Config{Version: version, Document: []byte(`{"tenant":"acme"}`)}},
		})
	}
	l.deed(act(0, 0, 1))
	l.watermark(base + mnt + sec)
	config(mnt+2*sec, 8)
	l.watermark(base + 3*mnt + sec)
	config(3*mnt+2*sec, 9)
	l.watermark(base + 4*mnt + sec)
	var got []uint64
	for _, r := range scores(t, New(Default()), features(t, l.records), score.KindRolling) {
		if r.Window == "5m" && r.ScopeKind == score.ScopeTenant {
			got = append(got, r.Config)
		}
	}
	if diff := cmp.Diff([]uint64{0, 8, 8, 9}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The key names what a record states, the id the record; the rest are the
// headers of a CloudEvent in binary mode.
func TestEnvelope(t *testing.T) {
	l := factLog{tb: t}
	l.deed(act(0, 0, 1))
	l.watermark(base + mnt + 1)
	log := features(t, l.records)
	f := New(Default())
	var got map[string]string
	for i := range log {
		var out machine.Outputs
		f.Step(&log[i], &out)
		for _, o := range out.Records() {
			if string(o.Key) != "acme|team|web|5m" {
				continue
			}
			got = map[string]string{}
			for _, h := range o.Headers {
				got[h.Key] = string(h.Value)
			}
			if o.W != base+mnt+1 || o.Partition != machine.ByKey || o.Topic != schemas.TopicScores {
				t.Errorf("w %d, partition %d, topic %s", o.W, o.Partition, o.Topic)
			}
		}
	}
	want := map[string]string{
		"ce_specversion": "1.0",
		"ce_type":        "ai.goodhart.score.rolling.v1",
		"ce_source":      "//goodhart/acme",
		"ce_id":          fmt.Sprintf("acme|team|web|5m|%d|0", base+mnt),
		"ce_time":        "2026-01-01T00:01:00Z",
		"content-type":   "application/json",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A client that invents names fills "other", not the memory.
func TestNamesAreCapped(t *testing.T) {
	l := factLog{tb: t}
	for i := range maxScopes + 10 {
		d := act(0, 0, 1)
		d.model = fmt.Sprintf("model-%d", i)
		l.deed(d)
	}
	l.watermark(base + mnt + 1)
	f := New(Default())
	records := scores(t, f, features(t, l.records), score.KindRolling)
	total := int64(0)
	for _, r := range records {
		if r.ScopeKind == score.ScopeModel && r.Window == "5m" {
			total += r.Requests
			if r.Scope == otherScope && r.Requests != 10 {
				t.Errorf("other holds %d requests, want 10", r.Requests)
			}
		}
	}
	if total != maxScopes+10 || f.Stats().Capped != 10 {
		t.Errorf("%d requests over all models, %d capped; want %d and 10", total, f.Stats().Capped, maxScopes+10)
	}
}
