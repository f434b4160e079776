package traces

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// swfColumns are those of the Standard Workload Format.
var swfColumns = []string{
	"1 job", "2 submit", "3 wait", "4 run time", "5 processors", "6 cpu time", "7 memory", "8 requested processors", "9 requested time",
	"10 requested memory", "11 status", "12 user", "13 group", "14 application", "15 queue", "16 partition", "17 preceding", "18 think time",
}

// Columns of the Standard Workload Format that are read, from 0.
const (
	swfSubmit     = 1
	swfRun        = 3
	swfProcessors = 4
	swfUser       = 11
	swfGroup      = 12
)

// readSWF reads jobs of people.
func readSWF(s *Set, in *lines) error {
	in.columns = swfColumns
	start, zone, known := int64(0), int64(0), false
	l := log{name: in.base()}
	for in.next() {
		if note, ok := strings.CutPrefix(in.text, ";"); ok {
			name, value, _ := strings.Cut(strings.TrimSpace(note), ":")
			var err error
			switch name {
			case "UnixStartTime":
				start, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
				known = true
			case "TimeZone":
				zone, err = strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			}
			if err != nil {
				return in.wrong("1", fmt.Errorf("header %s: %w", name, err))
			}
			continue
		}
		fields := strings.Fields(in.text)
		if len(fields) == 0 {
			continue
		}
		if err := in.take(fields); err != nil {
			return err
		}
		if !known {
			return in.wrong(swfColumns[swfSubmit], errors.New("the header has no UnixStartTime"))
		}
		submit, run, processors := in.float(swfSubmit, 0), in.float(swfRun, -1), in.float(swfProcessors, -1)
		in.float(swfUser, -1)
		if in.err != nil {
			return in.err
		}
		i := l.subject(in.fields[swfUser], "group-"+in.fields[swfGroup])
		l.subjects[i].requests = append(l.subjects[i].requests, Request{
			At: 1000 * (start + int64(submit)), Duration: 1000 * int64(max(run, 0)), weight: max(1, run) * max(1, processors),
			Context: Unknown, Output: Unknown, Read: Unknown, New: Unknown,
		})
	}
	if err := in.end(); !errors.Is(err, io.EOF) {
		return err
	}
	if len(l.subjects) == 0 {
		return in.wrong(swfColumns[0], errors.New("no jobs"))
	}
	l.offset = int(zone / 60)
	l.weigh()
	s.addLog(in, l, File{
		Dataset: "Parallel Workloads Archive, Standard Workload Format", Licence: "by log, acknowledge its authors",
		Use: "who and when: people on a metered machine",
	})
	return nil
}

// weigh makes the node-seconds of a job multiples of their median; a job below it
// stands for one request of usual size too.
func (l *log) weigh() {
	var all []float64
	for i := range l.subjects {
		for _, r := range l.subjects[i].requests {
			all = append(all, r.weight)
		}
	}
	usual := middle(all)
	for i := range l.subjects {
		requests := l.subjects[i].requests
		for j := range requests {
			requests[j].weight = max(1, requests[j].weight/usual)
		}
		slices.SortStableFunc(requests, func(a, b Request) int { return cmp.Compare(a.At, b.At) })
	}
}
