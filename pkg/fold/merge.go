package fold

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/machine"
)

// merge puts the records of several upstream partitions, which arrive
// interleaved in one partition, into the order of their stamps (w, p, seq). A
// record is released once its w lies below the last w of every upstream
// partition: since w never decreases along an upstream partition, nothing can
// come before it any more. The order of release is therefore a function of the
// records alone, however they were interleaved.
type merge struct {
	queues []queue
	last   []int64  // last w of each upstream partition
	next   []uint64 // next seq of each upstream partition; 0 while unknown
}

var errStamp = errors.New("record carries no stamp")

func newMerge(upstreams int32, memory int, dir string) *merge {
	m := &merge{
		queues: make([]queue, upstreams),
		last:   make([]int64, upstreams),
		next:   make([]uint64, upstreams),
	}
	for i := range m.queues {
		m.queues[i] = queue{memory: memory, dir: dir}
		m.last[i] = math.MinInt64
	}
	return m
}

// stampOf reads the stamp in front of a value.
func stampOf(value []byte) (machine.Position, error) {
	var fields [3]uint64
	for i := range fields {
		if len(value) == 0 || value[0] != byte(i+1)<<3 {
			return machine.Position{}, errStamp
		}
		v, n := binary.Uvarint(value[1:])
		if n <= 0 {
			return machine.Position{}, errStamp
		}
		fields[i], value = v, value[1+n:]
	}
	if fields[1] > math.MaxUint32 {
		return machine.Position{}, errStamp
	}
	return machine.Position{W: int64(fields[0]), P: uint32(fields[1]), Seq: fields[2]}, nil
}

// push adds a record. An error means that the upstream fold broke its promise:
// the order of release could no longer be trusted.
func (m *merge) push(rec *kgo.Record) error {
	pos, err := stampOf(rec.Value)
	if err != nil {
		return fmt.Errorf("%s/%d at offset %d: %w", rec.Topic, rec.Partition, rec.Offset, err)
	}
	if int(pos.P) >= len(m.queues) {
		return fmt.Errorf("%s/%d at offset %d: upstream partition %d of %d", rec.Topic, rec.Partition, rec.Offset, pos.P, len(m.queues))
	}
	if want := m.next[pos.P]; want != 0 && pos.Seq != want {
		return fmt.Errorf("%s/%d at offset %d: seq %d from upstream partition %d, want %d", rec.Topic, rec.Partition, rec.Offset, pos.Seq, pos.P, want)
	}
	if pos.W < m.last[pos.P] {
		return fmt.Errorf("%s/%d at offset %d: watermark of upstream partition %d went back", rec.Topic, rec.Partition, rec.Offset, pos.P)
	}
	m.next[pos.P] = pos.Seq + 1
	m.last[pos.P] = pos.W
	return m.queues[pos.P].push(held{pos: pos, time: rec.Timestamp.UnixMilli(), offset: rec.Offset, key: rec.Key, value: rec.Value})
}

// low is the smallest last w of all upstream partitions.
func (m *merge) low() int64 {
	low := int64(math.MaxInt64)
	for _, w := range m.last {
		low = min(low, w)
	}
	return low
}

// release calls apply for every record that is due, in order. The record is
// valid during the call.
func (m *merge) release(apply func(held)) error {
	low := m.low()
	for {
		best, second, err := m.heads()
		if err != nil {
			return err
		}
		if best < 0 {
			return nil
		}
		q := &m.queues[best]
		// Stay with this queue while its head is the smallest: records of one
		// upstream partition come in runs.
		for {
			head, ok, err := q.head()
			if err != nil {
				return err
			}
			if !ok || second != nil && head.pos.Compare(*second) > 0 {
				break
			}
			if head.pos.W >= low {
				return nil
			}
			apply(*head)
			q.pop()
		}
	}
}

// heads returns the queue with the smallest head, -1 if all are empty, and the
// second smallest head position.
func (m *merge) heads() (best int, second *machine.Position, err error) {
	best = -1
	var first *machine.Position
	for i := range m.queues {
		head, ok, err := m.queues[i].head()
		if err != nil {
			return -1, nil, err
		}
		if !ok {
			continue
		}
		switch pos := &head.pos; {
		case first == nil || pos.Compare(*first) < 0:
			best, first, second = i, pos, first
		case second == nil || pos.Compare(*second) < 0:
			second = pos
		}
	}
	if second != nil {
		at := *second
		second = &at
	}
	return best, second, nil
}

// oldest returns the smallest offset among the held records, or otherwise.
func (m *merge) oldest(otherwise int64) int64 {
	for i := range m.queues {
		if offset, ok := m.queues[i].oldest(); ok {
			otherwise = min(otherwise, offset)
		}
	}
	return otherwise
}

// size returns the number of held records and their bytes in memory and in
// files.
func (m *merge) size() (records int, memory, spilled int64) {
	for i := range m.queues {
		records += m.queues[i].len()
		memory += int64(m.queues[i].bytes)
		spilled += m.queues[i].spilled()
	}
	return records, memory, spilled
}

func (m *merge) close() {
	for i := range m.queues {
		m.queues[i].close()
	}
}
