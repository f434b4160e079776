package collector

import (
	"strconv"
	"sync"
	"time"
)

// clockHeader names the header, and in lower case the gRPC metadata key, that
// carries Unix milliseconds in decimal.
const clockHeader = "Goodhart-Clock"

// maxClock is the end of year 9999, the last time that every reader can print.
const maxClock = 253402300799999

// clock tells acceptance time. Safe for concurrent use.
type clock struct {
	fromHeader bool

	mu       sync.Mutex
	greatest int64 // of the headers seen, ms; 0 before the first
}

// observe takes the header of a request (empty if it has none) and returns the
// acceptance time of that request.
func (c *clock) observe(header string) (time.Time, *refusal) {
	if !c.fromHeader {
		return time.Now(), nil
	}
	ms := int64(0)
	if header != "" {
		v, err := strconv.ParseInt(header, 10, 64)
		if err != nil || v <= 0 || v > maxClock {
			return time.Time{}, refuse(reasonBadClock, clockHeader+" is not Unix milliseconds in decimal")
		}
		ms = v
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.greatest = max(c.greatest, ms)
	if c.greatest == 0 {
		return time.Time{}, refuse(reasonNoClock, "clock mode header, and no "+clockHeader+" has been received yet")
	}
	return time.UnixMilli(c.greatest), nil
}
