package chserve

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"io"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// decodeBody undoes the HTTP content coding of a request body, then the native
// block frames if frames is set.
func decodeBody(raw io.Reader, encoding string, frames bool) (io.Reader, error) {
	body := raw
	switch strings.ToLower(encoding) {
	case "", "identity":
	case "gzip", "x-gzip":
		body = &lazyReader{open: func() (io.Reader, error) { return gzip.NewReader(raw) }}
	case "deflate":
		body = &lazyReader{open: func() (io.Reader, error) { return zlib.NewReader(raw) }}
	case "br":
		body = brotli.NewReader(raw)
	case "zstd":
		dec, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, err
		}
		body = dec
	case "lz4":
		body = lz4.NewReader(raw)
	default:
		return nil, raise(codeUnknownCodec, "UNKNOWN_COMPRESSION_METHOD", "Unknown compression method %q", encoding)
	}
	if frames {
		buffered := bufio.NewReaderSize(body, 64<<10)
		body = &frameReader{source: buffered, frames: compress.NewReader(buffered)}
	}
	return body, nil
}

// lazyReader opens its decoder at the first read, so that an empty body is no
// error of the coding.
type lazyReader struct {
	open func() (io.Reader, error)
	r    io.Reader
}

func (l *lazyReader) Read(p []byte) (int, error) {
	if l.r == nil {
		r, err := l.open()
		if err != nil {
			return 0, err
		}
		l.r = r
	}
	return l.r.Read(p)
}

// frameHeader is the length of a native frame's header, which ends with the
// size of its data.
const frameHeader = 25

// frameReader reads native block frames up to a clean end between two of them.
type frameReader struct {
	source *bufio.Reader
	frames *compress.Reader
	left   int // bytes of the current frame that were not read yet
}

func (f *frameReader) Read(p []byte) (int, error) {
	for f.left == 0 {
		header, err := f.source.Peek(frameHeader)
		if len(header) == 0 {
			return 0, err
		}
		if len(header) < frameHeader {
			return 0, io.ErrUnexpectedEOF
		}
		f.left = int(binary.LittleEndian.Uint32(header[frameHeader-4:]))
	}
	n, err := f.frames.Read(p)
	f.left -= n
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// chooseEncoding picks a content coding that the client accepts, the cheapest
// for both sides first.
func chooseEncoding(accept string) string {
	accepted := map[string]bool{}
	for part := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if q := strings.ReplaceAll(params, " ", ""); q != "q=0" && q != "q=0.0" {
			accepted[strings.ToLower(strings.TrimSpace(name))] = true
		}
	}
	for _, name := range []string{"lz4", "zstd", "gzip", "deflate", "br"} {
		if accepted[name] {
			return name
		}
	}
	return ""
}

// newEncoder wraps w in a content coding. Close ends the coding, not w.
func newEncoder(w io.Writer, encoding string) (io.WriteCloser, error) {
	switch encoding {
	case "lz4":
		return lz4.NewWriter(w), nil
	case "zstd":
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	case "gzip":
		return gzip.NewWriterLevel(w, gzip.BestSpeed)
	case "deflate":
		return zlib.NewWriterLevel(w, zlib.BestSpeed)
	case "br":
		return brotli.NewWriterLevel(w, 2), nil
	}
	return nil, raise(codeUnknownCodec, "UNKNOWN_COMPRESSION_METHOD", "Unknown compression method %q", encoding)
}

// frameSize is how many bytes of a result go into one native block frame.
const frameSize = 1 << 20

// frameWriter compresses into native block frames.
type frameWriter struct {
	w      io.Writer
	frames *compress.Writer
	buf    bytes.Buffer
}

func newFrameWriter(w io.Writer, zstdFrames bool) *frameWriter {
	method := compress.LZ4
	if zstdFrames {
		method = compress.ZSTD
	}
	return &frameWriter{w: w, frames: compress.NewWriter(compress.LevelZero, method)}
}

// Write compresses p in frames of at most frameSize.
func (f *frameWriter) Write(p []byte) (int, error) {
	written := len(p)
	for f.buf.Len()+len(p) >= frameSize {
		take := frameSize - f.buf.Len()
		f.buf.Write(p[:take])
		p = p[take:]
		if err := f.flush(); err != nil {
			return 0, err
		}
	}
	f.buf.Write(p)
	return written, nil
}

func (f *frameWriter) flush() error {
	if f.buf.Len() == 0 {
		return nil
	}
	if err := f.frames.Compress(f.buf.Bytes()); err != nil {
		return err
	}
	f.buf.Reset()
	_, err := f.w.Write(f.frames.Data)
	return err
}

// Close writes what is left. The writer below stays open.
func (f *frameWriter) Close() error { return f.flush() }
