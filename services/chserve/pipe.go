package chserve

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/goodhartlabs/goodhart/services/chserve/internal/chdb"
)

// pipeBuffer is how much of a piped answer is held back, so that a small one
// has its whole summary in the headers and an early failure its own status.
const pipeBuffer = 256 << 10

// piped is a SELECT that writes its result, one whole document, to a pipe, as
// if it were the file of INTO OUTFILE. Chunks of a stream would each be a
// document of their own.
type piped struct {
	r     *os.File
	ended chan struct{} // closed when the query is over; then:
	stats chdb.Stats
	err   error
}

// startPiped runs the query on the lease's connection, which is in use until
// ended closes.
func (l *lease) startPiped(req *request, s shape, format string) (*piped, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe result: %w", err)
	}
	// Truncate, not append: some formats write no header behind existing data.
	sql := fmt.Sprintf("%s\nINTO OUTFILE '/proc/self/fd/%d' TRUNCATE FORMAT %s", req.text[:s.end], w.Fd(), format)
	if s.format != "" { // SETTINGS may follow
		sql = fmt.Sprintf("%s\nINTO OUTFILE '/proc/self/fd/%d' TRUNCATE %s", req.text[:s.end], w.Fd(), req.text[s.end:])
	}
	p := &piped{r: r, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		defer func() { _ = w.Close() }() // the reader's end of file
		res, err := l.conn.Query(sql, "Null", req.params)
		if err != nil {
			p.err = err
			return
		}
		p.stats = res.Stats
		res.Close()
	}()
	return p, nil
}

// pipe sends the result of a SELECT in a format that is one document: JSON,
// Parquet, Pretty and such.
func (l *lease) pipe(req *request, s shape, out *output) error {
	p, err := l.startPiped(req, s, out.format)
	if err != nil {
		return err
	}
	err = p.copyTo(out)
	if err != nil {
		l.cancel()                      // the engine would wait at a full pipe
		_, _ = io.Copy(io.Discard, p.r) // until it has noticed
	}
	<-p.ended
	_ = p.r.Close()
	return err
}

// copyTo sends the document and returns the query's own error, or the one of
// sending.
func (p *piped) copyTo(out *output) error {
	buf := make([]byte, pipeBuffer)
	for {
		n, err := fill(p.r, buf)
		if errors.Is(err, io.EOF) {
			<-p.ended
			if p.err != nil {
				return p.err
			}
			out.stats = p.stats
			_, err := out.Write(buf[:n])
			return err
		}
		if err != nil {
			return fmt.Errorf("pipe result: %w", err)
		}
		if _, err := out.Write(buf[:n]); err != nil {
			return err
		}
	}
}

// fill reads until buf is full. The error is io.EOF at a clean end only, which
// may come along with bytes; a source that breaks off gives its own error.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var more int
		more, err = r.Read(buf[n:])
		n += more
	}
	if n == len(buf) && errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}
