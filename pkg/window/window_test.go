package window

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestFloorCeilAfter(t *testing.T) {
	f := func(at, width, floor, ceil, after int64) {
		t.Helper()
		if got := Floor(at, width); got != floor {
			t.Errorf("Floor(%d, %d) = %d, want %d", at, width, got, floor)
		}
		if got := Ceil(at, width); got != ceil {
			t.Errorf("Ceil(%d, %d) = %d, want %d", at, width, got, ceil)
		}
		if got := After(at, width); got != after {
			t.Errorf("After(%d, %d) = %d, want %d", at, width, got, after)
		}
	}
	f(0, 60, 0, 0, 60)
	f(59, 60, 0, 60, 60)
	f(60, 60, 60, 60, 120)
	f(61, 60, 60, 120, 120)
	f(-1, 60, -60, 0, 0)
	f(-60, 60, -60, -60, 0)
	f(-61, 60, -120, -60, -60)
}

// The rings that panes are held in follow from the windows, so the windows must
// be made of whole panes and slide by whole panes.
func TestWindowsAreMadeOfPanes(t *testing.T) {
	names := map[string]bool{}
	for _, w := range Windows() {
		if w.Size%w.Pane != 0 || w.Slide%w.Pane != 0 || w.Size%w.Slide != 0 || w.Correct%w.Slide != 0 {
			t.Errorf("%s: size %d, slide %d and deadline %d do not divide into panes of %d", w.Name, w.Size, w.Slide, w.Correct, w.Pane)
		}
		if names[w.Name] {
			t.Errorf("%s: named twice", w.Name)
		}
		names[w.Name] = true
	}
	if got, want := Windows()[1].Keep(), 2*Hour; got != want {
		t.Errorf("Keep of 1h = %d, want %d", got, want)
	}
}

func TestWeeks(t *testing.T) {
	f := func(day, name, monday string) {
		t.Helper()
		at := mustDay(t, day) + 13*Hour
		if got := WeekName(at); got != name {
			t.Errorf("WeekName(%s) = %s, want %s", day, got, name)
		}
		if got, want := WeekStart(at), mustDay(t, monday); got != want {
			t.Errorf("WeekStart(%s) = %s, want %s", day, time.UnixMilli(got).UTC(), monday)
		}
	}
	f("1970-01-01", "1970-W01", "1969-12-29")
	f("1970-01-05", "1970-W02", "1970-01-05")
	f("2026-01-01", "2026-W01", "2025-12-29")
	f("2021-01-03", "2020-W53", "2020-12-28")
	f("2026-11-23", "2026-W48", "2026-11-23")
	f("2026-11-22", "2026-W47", "2026-11-16")
}

func mustDay(t *testing.T, day string) int64 {
	t.Helper()
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

// A tier holds the same as a map, whatever the order of arrival.
func TestTierAgainstMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	for range 200 {
		var tier Tier[int64]
		want := map[int64]int64{}
		for range rng.IntN(60) {
			start := int64(rng.IntN(40)) - 10
			*tier.At(start) += start + 1
			want[start] += start + 1
			if rng.IntN(10) == 0 {
				before := int64(rng.IntN(20)) - 10
				tier.Trim(before)
				for start := range want {
					if start < before {
						delete(want, start)
					}
				}
			}
		}
		checkTier(t, &tier, want, int64(rng.IntN(40))-10, int64(rng.IntN(40))-10)
	}
}

func checkTier(t *testing.T, tier *Tier[int64], want map[int64]int64, from, to int64) {
	t.Helper()
	if tier.Len() != len(want) {
		t.Fatalf("Len = %d, want %d", tier.Len(), len(want))
	}
	var starts []int64
	for i := range tier.Len() {
		start, value := tier.Pane(i)
		starts = append(starts, start)
		if *value != want[start] {
			t.Errorf("pane %d = %d, want %d", start, *value, want[start])
		}
	}
	if !slices.IsSorted(starts) {
		t.Errorf("starts %v are not sorted", starts)
	}
	to = max(from, to)
	var sum, wantSum int64
	n := 0
	for _, v := range tier.Range(from, to) {
		sum += v
	}
	for start, v := range want {
		if start >= from && start < to {
			wantSum += v
			n++
		}
	}
	if sum != wantSum || len(tier.Range(from, to)) != n || tier.Any(from, to) != (n > 0) {
		t.Errorf("[%d, %d): sum %d of %d panes, any %v; want %d of %d", from, to, sum, len(tier.Range(from, to)), tier.Any(from, to), wantSum, n)
	}
}
