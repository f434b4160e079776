package kpi

import (
	"time"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// days is a period of a target: days of the panel, counted from day 0 of week 0;
// to is exclusive.
type days struct{ from, to int }

// periods returns the whole periods in a range of weeks. Months and quarters are
// those of the calendar, UTC.
func (s *sample) periods(in span) []days {
	if s.Target.Period == policy.Week || s.Target.Period == "" {
		var all []days
		for w := in.from; w < in.to; w++ {
			all = append(all, days{7 * w, 7*w + 7})
		}
		return all
	}
	var all []days
	begun := -1
	for d := 7 * in.from; d <= 7*in.to; d++ {
		if !s.begins(d) {
			continue
		}
		if begun >= 0 {
			all = append(all, days{begun, d})
		}
		begun = d
	}
	return all
}

// begins reports whether a period of the target begins on a day of the panel.
func (s *sample) begins(day int) bool {
	t := time.UnixMilli(s.Panel.Start + int64(day)*window.Day).UTC()
	return t.Day() == 1 && (s.Target.Period == policy.Month || t.Month()%3 == 1)
}

// used returns what a unit used in a period in the metric of the target; ok is
// false if a week of it is unknown.
func (s *sample) used(u *Unit, in days) (sum int64, ok bool) {
	for d := in.from; d < in.to; d++ {
		k := u.week(d / 7)
		if !k.Known {
			return 0, false
		}
		switch s.Target.Metric {
		case policy.Requests, policy.WeeklyUse:
			sum += k.DayRequests[d%7]
		case policy.Cost:
			if !k.CostKnown && k.Tokens > 0 {
				return 0, false
			}
			sum += k.DayCostNanos[d%7]
		default:
			sum += k.DayTokens[d%7]
		}
	}
	return sum, true
}

// lateFrom returns the day on which the last fifth of the working days of a
// period begins, Monday to Friday; of a week that is its Friday. The days after
// it to the end of the period are late too.
func lateFrom(in days) int {
	working := 0
	for d := in.from; d < in.to; d++ {
		if d%7 < 5 {
			working++
		}
	}
	late := max(1, working/5)
	for d := in.to - 1; d >= in.from; d-- {
		if d%7 < 5 {
			if late--; late == 0 {
				return d
			}
		}
	}
	return in.to
}
