package faults

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// journal prints what happens, each line with the time since the start. Safe for
// concurrent use.
type journal struct {
	began time.Time

	mu  sync.Mutex
	out io.Writer
}

func (j *journal) say(format string, args ...any) {
	since := time.Since(j.began)
	j.print(fmt.Sprintf("%02d:%04.1f  %s\n", int(since.Minutes()), since.Seconds()-60*float64(int(since.Minutes())), fmt.Sprintf(format, args...)))
}

func (j *journal) print(text string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = io.WriteString(j.out, text) // a closed terminal stops nothing
}

// Write implements io.Writer, for what other programs print.
func (j *journal) Write(b []byte) (int, error) {
	j.print(string(b))
	return len(b), nil
}
