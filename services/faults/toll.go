package faults

import (
	"math"
	"strings"
	"sync"
	"time"
)

// toll is what the faults did.
type toll struct {
	mu             sync.Mutex
	killed, frozen map[string]int           // by role
	down           map[string]time.Duration // by role, all its processes together
	struck         int
	slowest        float64 // events a second when a fault struck
	below          int     // faults that struck while fewer than Floor flowed
}

func newToll() *toll {
	return &toll{killed: map[string]int{}, frozen: map[string]int{}, down: map[string]time.Duration{}, slowest: math.Inf(1)}
}

func roleOf(name string) string {
	role, _, _ := strings.Cut(name, "-")
	return role
}

// strike notes that a fault struck while so many events a second flowed.
func (t *toll) strike(rate float64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.struck++
	t.slowest = min(t.slowest, rate)
	if rate < Floor {
		t.below++
	}
}

// note notes a death or a frost, by role, and how long it lasted.
func (t *toll) note(by map[string]int, name string, since time.Time) time.Duration {
	down := time.Since(since)
	t.add(roleOf(name), down)
	t.mu.Lock()
	defer t.mu.Unlock()
	by[roleOf(name)]++
	return down
}

// add notes that a process of a role was down.
func (t *toll) add(role string, down time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.down[role] += down
}
