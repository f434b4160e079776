// Package probetest is for tests of roles: it keeps what they log.
package probetest

import (
	"bytes"
	"sync"
	"testing"
)

// Log is the writer of a role's log, shown if the test fails. It is safe for
// concurrent use, also by a role that outlives the test.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// NewLog returns the log of a test.
func NewLog(tb testing.TB) *Log {
	tb.Helper()
	l := &Log{}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("log:\n%s", l)
		}
	})
	return l
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String is everything so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
