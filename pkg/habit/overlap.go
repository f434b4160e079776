package habit

import goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"

// overlap says how many requests run at a time. A record comes when its request
// has ended, so ends ascend but for what other processes report late.
type overlap struct {
	ends    []int64 // of the newest requests
	covered int64   // until when some request was under way
	few     [4]int64
}

// maxEnds is how many requests at a time can be told.
const maxEnds = 32

// add adds a request that ended at end.
func (o *overlap) add(s *goodhartv1.Week, end, duration int64) {
	if duration <= 0 {
		return
	}
	start := end - duration
	s.TimedRequests++
	s.BusyMs += duration
	s.UnionMs += max(0, end-max(start, o.covered))
	o.covered = max(o.covered, end)
	if o.ends == nil {
		o.ends = o.few[:0]
	}
	kept, at := o.ends[:0], int64(1)
	for _, e := range o.ends {
		if e > start {
			kept = append(kept, e)
			at++
		}
	}
	if len(kept) == maxEnds {
		kept = append(kept[:0], kept[1:]...)
	}
	if len(kept) < len(o.few) {
		kept = append(o.few[:0], kept...)
	}
	o.ends = append(kept, end)
	s.MostConcurrent = max(s.MostConcurrent, min(at, maxEnds))
}
