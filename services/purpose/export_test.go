package purpose

import "time"

// WithClock gives a configuration another clock.
func WithClock(c Config, clock func() time.Time) Config {
	c.clock = clock
	return c
}
