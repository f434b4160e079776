package machine

import "encoding/binary"

// Where an output goes.
const (
	// ByKey sends it to the partition of its key.
	ByKey int32 = -1
	// EveryPartition sends a copy to every partition of the topic.
	EveryPartition int32 = -2
)

// Message is what the protobuf types of schemas offer, and all that Emit needs.
type Message interface {
	SizeVT() int
	MarshalToSizedBufferVT(dst []byte) (int, error)
}

// Header is a Kafka record header.
type Header struct {
	Key   string
	Value []byte
}

// Output is one record to produce.
type Output struct {
	Topic string
	// Partition is ByKey, EveryPartition or a partition number.
	Partition int32
	Key       []byte
	// W is the watermark at emission: that of the record or timer behind it.
	W       int64
	Headers []Header

	buf []byte // stampRoom bytes of room, then the body
}

// stampRoom is the room kept before a body for its stamp: three tags and the
// longest varints of an int64, a uint32 and a uint64.
const stampRoom = 3 + 10 + 5 + 10

// Body is the value without its stamp.
func (o *Output) Body() []byte { return o.buf[stampRoom:] }

// Stamped returns the value with the stamp (w, p, seq) as protobuf fields 1 to
// 3 in front of the body. The bytes are the output's own: Stamped may be called
// once per copy that is produced, and copies must not be in use at once unless
// clone is set.
func (o *Output) Stamped(p uint32, seq uint64, clone bool) []byte {
	var stamp [stampRoom]byte
	b := append(stamp[:0], 0x08)
	b = binary.AppendUvarint(b, uint64(o.W))
	b = binary.AppendUvarint(append(b, 0x10), uint64(p))
	b = binary.AppendUvarint(append(b, 0x18), seq)
	if clone {
		return append(b, o.Body()...)
	}
	at := stampRoom - len(b)
	copy(o.buf[at:], b)
	return o.buf[at:]
}

// Outputs collects what a machine emits, in order. The zero value is ready.
type Outputs struct {
	// Silent drops everything: the outputs of a replay are already committed.
	Silent  bool
	records []Output
	arena   []byte   // what is left of the last of the blocks in use
	used    [][]byte // blocks that outputs lie in
	free    [][]byte // blocks that nobody needs any more
}

const (
	// arenaBlock is how much Outputs allocates at a time; outputs of many records
	// share a block.
	arenaBlock = 64 << 10
	// maxFree is how many blocks are kept for later.
	maxFree = 64
)

// Emit appends m as an output. The key is copied.
func (o *Outputs) Emit(topic string, partition int32, key []byte, w int64, m Message) {
	if o.Silent {
		return
	}
	size := m.SizeVT()
	buf := o.room(stampRoom + size)
	if n, err := m.MarshalToSizedBufferVT(buf[stampRoom:]); err != nil || n != size {
		panic("machine: message does not fill its own size") // a bug in generated code
	}
	o.add(Output{Topic: topic, Partition: partition, W: w, buf: buf}, key)
}

// EmitBytes appends body, which is copied, as an output.
func (o *Outputs) EmitBytes(topic string, partition int32, key []byte, w int64, body []byte, headers []Header) {
	if o.Silent {
		return
	}
	buf := o.room(stampRoom + len(body))
	copy(buf[stampRoom:], body)
	o.add(Output{Topic: topic, Partition: partition, W: w, Headers: headers, buf: buf}, key)
}

func (o *Outputs) add(out Output, key []byte) {
	out.Key = o.room(len(key))
	copy(out.Key, key)
	o.records = append(o.records, out)
}

func (o *Outputs) room(n int) []byte {
	if n > len(o.arena) {
		o.arena = o.block(n)
	}
	b := o.arena[:n:n]
	o.arena = o.arena[n:]
	return b
}

// block returns a block of at least n bytes, whatever is in it.
func (o *Outputs) block(n int) []byte {
	if n > arenaBlock {
		return make([]byte, n)
	}
	var b []byte
	if last := len(o.free) - 1; last >= 0 {
		b, o.free = o.free[last], o.free[:last]
	} else {
		b = make([]byte, arenaBlock)
	}
	o.used = append(o.used, b)
	return b
}

// Records returns what was emitted since the last Reset, in order.
func (o *Outputs) Records() []Output { return o.records }

// Reset forgets the outputs. Their bytes stay valid for whoever holds them,
// until Recycle.
func (o *Outputs) Reset() {
	clear(o.records)
	o.records = o.records[:0]
}

// Recycle says that nobody holds bytes of earlier outputs any more: their memory
// serves the next ones. Without it, it is left to the collector of garbage.
func (o *Outputs) Recycle() {
	o.Reset()
	o.free = append(o.free, o.used[:min(len(o.used), max(0, maxFree-len(o.free)))]...)
	clear(o.used)
	o.used, o.arena = o.used[:0], nil
}
