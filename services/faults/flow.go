package faults

import (
	"encoding/json"
	"os"
	"time"
)

// flow is the traffic as its sender sees it: what the pipeline has acknowledged.
type flow struct {
	path    string // of the sender's progress
	samples []sample
}

type sample struct {
	at      time.Time
	records int64
}

// progress is what the sender writes after each step.
type progress struct {
	Records  int64 `json:"records"`
	Repeated int64 `json:"repeated"`
	Done     bool  `json:"done"`
}

// read is the progress now, the zero value before the first step.
func (f *flow) read() progress {
	var p progress
	raw, err := os.ReadFile(f.path)
	if err != nil || json.Unmarshal(raw, &p) != nil { // there is no half of it: the sender renames it into place
		return progress{}
	}
	return p
}

// window is over how long the rate is measured: steps are uneven.
const window = 3 * time.Second

// look reads the progress and remembers it.
func (f *flow) look(now time.Time) progress {
	p := f.read()
	f.samples = append(f.samples, sample{now, p.Records})
	for len(f.samples) > 2 && now.Sub(f.samples[1].at) >= window {
		f.samples = f.samples[1:]
	}
	return p
}

// rate is how many records a second were acknowledged in the last window.
func (f *flow) rate() float64 {
	if len(f.samples) < 2 {
		return 0
	}
	first, last := f.samples[0], f.samples[len(f.samples)-1]
	return float64(last.records-first.records) / max(last.at.Sub(first.at).Seconds(), .001)
}
