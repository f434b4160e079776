package collector

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func gzipped(tb testing.TB, plain []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(plain)
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func deflated(tb testing.TB, plain []byte) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(plain)
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func zstandard(tb testing.TB, plain []byte) []byte {
	tb.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return w.EncodeAll(plain, nil)
}

func TestIntake(t *testing.T) {
	limits := Limits{BodyBytes: 100 << 10, MemoryBytes: 300 << 10, Requests: 2}
	small, edge, over := noise(3000), noise(100<<10), noise(100<<10+1)
	bomb := make([]byte, 64<<20)
	for _, test := range []struct {
		name, encoding string
		body           io.Reader
		want           []byte
		reason         string
	}{
		{name: "plain", body: bytes.NewReader(small), want: small},
		{name: "empty", body: bytes.NewReader(nil), want: []byte{}},
		{name: "identity", encoding: "identity", body: bytes.NewReader(small), want: small},
		{name: "gzip", encoding: "gzip", body: bytes.NewReader(gzipped(t, small)), want: small},
		{name: "gzip in capitals", encoding: " GZIP ", body: bytes.NewReader(gzipped(t, small)), want: small},
		{name: "deflate", encoding: "deflate", body: bytes.NewReader(deflated(t, small)), want: small},
		{name: "zstd", encoding: "zstd", body: bytes.NewReader(zstandard(t, small)), want: small},
		{name: "at the limit", body: bytes.NewReader(edge), want: edge},
		{name: "over the limit", body: bytes.NewReader(over), reason: reasonBodyTooLarge},
		{name: "gzip over the limit", encoding: "gzip", body: bytes.NewReader(gzipped(t, over)), reason: reasonBodyTooLarge},
		{name: "gzip bomb", encoding: "gzip", body: bytes.NewReader(gzipped(t, bomb)), reason: reasonBodyTooLarge},
		{name: "zstd bomb", encoding: "zstd", body: bytes.NewReader(zstandard(t, bomb)), reason: reasonBodyTooLarge},
		{name: "deflate bomb", encoding: "deflate", body: bytes.NewReader(deflated(t, bomb)), reason: reasonBodyTooLarge},
		{name: "not gzip", encoding: "gzip", body: bytes.NewReader(small), reason: reasonBadEncoding},
		{name: "empty gzip", encoding: "gzip", body: bytes.NewReader(nil), reason: reasonBadEncoding},
		{name: "half a gzip", encoding: "gzip", body: bytes.NewReader(gzipped(t, small)[:1500]), reason: reasonBadEncoding},
		{name: "not zstd", encoding: "zstd", body: bytes.NewReader(small), reason: reasonBadEncoding},
		{name: "not deflate", encoding: "deflate", body: bytes.NewReader(small), reason: reasonBadEncoding},
		{name: "unknown encoding", encoding: "br", body: bytes.NewReader(small), reason: reasonEncoding},
		{name: "two encodings", encoding: "gzip, gzip", body: bytes.NewReader(small), reason: reasonEncoding},
		{name: "slow", body: io.MultiReader(bytes.NewReader(small), failing{os.ErrDeadlineExceeded}), reason: reasonSlow},
		{name: "slow gzip", encoding: "gzip", body: io.MultiReader(bytes.NewReader(gzipped(t, small)[:900]), failing{os.ErrDeadlineExceeded}), reason: reasonSlow},
		{name: "cut", body: io.MultiReader(bytes.NewReader(small), failing{io.ErrUnexpectedEOF}), reason: reasonIncomplete},
		{name: "reset", encoding: "gzip", body: failing{&net.OpError{Op: "read", Err: io.ErrClosedPipe}}, reason: reasonIncomplete},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := newIntake(limits)
			for range 3 { // buffers and decoders are used again
				b, ref := in.read(test.body, test.encoding)
				if test.reason != "" {
					if ref == nil || ref.reason != test.reason {
						t.Fatalf("refusal %+v, want %s", ref, test.reason)
					}
				} else if ref != nil || !bytes.Equal(b.data, test.want) {
					t.Fatalf("refusal %+v, %d bytes, want %d", ref, len(b.data), len(test.want))
				}
				if got := in.taken.Load(); got > limits.BodyBytes+1 {
					t.Errorf("took %d bytes", got)
				}
				b.release()
				if got := in.taken.Load(); got != 0 {
					t.Errorf("%d bytes still taken", got)
				}
				s, ok := test.body.(io.Seeker)
				if !ok {
					return
				}
				_, _ = s.Seek(0, io.SeekStart)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestIntakeIsBounded(t *testing.T) {
	in := newIntake(Limits{BodyBytes: 100 << 10, MemoryBytes: 150 << 10, Requests: 2})
	first, ref := in.read(bytes.NewReader(noise(90<<10)), "")
	if ref != nil {
		t.Fatal(ref)
	}
	second, ref := in.read(bytes.NewReader(noise(90<<10)), "")
	if ref == nil || ref.reason != reasonOverloaded || !ref.retriable() {
		t.Errorf("second body: refusal %+v, want %s", ref, reasonOverloaded)
	}
	second.release()
	first.release()
	third, ref := in.read(bytes.NewReader(noise(90<<10)), "")
	if ref != nil {
		t.Errorf("after release: refusal %+v", ref)
	}
	third.release()

	for range 2 {
		if ref := in.enter(); ref != nil {
			t.Fatal("two requests find no place")
		}
	}
	if ref := in.enter(); ref == nil || ref.reason != reasonOverloaded {
		t.Errorf("third request: %+v, want %s", ref, reasonOverloaded)
	}
	in.leave()
	if ref := in.enter(); ref != nil {
		t.Errorf("after leaving: %+v", ref)
	}
}
