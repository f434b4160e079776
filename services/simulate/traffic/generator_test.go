package traffic

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
)

// demo is the demo's period and company.
func demo(seed uint64) (Config, *org.Org) {
	start := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	cfg := Config{Seed: seed, Start: start.UnixMilli(), Days: 28, Events: 240_000}
	return cfg, org.New(seed, 120, cfg.Days, start)
}

func TestEverythingIsProvokedWithEverySeed(t *testing.T) {
	for seed := range uint64(8) {
		cfg, company := demo(seed)
		seen := map[string]int{}
		var items int
		for step := range New(cfg, company).All() {
			for _, r := range step.Requests {
				note(seen, step, r)
				items += len(r.Items)
			}
		}
		for _, want := range []string{
			"logs", "metrics", "spans", "genai", "cloud_usage", "outcomes", "again", "lost", "repeat", "late", "delayed", "ahead",
			"negative", "ancient", "cumulative", "nan", "no id", "unmapped", "failed", "long", "unpriced", "reverted", "polled",
			"encoding 0", "encoding 1", "encoding 2", "encoding 3", "encoding 4", "encoding 5", "encoding 6", "encoding 7", "encoding 8",
			"everything", "logs only", "metrics only", "spans only",
		} {
			if seen[want] == 0 {
				t.Errorf("seed %d: no %s", seed, want)
			}
		}
		if items < 200_000 || items > 300_000 {
			t.Errorf("seed %d: %d items, configured %d", seed, items, cfg.Events)
		}
	}
}

func note(seen map[string]int, step *Step, r *Request) {
	seen[r.Signal.String()]++
	seen["encoding "+string(rune('0'+int(r.Encoding)))]++
	if r.Again {
		seen["again"]++
	}
	if r.Lost {
		seen["lost"]++
	}
	for i := range r.Items {
		it := &r.Items[i]
		if name := []string{"", "repeat", "negative", "ancient", "cumulative", "nan", "no id"}[it.Fault]; name != "" {
			seen[name]++
			continue
		}
		switch at := it.Time(); {
		case at > step.End+Hour/12:
			seen["ahead"]++
		case at < step.End-49*Hour-Hour/12:
			seen["late"]++
		case at < step.Start:
			seen["delayed"]++
		}
		if c := it.Call; c != nil {
			seen[map[bool]string{true: "failed"}[c.Failed]]++
			seen[map[string]string{modelLong: "long", modelPreview: "unpriced"}[c.Model]]++
		}
		if o := it.Outcome; o != nil {
			seen[map[bool]string{true: "polled"}[o.Second]]++
			seen[map[string]string{PRReverted: "reverted"}[o.Kind]]++
		}
		if s := it.Session; s != nil && s.Person != nil {
			seen[map[bool]string{false: "unmapped"}[s.Person.Mapped()]]++
			seen[[]string{"everything", "logs only", "metrics only", "spans only"}[s.Person.Reporting]]++
		}
	}
}

// Nobody can say whether an item is late, or ahead, if it lies near the limit:
// there must be a margin on both sides.
func TestNothingLiesNearALimit(t *testing.T) {
	t.Run("short", func(t *testing.T) { nothingLiesNearALimit(t, demo) })
	t.Run("long", func(t *testing.T) { nothingLiesNearALimit(t, long) })
}

func nothingLiesNearALimit(t *testing.T, play func(uint64) (Config, *org.Org)) {
	t.Helper()
	cfg, company := play(3)
	for step := range New(cfg, company).All() {
		for _, r := range step.Requests {
			for i := range r.Items {
				it := &r.Items[i]
				if it.Fault > Repeat || r.Again {
					continue
				}
				at := it.Time()
				if ahead := at - step.End; ahead >= 60_000 && ahead < 8*60_000 {
					t.Fatalf("%s: %d ms ahead of the clock", r.Signal, ahead)
				}
				lag := step.End - 65*60_000 - 48*Hour - at
				if lag > -Hour && lag < Hour {
					t.Fatalf("%s: %d ms from being late", r.Signal, lag)
				}
			}
		}
	}
}

// A span and a log of one request must go out in one step, or the span may count
// before the log is there.
func TestSignalsOfARequestShareAStep(t *testing.T) {
	t.Run("short", func(t *testing.T) { signalsOfARequestShareAStep(t, demo) })
	t.Run("long", func(t *testing.T) { signalsOfARequestShareAStep(t, long) })
}

func signalsOfARequestShareAStep(t *testing.T, play func(uint64) (Config, *org.Org)) {
	t.Helper()
	cfg, company := play(4)
	stepOf := map[string]int{}
	for step := range New(cfg, company).All() {
		for _, r := range step.Requests {
			for i := range r.Items {
				it := &r.Items[i]
				if it.Call == nil || r.Again || it.Fault > Repeat {
					continue
				}
				if first, ok := stepOf[it.Call.RequestID]; ok && first != step.Index {
					t.Fatalf("request %s in steps %d and %d", it.Call.RequestID, first, step.Index)
				}
				stepOf[it.Call.RequestID] = step.Index
			}
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	t.Run("short", func(t *testing.T) { namesAreUnique(t, demo) })
	t.Run("long", func(t *testing.T) { namesAreUnique(t, long) })
}

func namesAreUnique(t *testing.T, play func(uint64) (Config, *org.Org)) {
	t.Helper()
	cfg, company := play(5)
	seen := map[string]bool{}
	add := func(name string) {
		if seen[name] {
			t.Fatalf("%s twice", name)
		}
		seen[name] = true
	}
	for step := range New(cfg, company).All() {
		for _, r := range step.Requests {
			for i := range r.Items {
				it := &r.Items[i]
				if r.Again || it.Fault == Repeat {
					continue
				}
				switch {
				case it.Outcome != nil:
					add(it.Outcome.ID)
				case it.Call != nil:
					add(r.Signal.String() + it.Call.RequestID)
				case it.Point != nil:
					p := it.Point
					add(it.Session.ID + p.Metric + p.Type + p.Model + time.UnixMilli(p.End).String())
				}
			}
		}
	}
}

func TestReversalsFollowTheirMerge(t *testing.T) {
	cfg, company := demo(6)
	merged := map[string]int{}
	reversals := 0
	for step := range New(cfg, company).All() {
		for _, r := range step.Requests {
			for i := range r.Items {
				o := r.Items[i].Outcome
				if o == nil || r.Again {
					continue
				}
				switch {
				case o.Reverts == "" && (o.Kind == PRMerged || o.Kind == TicketDone):
					merged[o.Sha] = step.Index
				case o.Reverts != "":
					reversals++
					if at, ok := merged[o.Reverts]; !ok || at >= step.Index {
						t.Errorf("%s in step %d, merged in %d (%t)", o.ID, step.Index, at, ok)
					}
				}
			}
		}
	}
	if reversals < 10 {
		t.Errorf("%d reversals", reversals)
	}
}

func TestStepsFollowFromTheSeed(t *testing.T) {
	cfg, company := demo(7)
	cfg.Days, cfg.Events = 3, 20_000
	var one, two []int64
	for _, times := range []*[]int64{&one, &two} {
		for step := range New(cfg, company).All() {
			for _, r := range step.Requests {
				for i := range r.Items {
					*times = append(*times, r.Items[i].Time(), int64(r.Signal), int64(r.Encoding))
				}
			}
		}
	}
	if diff := cmp.Diff(one, two); diff != "" {
		t.Error(diff)
	}
}

// Usage between people is as uneven as it is in reality: log tokens spread by
// about 1.2, and the first tenth of people spends several times the median.
func TestUsageIsHeavyTailed(t *testing.T) {
	cfg, company := demo(8)
	tokens := map[string]float64{}
	hours := [24]int{}
	for step := range New(cfg, company).All() {
		for _, r := range step.Requests {
			for i := range r.Items {
				it := &r.Items[i]
				if it.Call == nil || it.Session.Person == nil || r.Again || it.Fault != Sound {
					continue
				}
				tokens[it.Session.Person.ID] += float64(it.Call.Input + it.Call.CacheRead + it.Call.CacheWrite + it.Call.Output)
				local := it.Time() + int64(it.Session.Person.OffsetMinutes)*60_000
				hours[local/Hour%24]++
			}
		}
	}
	var logs []float64
	for _, n := range tokens {
		logs = append(logs, math.Log(n))
	}
	slices.Sort(logs)
	var mean, square float64
	for _, l := range logs {
		mean += l / float64(len(logs))
	}
	for _, l := range logs {
		square += (l - mean) * (l - mean) / float64(len(logs))
	}
	if sd := math.Sqrt(square); sd < .8 || sd > 2 {
		t.Errorf("log tokens spread by %.2f", sd)
	}
	if top := math.Exp(logs[len(logs)*9/10] - logs[len(logs)/2]); top < 2.5 || top > 20 {
		t.Errorf("the ninth decile uses %.1f times the median", top)
	}
	if night, day := hours[3], hours[10]; night*4 > day {
		t.Errorf("%d calls at three in the morning, %d at ten", night, day)
	}
}

func BenchmarkPeriod(b *testing.B) {
	cfg, company := demo(1)
	for b.Loop() {
		var items int
		for step := range New(cfg, company).All() {
			for _, r := range step.Requests {
				items += len(r.Items)
			}
		}
		b.ReportMetric(float64(items), "items/op")
	}
}
