package kpi

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

// The panel begins on Monday, 5 January 2026: February is its days 27 to 54.
func TestPeriods(t *testing.T) {
	f := func(period policy.Period, in span, want ...days) {
		t.Helper()
		s := newSample(&Input{Panel: &Panel{Start: monday}, Target: Target{Period: period}})
		if diff := cmp.Diff(want, s.periods(in), cmp.AllowUnexported(days{})); diff != "" {
			t.Errorf("%s, weeks %v (-want +got)\n%s", period, in, diff)
		}
	}
	f(policy.Week, span{1, 3}, days{7, 14}, days{14, 21})
	f(policy.Month, span{0, 9}, days{27, 55})                // January is cut, March not over
	f(policy.Month, span{0, 13}, days{27, 55}, days{55, 86}) // to 5 April
	f(policy.Month, span{4, 8})                              // begins on 2 February
	f(policy.Quarter, span{0, 26}, days{86, 177})            // April to June
	f(policy.Quarter, span{0, 20})
	f(policy.Week, span{3, 1})
}

func TestLateFrom(t *testing.T) {
	f := func(in days, want int) {
		t.Helper()
		if got := lateFrom(in); got != want {
			t.Errorf("%v: late from %d, want %d", in, got, want)
		}
	}
	f(days{7, 14}, 11)  // a week: its Friday
	f(days{27, 55}, 50) // February: 20 working days, the last four from Tuesday the 24th
	f(days{5, 7}, 7)    // a weekend has no late day
}

func TestUsed(t *testing.T) {
	u := Unit{Weeks: []Week{
		{Known: true, CostKnown: true, Tokens: 70, DayTokens: [7]int64{1: 70}, DayRequests: [7]int64{1: 3}, DayCostNanos: [7]int64{1: 9}},
		{Known: true, Tokens: 5, DayTokens: [7]int64{0: 5}, DayRequests: [7]int64{0: 1}},
	}}
	f := func(metric policy.Metric, in days, want int64, known bool) {
		t.Helper()
		s := newSample(&Input{Panel: &Panel{}, Target: Target{Metric: metric}})
		if got, ok := s.used(&u, in); ok != known || ok && got != want {
			t.Errorf("%s in %v: %d, %v, want %d, %v", metric, in, got, ok, want, known)
		}
	}
	f(policy.Tokens, days{0, 7}, 70, true)
	f(policy.Tokens, days{2, 14}, 5, true)
	f(policy.Requests, days{0, 14}, 4, true)
	f(policy.Cost, days{0, 7}, 9, true)
	f(policy.Cost, days{0, 14}, 0, false)   // the second week has no price
	f(policy.Tokens, days{0, 15}, 0, false) // the third is unknown
}
