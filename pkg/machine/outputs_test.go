package machine

import (
	"bytes"
	"testing"
)

// text is the simplest Message.
type text struct{ b []byte }

func (m *text) SizeVT() int { return len(m.b) }

func (m *text) MarshalToSizedBufferVT(dst []byte) (int, error) {
	return copy(dst[len(dst)-len(m.b):], m.b), nil
}

// Outputs keep their bytes over Reset and use them again after Recycle.
func TestOutputsRecycle(t *testing.T) {
	const blocks = 10
	const many = blocks * arenaBlock / 1000
	var out Outputs
	var held [][]byte
	for i := range many {
		out.Emit("topic", ByKey, []byte("key"), 1, &text{bytes.Repeat([]byte{byte(i)}, 1000)})
		held = append(held, out.Records()[0].Stamped(1, 2, false))
		out.Reset()
	}
	out.Emit("topic", ByKey, nil, 1, &text{make([]byte, 2*arenaBlock)}) // has memory of its own
	for i, b := range held {
		if b[len(b)-1] != byte(i) {
			t.Fatalf("the memory of output %d was used again, though nobody gave it back", i)
		}
	}
	message, key := &text{make([]byte, 1000)}, []byte("key")
	if n := testing.AllocsPerRun(10, func() {
		out.Recycle()
		for range many {
			out.Emit("topic", ByKey, key, 1, message)
			out.Reset()
		}
	}); n > 0 {
		t.Errorf("%v allocations: memory that was given back is not used again", n)
	}
	for range 2 * maxFree {
		out.Emit("topic", ByKey, nil, 1, &text{make([]byte, arenaBlock-stampRoom)})
	}
	if out.Recycle(); len(out.free) > maxFree {
		t.Errorf("%d free blocks, want at most %d", len(out.free), maxFree)
	}
}
