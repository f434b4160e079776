package chsink

import "time"

// Progress is what the metadata of a sink's committed offset tells others.
type Progress struct {
	// Topic is the first eight hex digits of the id of the topic that the offset
	// belongs to.
	Topic string
	// Pending says that the range First to Last is being stored, since the time of
	// its first attempt.
	Pending     bool
	First, Last int64
	Since       time.Time
}

// ReadProgress reads the metadata of a committed offset. An error says that it is
// not a sink's.
func ReadProgress(metadata string) (Progress, error) {
	p, err := parseProgress(metadata)
	if err != nil {
		return Progress{}, err
	}
	out := Progress{Topic: p.topic}
	if i := p.pending; i != nil {
		out.Pending, out.First, out.Last, out.Since = true, i.first, i.last, i.since
	}
	return out, nil
}
