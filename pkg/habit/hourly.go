package habit

import "slices"

// hourly counts the requests of each hour of a week. Most hours have none, and
// those of one hour come together: the newest lies at hand.
type hourly struct {
	now  hourRequests
	past []hourRequests // of the other hours, in no order
}

type hourRequests struct {
	n    uint32
	hour uint8
}

func (h *hourly) add(hour int) {
	if h.now.hour != uint8(hour) {
		h.turn(uint8(hour))
	}
	h.now.n++
}

// turn makes another hour the newest.
func (h *hourly) turn(hour uint8) {
	if h.now.n > 0 {
		h.past = append(h.past, h.now)
	}
	h.now = hourRequests{hour: hour}
	if at := slices.IndexFunc(h.past, func(r hourRequests) bool { return r.hour == hour }); at >= 0 {
		h.now = h.past[at]
		h.past = slices.Delete(h.past, at, at+1)
	}
}

// all is the requests of every hour.
func (h *hourly) all() (n [hours]uint32) {
	for _, r := range h.past {
		n[r.hour] = r.n
	}
	n[h.now.hour] = h.now.n
	return n
}

func loadHourly(saved []uint32) (h hourly) {
	for hour, n := range saved {
		if n > 0 {
			h.turn(uint8(hour))
			h.now.n = n
		}
	}
	return h
}
