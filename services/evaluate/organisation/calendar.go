package organisation

import "time"

const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	dayMs  = 24 * hour
	weekMs = 7 * dayMs
)

// weekStart is the Monday 00:00 of a week, read as UTC, in ms since the epoch.
func (o *Organisation) weekStart(week int) int64 { return o.start + int64(week)*weekMs }

// weekOf finds the week of a day, -1 before the period and after it.
func (o *Organisation) weekOf(t time.Time) int {
	week := int((t.UnixMilli() - o.start + weekMs*100) / weekMs)
	if week -= 100; week < 0 || week >= o.Config.Weeks {
		return -1
	}
	return week
}

// date is the local calendar day of a week.
func (o *Organisation) date(week, weekday int) time.Time {
	return time.UnixMilli(o.weekStart(week) + int64(weekday)*dayMs).UTC()
}

// lateInMonth reports whether a day lies in the last fifth of its month.
func lateInMonth(t time.Time) bool {
	last := time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return float64(t.Day()) > .8*float64(last)
}

// lateInQuarter reports whether a day is one of the last ten of its quarter.
func lateInQuarter(t time.Time) bool {
	if t.Month()%3 != 0 {
		return false
	}
	last := time.Date(t.Year(), t.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return t.Day() > last-10
}
