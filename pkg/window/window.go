// Package window is the arithmetic of time that the folds share: minutes, hours
// and days as panes, the windows of the product with their slides and their
// deadlines, and ISO weeks. All times are int64 milliseconds since the Unix
// epoch, UTC; an interval holds its start and not its end. There is no clock.
package window

// Lengths of time in ms.
const (
	Second int64 = 1000
	Minute       = 60 * Second
	Hour         = 60 * Minute
	Day          = 24 * Hour
	Week         = 7 * Day
)

// Window is one of the rolling windows that scores are given for.
type Window struct {
	// Name is how records call it: 5m, 1h, 24h, 7d, 28d.
	Name string
	// Size is its length, Slide the distance between two ends. Ends are
	// multiples of Slide.
	Size, Slide int64
	// Pane is the width of the panes it is summed from; it divides Size and
	// Slide.
	Pane int64
	// Correct is how long after its end a window is corrected.
	Correct int64
}

// Windows returns the windows of the product, shortest first.
func Windows() []Window {
	return []Window{
		{Name: "5m", Size: 5 * Minute, Slide: Minute, Pane: Minute, Correct: 15 * Minute},
		{Name: "1h", Size: Hour, Slide: 5 * Minute, Pane: Minute, Correct: Hour},
		{Name: "24h", Size: Day, Slide: Hour, Pane: Hour, Correct: 48 * Hour},
		{Name: "7d", Size: 7 * Day, Slide: Day, Pane: Day, Correct: 48 * Hour},
		{Name: "28d", Size: 28 * Day, Slide: Day, Pane: Day, Correct: 48 * Hour},
	}
}

// Keep is how long after a pane's start the pane can still be asked for: it
// lies at the start of a window that is corrected at the last moment.
func (w Window) Keep() int64 { return w.Size + w.Correct }

// Floor returns the greatest multiple of width that is not after t. Width must
// be positive.
func Floor(t, width int64) int64 {
	r := t % width
	if r < 0 {
		r += width
	}
	return t - r
}

// Ceil returns the smallest multiple of width that is not before t.
func Ceil(t, width int64) int64 {
	f := Floor(t, width)
	if f == t {
		return t
	}
	return f + width
}

// After returns the smallest multiple of width that is after t.
func After(t, width int64) int64 { return Floor(t, width) + width }
