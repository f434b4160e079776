package console

import (
	"sync"
	"time"
)

// limiter lets each person ask so often: a bucket of burst requests that fills by
// perMinute. Safe for concurrent use.
type limiter struct {
	perMinute, burst float64

	mu      sync.Mutex
	buckets map[string]bucket
}

type bucket struct {
	left float64
	at   time.Time
}

// mostBuckets is how many people are remembered before those with a full bucket
// are forgotten.
const mostBuckets = 10_000

func newLimiter(perMinute, burst int) *limiter {
	return &limiter{perMinute: float64(perMinute), burst: float64(burst), buckets: map[string]bucket{}}
}

// allow takes one request of somebody's; if there is none left it says how long to
// wait.
func (l *limiter) allow(who string, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, known := l.buckets[who]
	if !known {
		if len(l.buckets) >= mostBuckets {
			l.forget(now)
		}
		b = bucket{left: l.burst, at: now}
	}
	b = l.filled(b, now)
	if b.left < 1 {
		l.buckets[who] = b
		return time.Duration((1 - b.left) / l.perMinute * float64(time.Minute)), false
	}
	b.left--
	l.buckets[who] = b
	return 0, true
}

func (l *limiter) filled(b bucket, now time.Time) bucket {
	if passed := now.Sub(b.at); passed > 0 {
		b.left = min(l.burst, b.left+l.perMinute*passed.Minutes())
		b.at = now
	}
	return b
}

func (l *limiter) forget(now time.Time) {
	for who, b := range l.buckets {
		if l.filled(b, now).left >= l.burst {
			delete(l.buckets, who)
		}
	}
}
