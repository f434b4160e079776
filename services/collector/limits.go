package collector

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/semaphore"
)

const (
	// firstRead is the room of a body at first; it doubles from there.
	firstRead = 32 << 10
	// maxPooled is the largest body buffer that is kept for the next request.
	maxPooled = 256 << 10
	// maxWindow is the largest zstd window, as RFC 8878 recommends.
	maxWindow = 8 << 20
)

// intake reads bodies within bounds. Safe for concurrent use.
type intake struct {
	maxBody, memory int64
	// bytes bounds the memory of requests in work, slots their number.
	bytes *semaphore.Weighted
	slots *semaphore.Weighted
	taken atomic.Int64 // of bytes
	open  atomic.Int64 // of slots

	buffers sync.Pool // *[]byte
	gzips   sync.Pool // *gzip.Reader
	zstds   sync.Pool // *zstd.Decoder
}

func newIntake(l Limits) *intake {
	return &intake{
		maxBody: l.BodyBytes,
		memory:  l.MemoryBytes,
		bytes:   semaphore.NewWeighted(l.MemoryBytes),
		slots:   semaphore.NewWeighted(l.Requests),
	}
}

// enter takes a place among the requests in work; leave gives it back.
func (in *intake) enter() *refusal {
	if !in.slots.TryAcquire(1) {
		return refuse(reasonOverloaded, "too many requests at once")
	}
	in.open.Add(1)
	return nil
}

func (in *intake) leave() {
	in.open.Add(-1)
	in.slots.Release(1)
}

// body is a request's body in memory, with its share of the memory in work.
// Nothing may point into data after release: it is read into again.
type body struct {
	in    *intake
	data  []byte
	taken int64
}

// none is a body of which nothing could be read.
func (in *intake) none() *body { return &body{in: in} }

func (b *body) reserve(n int64) *refusal {
	if !b.in.bytes.TryAcquire(n) {
		return refuse(reasonOverloaded, "too much in work at once")
	}
	b.taken += n
	b.in.taken.Add(n)
	return nil
}

// release gives the share and the memory back.
func (b *body) release() {
	b.in.bytes.Release(b.taken)
	b.in.taken.Add(-b.taken)
	if cap(b.data) > 0 && cap(b.data) <= maxPooled {
		data := b.data[:0]
		b.in.buffers.Put(&data)
	}
	b.data, b.taken = nil, 0
}

// read reads a body to its end, decompressed, while it stays within the limit
// and there is memory to spare. After an error the body holds what was read so
// far, for its hash; release it in any case.
func (in *intake) read(r io.Reader, encoding string) (*body, *refusal) {
	b := in.none()
	plain, done, ref := in.decompress(r, encoding)
	if ref != nil {
		return b, ref
	}
	defer done()
	if buf, ok := in.buffers.Get().(*[]byte); ok {
		b.data = (*buf)[:0]
	} else {
		b.data = make([]byte, 0, min(firstRead, in.maxBody+1))
	}
	if ref := b.reserve(int64(cap(b.data))); ref != nil {
		return b, ref
	}
	for {
		if len(b.data) == cap(b.data) {
			if ref := b.grow(); ref != nil {
				return b, ref
			}
		}
		n, err := plain.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		switch {
		case int64(len(b.data)) > in.maxBody:
			return b, refuse(reasonBodyTooLarge, "the body is larger than the limit after decompression")
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return b, readRefusal(err, plain != r)
		}
	}
}

// weigh takes the share that decoding a body of so many records needs. What
// would need more than there is at all is refused for good.
func (b *body) weigh(records int64) *refusal {
	need := max(0, memoryPerByte*int64(len(b.data))+memoryPerRecord*records-b.taken)
	if b.taken+need > b.in.memory {
		return refuse(reasonBodyTooLarge, "the body holds too many records")
	}
	return b.reserve(need)
}

// grow doubles the room, up to one byte over the limit.
func (b *body) grow() *refusal {
	larger := min(2*int64(cap(b.data)), b.in.maxBody+1)
	if ref := b.reserve(larger - int64(cap(b.data))); ref != nil {
		return ref
	}
	data := make([]byte, len(b.data), larger)
	copy(data, b.data)
	b.data = data
	return nil
}

// readRefusal tells a slow or broken connection from a broken stream.
func readRefusal(err error, compressed bool) *refusal {
	var netErr net.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &netErr) && netErr.Timeout():
		return refuse(reasonSlow, "the body did not arrive in time")
	case compressed && !errors.As(err, &netErr):
		return refuse(reasonBadEncoding, "the compressed body cannot be read")
	default:
		return refuse(reasonIncomplete, "the body ended early")
	}
}

// decompress returns the plain body and what to call after reading it.
func (in *intake) decompress(r io.Reader, encoding string) (io.Reader, func(), *refusal) {
	bad := refuse(reasonBadEncoding, "the compressed body cannot be read")
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return r, func() {}, nil
	case "gzip", "x-gzip":
		z, ok := in.gzips.Get().(*gzip.Reader)
		if !ok {
			z = new(gzip.Reader)
		}
		if err := z.Reset(r); err != nil {
			return nil, nil, readRefusal(err, true)
		}
		return z, func() { in.gzips.Put(z) }, nil
	case "zstd":
		z, ok := in.zstds.Get().(*zstd.Decoder)
		if !ok {
			var err error
			z, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
			if err != nil {
				return nil, nil, bad
			}
		}
		if err := z.Reset(r); err != nil {
			return nil, nil, readRefusal(err, true)
		}
		return z, func() { _ = z.Reset(nil); in.zstds.Put(z) }, nil
	case "deflate":
		z, err := zlib.NewReader(r)
		if err != nil {
			return nil, nil, readRefusal(err, true)
		}
		return z, func() { _ = z.Close() }, nil
	default:
		return nil, nil, refuse(reasonEncoding, "Content-Encoding is none of gzip, deflate, zstd, identity")
	}
}
