package alerter

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/schemas"
)

// partition is what a receiver knows of one partition of goodhart.signals.v1. The
// topic is compacted: read from its beginning it tells which signals are open, so
// that nothing has to be kept elsewhere. What lies before the committed offset
// was told by an earlier run and is read in silence.
type partition struct {
	number int32
	// fresh: nothing was ever committed. The receiver then hears what is open now,
	// and none of the history.
	fresh bool
	// upto is where the history ends, ahead what was told behind that.
	upto  int64
	ahead spans
	// restored: all of that has been read.
	restored bool
	// next is behind the last record, position behind the last one or mark of a
	// transaction, end behind the last that may be read.
	next, position, end int64
	// waiting are the offsets of records that are not told, in order.
	waiting []int64
	signals map[string]*standing
	// swept is how many signals the last sweep left.
	swept int
	// newest is the greatest time of a record.
	newest time.Time
	// committed is what was last committed; begun says that this run, or one before
	// it, has committed where the history ends.
	committed commit
	begun     bool
	// gone: it was taken away.
	gone bool
}

// commit is an offset and its metadata.
type commit struct {
	offset   int64
	metadata string
}

// standing is where a signal stands with a receiver.
type standing struct {
	rev  uint32
	open bool
	// seen is the time of the record with rev.
	seen time.Time
	// taken: the receiver was sent a revision, so that it gets the others too,
	// wherever the rules send them.
	taken bool
	// told is the last revision that the receiver has, while that is open.
	told *signal
	// first is the newest revision of a fresh partition's history, if open.
	first *notice
}

func newPartition(number int32, offset int64, metadata string) *partition {
	p := &partition{number: number, upto: offset, signals: map[string]*standing{}, committed: commit{offset, metadata}}
	if p.fresh = offset < 0; !p.fresh {
		p.ahead = parseSpans(metadata)
	}
	return p
}

// begin takes note of what the log holds, [start, end), before it is read from
// start.
func (p *partition) begin(start, end int64) {
	if p.fresh || p.upto > end { // behind the end: the topic was made anew
		p.fresh, p.upto, p.ahead = true, end, nil
	}
	p.next, p.position, p.end = start, start, end
	p.restored = start >= p.known()
	p.begun = !p.fresh
}

// known is where the records end that an earlier run has dealt with.
func (p *partition) known() int64 {
	if n := len(p.ahead); n > 0 {
		return p.ahead[n-1][1]
	}
	return p.upto
}

// history reports whether a record was there before, and needs not be told.
func (p *partition) history(offset int64) bool { return offset < p.upto || p.ahead.has(offset) }

// passed notes that a record or mark was read. It reports whether that was the
// end of what is known. The last known record may have been compacted away; then
// the newer one that did it lies behind.
func (p *partition) passed(rec *kgo.Record) (restored bool) {
	p.position = rec.Offset + 1
	if !rec.Attrs.IsControl() {
		p.next = rec.Offset + 1
		if rec.Timestamp.After(p.newest) {
			p.newest = rec.Timestamp
		}
	}
	if p.restored || p.position < p.known() {
		return false
	}
	p.restored = true
	return true
}

// wait notes that a record is to be told.
func (p *partition) wait(offset int64) {
	i, _ := slices.BinarySearch(p.waiting, offset)
	p.waiting = slices.Insert(p.waiting, i, offset)
}

// finish notes that a record was told.
func (p *partition) finish(offset int64) {
	if i, found := slices.BinarySearch(p.waiting, offset); found {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
}

// progress is what to commit; it reports whether there is anything new. Nothing
// is before all that is known was read: a run that ends meanwhile begins again.
func (p *partition) progress() (commit, bool) {
	offset, ahead := progress(p.next, p.waiting)
	c := commit{offset, ahead.String()}
	return c, p.restored && c != p.committed
}

// sweep forgets the signals that the topic has forgotten too.
func (p *partition) sweep() {
	if len(p.signals) < 2*p.swept+1000 {
		return
	}
	for id, s := range p.signals {
		if !s.open && p.newest.Sub(s.seen) > retention() {
			delete(p.signals, id)
		}
	}
	p.swept = len(p.signals)
}

func retention() time.Duration {
	all := schemas.Topics()
	return all[slices.IndexFunc(all, func(t schemas.Topic) bool { return t.Name == schemas.TopicSignals })].Retention
}
