package traces

import (
	"errors"
	"fmt"
)

// File is one trace that was read.
type File struct {
	// Path within the directory.
	Path string
	// Dataset and Licence are of what has this format.
	Dataset, Licence string
	Rows             int
	// Use is what it serves for.
	Use string
}

// Set is what a directory holds.
type Set struct {
	Files []File
	logs  []log
	sizes []sizes
}

// Error is what is wrong in a file; Line counts from 1, Column is its name or
// number.
type Error struct {
	Path   string
	Line   int
	Column string
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("read traces: %s:%d: column %s: %v", e.Path, e.Line, e.Column, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// log says who asked when.
type log struct {
	name    string
	clients bool // no people
	// offset of local time, minutes east of UTC.
	offset   int
	subjects []subject
	places   map[string]int // of subjects, by id
	// sized: its requests have tokens, as far as anybody knows them.
	sized bool
}

// subject returns the place of a subject, which is added if it is new.
func (l *log) subject(id, group string) int {
	i, known := l.places[id]
	if !known {
		if l.places == nil {
			l.places = map[string]int{}
		}
		i = len(l.subjects)
		l.places[id] = i
		l.subjects = append(l.subjects, subject{id: id, group: group})
	}
	return i
}

// addLog takes a log into the set, each request of which was a row.
func (s *Set) addLog(in *lines, l log, f File) {
	for i := range l.subjects {
		f.Rows += len(l.subjects[i].requests)
	}
	f.Path = in.path
	s.logs, s.Files = append(s.logs, l), append(s.Files, f)
}

type subject struct {
	id, group string
	requests  []Request
}

// sizes are the requests of a trace without people, in its order.
type sizes struct {
	name     string
	requests []Request
	// prefixed: cache reads, new turns and repeats are known.
	prefixed bool
}

// addSizes takes a trace without people into the set.
func (s *Set) addSizes(in *lines, of sizes, f File) error {
	if len(of.requests) == 0 {
		return in.wrong("1", errors.New("no requests"))
	}
	f.Path, f.Rows, f.Use = in.path, len(of.requests), "how much: requests without people"
	s.sizes, s.Files = append(s.sizes, of), append(s.Files, f)
	return nil
}

// Request is one request. Counts are Unknown where no trace has them.
type Request struct {
	// At is its begin, ms since the epoch, Duration its ms.
	At, Duration int64
	Model        string
	// Context and Output are tokens, Read the part of the context that a cache served,
	// New that of the new turn.
	Context, Output, Read, New int64
	// Prompt and Target are hashes of the new turn and of what it worked on; 0 where
	// they are not known.
	Prompt, Target uint64
	// Wasted: it was injected.
	Wasted bool
	// weight is how many times the usual size it is.
	weight float64
}

// Unknown is a count that no trace has.
const Unknown = -1

// tokens of a request, 0 where they are not known.
func (r *Request) tokens() int64 { return max(0, r.Context) + max(0, r.Output) }
