package traces

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

var servegenColumns = []string{"category", "model", "client", "hour", "requests", "mean_cv", "mean_input_tokens", "mean_output_tokens"}

// servegenStart is the Monday that hour 0 is put on, ms: the trace does not say.
var servegenStart = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// readServeGen reads hours of programs. An hour becomes one request somewhere in it
// that stands for all of them.
func readServeGen(s *Set, in *lines) error {
	in.columns = servegenColumns
	l := log{name: in.base(), clients: true, sized: true}
	for {
		err := in.row()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		hour, requests := in.float(3, 0), in.float(4, 1)
		r := Request{Model: in.fields[1], Context: Unknown, Output: Unknown, Read: Unknown, New: Unknown, weight: 1}
		if in.fields[6] != "" { // there is no histogram of every client
			r.Context = int64(math.Round(requests * in.float(6, 0)))
		}
		if in.fields[7] != "" {
			r.Output = int64(math.Round(requests * in.float(7, 0)))
		}
		if in.err != nil {
			return in.err
		}
		const longest = 400 * 24
		if hour != math.Trunc(hour) || hour > longest {
			return in.wrong(servegenColumns[3], fmt.Errorf("%s: want a whole number up to %d", in.fields[3], longest))
		}
		i := l.subject(in.fields[0]+"/"+in.fields[1]+"/"+in.fields[2], in.fields[0])
		within := rand.New(rand.NewPCG(uint64(i), uint64(hour))).Int64N(window.Hour)
		r.At = servegenStart + int64(hour)*window.Hour + within
		l.subjects[i].requests = append(l.subjects[i].requests, r)
	}
	if len(l.subjects) == 0 {
		return in.wrong(servegenColumns[0], errors.New("no hours"))
	}
	s.addLog(in, l, File{Dataset: "ServeGen, by client and hour", Licence: "Apache-2.0", Use: "who, when and how much: programs, no people"})
	return nil
}
