package chserve

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// patience is how long a read or write may wait for a client that neither
// sends nor takes anything, as in receive_timeout and send_timeout of servers.
// A stalled client would else keep its place among the running queries.
const patience = 5 * time.Minute

// patientBody is a request body whose reads time out. The deadline stands only
// while a read waits: the server watches the connection between reads, and
// would take an expired deadline for a client that went away.
type patientBody struct {
	io.Reader
	control  *http.ResponseController
	patience time.Duration
}

func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(b.patience)) // not of a recorder in tests
	n, err := b.Reader.Read(p)
	if err == nil || errors.Is(err, io.EOF) { // else it stands, as the server reads on to the body's end
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// patientWriter is a response whose writes time out.
type patientWriter struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
}

func (w *patientWriter) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.patience)) // not of a recorder in tests
	return w.ResponseWriter.Write(p)
}

// Unwrap lets a controller reach the response below.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
