package tenant

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

// Who asks for the scores of some ends gets the very records that all of them are
// given with, and no others.
func TestOnlyTheEndsThatAreAskedFor(t *testing.T) {
	log := worksLog(t, works(126, map[int]string{0: worksPolicy}), day0+126*window.Day)
	monday := func(end int64) bool { return end == window.WeekStart(end) }
	var want, got []string
	for _, e := range assessed(t, New(small()), log) {
		if monday(e.End) {
			want = append(want, e.body)
		}
	}
	f := New(small())
	f.ScoreOnly(monday)
	for _, e := range assessed(t, f, log) {
		got = append(got, e.body)
	}
	if diff := gocmp.Diff(want, got); diff != "" || len(want) < 100 {
		t.Errorf("%d records of Mondays: %s", len(want), diff)
	}
}
