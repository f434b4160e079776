package fold

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/goodhartlabs/goodhart/pkg/machine"
)

// held is a record that waits for its turn.
type held struct {
	pos        machine.Position
	time       int64
	offset     int64
	key, value []byte
}

// queue is a first-in-first-out queue of held records that keeps its front in
// memory and, past a budget, its rear in a temporary file. The file is no
// durable state: after a crash the records are read from Kafka again.
type queue struct {
	memory int // budget in bytes
	dir    string

	front []held // front[at:] are waiting
	at    int
	bytes int // of front[at:]

	file        *os.File
	read, write int64 // file offsets
	inFile      int   // records in file
	buf         []byte
}

// heldOverhead is what a held record costs beside its key and value.
const heldOverhead = 96

// refill is how much is read back from the file at a time.
const refill = 1 << 20

func (q *queue) len() int { return len(q.front) - q.at + q.inFile }

func (q *queue) spilled() int64 { return q.write - q.read }

func (q *queue) push(h held) error {
	if q.inFile == 0 && q.bytes < q.memory {
		if q.at > len(q.front)/2 && len(q.front) == cap(q.front) {
			n := copy(q.front, q.front[q.at:])
			clear(q.front[n:])
			q.front, q.at = q.front[:n], 0
		}
		q.front = append(q.front, h)
		q.bytes += len(h.key) + len(h.value) + heldOverhead
		return nil
	}
	return q.spill(h)
}

func (q *queue) spill(h held) error {
	if q.file == nil {
		f, err := os.CreateTemp(q.dir, "goodhart-merge-*")
		if err != nil {
			return fmt.Errorf("open spill file: %w", err)
		}
		// Unlinked at once: the space is freed even after kill -9.
		if err := os.Remove(f.Name()); err != nil {
			return fmt.Errorf("unlink spill file: %w", err)
		}
		q.file = f
	}
	b := binary.AppendUvarint(q.buf[:0], uint64(h.time))
	b = binary.AppendUvarint(b, uint64(h.offset))
	b = binary.AppendUvarint(b, uint64(len(h.key)))
	b = append(b, h.key...)
	b = append(b, h.value...)
	q.buf = b
	var size [4]byte
	binary.LittleEndian.PutUint32(size[:], uint32(len(b)))
	if _, err := q.file.WriteAt(append(size[:], b...), q.write); err != nil {
		return fmt.Errorf("write spill file: %w", err)
	}
	q.write += int64(len(b)) + 4
	q.inFile++
	return nil
}

// head returns the first record; ok is false when the queue is empty.
func (q *queue) head() (h *held, ok bool, err error) {
	if q.at == len(q.front) {
		if q.inFile == 0 {
			return nil, false, nil
		}
		if err := q.load(); err != nil {
			return nil, false, err
		}
	}
	return &q.front[q.at], true, nil
}

// load moves at least one record from the file into memory.
func (q *queue) load() error {
	clear(q.front)
	q.front, q.at, q.bytes = q.front[:0], 0, 0
	for q.inFile > 0 && q.bytes < min(refill, max(q.memory, 1)) {
		var size [4]byte
		if _, err := q.file.ReadAt(size[:], q.read); err != nil {
			return fmt.Errorf("read spill file: %w", err)
		}
		b := make([]byte, binary.LittleEndian.Uint32(size[:]))
		if _, err := q.file.ReadAt(b, q.read+4); err != nil && err != io.EOF { // ReadAt returns io.EOF itself at the end of a full read
			return fmt.Errorf("read spill file: %w", err)
		}
		q.read += int64(len(b)) + 4
		q.inFile--
		h, err := unspill(b)
		if err != nil {
			return err
		}
		q.front = append(q.front, h)
		q.bytes += len(b) + heldOverhead
	}
	if q.inFile == 0 {
		q.read, q.write = 0, 0
		if err := q.file.Truncate(0); err != nil {
			return fmt.Errorf("truncate spill file: %w", err)
		}
	}
	return nil
}

func unspill(b []byte) (held, error) {
	var fields [3]uint64
	for i := range fields {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			return held{}, fmt.Errorf("read spill file: %w", io.ErrUnexpectedEOF)
		}
		fields[i], b = v, b[n:]
	}
	value := b[fields[2]:]
	pos, err := stampOf(value)
	if err != nil {
		return held{}, fmt.Errorf("read spill file: %w", err)
	}
	return held{pos: pos, time: int64(fields[0]), offset: int64(fields[1]), key: b[:fields[2]:fields[2]], value: value}, nil
}

func (q *queue) pop() {
	h := &q.front[q.at]
	q.bytes -= len(h.key) + len(h.value) + heldOverhead
	*h = held{}
	q.at++
	if q.at == len(q.front) {
		q.front, q.at, q.bytes = q.front[:0], 0, 0
	}
}

// oldest returns the offset of the first record: offsets grow along a queue.
func (q *queue) oldest() (int64, bool) {
	if q.at < len(q.front) {
		return q.front[q.at].offset, true
	}
	if h, ok, err := q.head(); ok && err == nil {
		return h.offset, true
	}
	return 0, false
}

func (q *queue) close() {
	if q.file != nil {
		_ = q.file.Close() // unlinked already, nothing of value is lost
	}
}
