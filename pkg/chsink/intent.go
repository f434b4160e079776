package chsink

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// span is a range of offsets, both ends included.
type span struct{ first, last int64 }

// intent says that a range is being inserted: whoever owns the partition next
// must finish it before anything else.
type intent struct {
	span
	// since is the time of the first attempt, in ms precision.
	since time.Time
	// split says that the range was compared with its tables and what was
	// missing is inserted by month.
	split bool
}

// progress is what the group's offset metadata holds beside the offset.
type progress struct {
	// topic is the short id of the topic that the offset belongs to.
	topic string
	// pending is nil between batches.
	pending *intent
	// verify is an offset below which ranges are compared with their tables
	// before they are inserted; 0 for none.
	verify int64
}

// String encodes the progress: v1;t=<topic>;p=<first>-<last>@<ms>;s;c=<offset>.
func (p progress) String() string {
	var b strings.Builder
	b.WriteString("v1;t=" + p.topic)
	if p.pending != nil {
		fmt.Fprintf(&b, ";p=%d-%d@%d", p.pending.first, p.pending.last, p.pending.since.UnixMilli())
		if p.pending.split {
			b.WriteString(";s")
		}
	}
	if p.verify > 0 {
		fmt.Fprintf(&b, ";c=%d", p.verify)
	}
	return b.String()
}

var progressForm = regexp.MustCompile(`^v1;t=([0-9a-f]{8})(?:;p=(\d{1,18})-(\d{1,18})@(\d{1,14})(;s)?)?(?:;c=(\d{1,18}))?$`)

// parseProgress reads what String wrote. Anything else is an error: the offset
// was then committed by somebody else.
func parseProgress(s string) (progress, error) {
	m := progressForm.FindStringSubmatch(s)
	if m == nil {
		return progress{}, fmt.Errorf("offset metadata %q is not the sink's", s)
	}
	p := progress{topic: m[1], verify: digits(m[6])}
	if m[2] != "" {
		p.pending = &intent{
			span:  span{digits(m[2]), digits(m[3])},
			since: time.UnixMilli(digits(m[4])),
			split: m[5] != "",
		}
		if p.pending.last < p.pending.first {
			return progress{}, fmt.Errorf("offset metadata %q names a range that ends before it starts", s)
		}
	}
	return p, nil
}

// digits parses at most 18 digits, none of which overflows; empty is 0.
func digits(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// token names an insert to the server: the exact range of records and nothing
// else, lest a newer binary's replay count as another insert. The server
// remembers tokens per table, so the tables of one range share it.
func token(o Origin, s span) string {
	return fmt.Sprintf("%s:%d:%d-%d", o.shortID(), o.Partition, s.first, s.last)
}

// splitToken names the insert of one month's rows of a range whose dedup entry
// may be gone. Each month has its own, because a rollup's partitions may differ
// from the table's, and two inserts under one token would lose one there.
func splitToken(o Origin, s span, month uint32) string {
	return fmt.Sprintf("%s/%06d", token(o, s), month)
}
