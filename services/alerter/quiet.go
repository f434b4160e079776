package alerter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Quiet are hours of a week in a place, in which what is not critical is held.
type Quiet struct {
	// Zone is the place's name in the IANA database, such as Europe/Berlin.
	Zone string `yaml:"zone"`
	// Hours are one or more spans; they may overlap and adjoin.
	Hours []Hours `yaml:"hours"`

	place *time.Location
}

// Hours is a span of the days on which it begins.
type Hours struct {
	// Days are mon, tue, wed, thu, fri, sat, sun; empty for all.
	Days []string `yaml:"days"`
	// From and To are HH:MM of the place, 00:00 to 24:00; empty for the begin and
	// the end of the day. With To not after From it ends on the next day.
	From string `yaml:"from"`
	To   string `yaml:"to"`

	from, to int // minutes of the day
}

// days are in the order of time.Weekday.
var days = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// prepare checks the hours and makes them ready for use; the error begins with
// the key at fault.
func (q *Quiet) prepare() error {
	place, err := time.LoadLocation(q.Zone)
	if err != nil || q.Zone == "" || q.Zone == "Local" {
		return fmt.Errorf("zone: %q is not a name of the time zone database, such as Europe/Berlin", q.Zone)
	}
	q.place = place
	if len(q.Hours) == 0 {
		return fmt.Errorf("hours: none")
	}
	for i := range q.Hours {
		h := &q.Hours[i]
		for _, d := range h.Days {
			if !slices.Contains(days, d) {
				return fmt.Errorf("hours[%d].days: %q is not one of %s", i, d, strings.Join(days, ", "))
			}
		}
		if h.from, err = minutes(h.From, 0); err != nil {
			return fmt.Errorf("hours[%d].from: %w", i, err)
		}
		if h.to, err = minutes(h.To, 24*60); err != nil {
			return fmt.Errorf("hours[%d].to: %w", i, err)
		}
	}
	if _, ends := q.until(time.Unix(0, 0)); !ends {
		return fmt.Errorf("hours: they never end")
	}
	return nil
}

func minutes(s string, otherwise int) (int, error) {
	if s == "" {
		return otherwise, nil
	}
	h, m, ok := strings.Cut(s, ":")
	hour, err := strconv.Atoi(h)
	minute, err2 := strconv.Atoi(m)
	at := hour*60 + minute
	if !ok || err != nil || err2 != nil || len(h) != 2 || len(m) != 2 || hour < 0 || minute < 0 || minute > 59 || at > 24*60 {
		return 0, fmt.Errorf("%q is not HH:MM in 00:00..24:00", s)
	}
	return at, nil
}

// longest is how long quiet hours may last.
const longest = 8 * 24 * time.Hour

// until returns when the quiet hours around t end, t itself outside of them; it
// reports whether they end.
func (q *Quiet) until(t time.Time) (end time.Time, ends bool) {
	for end = t; end.Sub(t) < longest; {
		next := q.spanEnd(end)
		if next.IsZero() {
			return end, true
		}
		end = next
	}
	return end, false
}

// spanEnd returns the end of the span around t that lasts longest, zero if there
// is none.
func (q *Quiet) spanEnd(t time.Time) (end time.Time) {
	local := t.In(q.place)
	for _, ago := range []int{0, 1} {
		y, m, d := local.AddDate(0, 0, -ago).Date()
		day := time.Date(y, m, d, 12, 0, 0, 0, q.place).Weekday()
		for i := range q.Hours {
			h := &q.Hours[i]
			if len(h.Days) > 0 && !slices.Contains(h.Days, days[day]) {
				continue
			}
			last := h.to
			if h.to <= h.from {
				last += 24 * 60
			}
			begin, until := time.Date(y, m, d, 0, h.from, 0, 0, q.place), time.Date(y, m, d, 0, last, 0, 0, q.place)
			if !t.Before(begin) && t.Before(until) && until.After(end) {
				end = until
			}
		}
	}
	return end
}
