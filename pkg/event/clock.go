package event

import (
	"time"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	// MaxAhead is how far an event time may lie after its acceptance.
	MaxAhead = 5 * time.Minute
	// MaxAge is how old an event may be at its acceptance.
	MaxAge = 400 * 24 * time.Hour
)

// fixTime sets the acceptance time and corrects the event time: absent (0) and
// more than MaxAhead in the future become the acceptance time, with a flag. It
// reports false if the event is too old.
func fixTime(e *goodhartv1.Event, now time.Time) bool {
	received := now.UnixMilli()
	e.ReceivedMs = received
	switch {
	case e.TimeMs == 0:
		e.TimeMs = received
		Flag(e, goodhartv1.Quality_QUALITY_MISSING_TIME)
	case e.TimeMs > received+MaxAhead.Milliseconds():
		e.TimeMs = received
		Flag(e, goodhartv1.Quality_QUALITY_CLOCK_SKEW)
	case e.TimeMs < received-MaxAge.Milliseconds():
		return false
	}
	return true
}
