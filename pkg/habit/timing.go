package habit

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

// gaps are the gaps between the requests of a day. Time is in tenths of a second,
// so that the squares of a busy week fit.
type gaps struct {
	last, squares int64
	// n is of a day, and sum no more than the ends of a week's first and last day lie
	// apart, whatever the offset.
	n, sum uint32
}

const tenth = 100 // ms

// add adds a request; one that comes before the newest makes no gap.
func (g *gaps) add(t int64) {
	if g.last != 0 && t >= g.last {
		gap := (t - g.last) / tenth
		g.n++
		g.sum += uint32(gap)
		g.squares += gap * gap
	}
	g.last = max(g.last, t)
}

// timedRequests is from how many requests on a day has a coefficient of variation.
const timedRequests = 20

// cv is the coefficient of variation of the gaps in millionths, -1 where there are
// too few.
func (g *gaps) cv() int64 {
	if g.n < timedRequests-1 || g.sum == 0 {
		return -1
	}
	mean := float64(g.sum) / float64(g.n)
	variance := float64(g.squares)/float64(g.n) - float64(mean*mean)
	return int64(math.Round(math.Sqrt(max(variance, 0)) / mean * 1e6))
}

// The periods that timers have, in minutes.
const periods = 6

var periodMinutes = [periods]int64{1, 5, 10, 15, 30, 60}

// phase is a sum of unit vectors, one for each request, by its phase in a period.
type phase struct{ cos, sin int64 }

// circle is the unit circle in 256 steps, in 1/16384.
var circle = func() (c [256]phase) {
	for i := range c {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / float64(len(c)))
		c[i] = phase{int64(math.Round(cos * unit)), int64(math.Round(sin * unit))}
	}
	return c
}()

const unit = 1 << 14

// timing adds what says when requests begin.
func (k *week) timing(u *Use) {
	k.gaps[k.hour(u.TimeMs)/24].add(u.TimeMs)
	minutes, inMinute := u.TimeMs/window.Minute, u.TimeMs%window.Minute
	for i, period := range periodMinutes {
		at := minutes%period*window.Minute + inMinute
		c := circle[at*256/(period*window.Minute)&255]
		k.phases[i].cos += c.cos
		k.phases[i].sin += c.sin
	}
}

// stateTiming sets the statistics of when requests began.
func (k *week) stateTiming() {
	s := k.sums
	for i := range k.gaps {
		cv := k.gaps[i].cv()
		if cv < 0 {
			continue
		}
		if s.TimedDays == 0 || cv < s.GapCv {
			s.GapCv = cv
		}
		s.TimedDays++
	}
	if s.PeriodRequests = s.Requests; s.Requests > 0 {
		for i, p := range k.phases {
			length := math.Hypot(float64(p.cos), float64(p.sin)) / unit / float64(s.Requests)
			if r := int64(math.Round(length * 1e6)); r > s.PeriodResultant {
				s.PeriodResultant, s.PeriodMin = r, periodMinutes[i]
			}
		}
	}
	s.Hours = make([]byte, hours/8)
	requests := k.hours.all()
	var gap, activeDays int64
	for day := range days {
		longest, run, active := 0, 0, false
		for hour := range 24 {
			at := day*24 + hour
			n := requests[at]
			s.PeakHourRequests = max(s.PeakHourRequests, int64(n))
			if n == 0 {
				run++
				longest = max(longest, run)
				continue
			}
			run, active = 0, true
			s.Hours[at/8] |= 1 << (at % 8)
		}
		if active {
			gap += int64(longest) * 60
			activeDays++
		}
	}
	if activeDays > 0 {
		s.LongestGapMin = gap / activeDays
	}
}
