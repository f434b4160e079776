package chserve

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/goodhartlabs/goodhart/services/chserve/internal/chdb"
)

// output is the answer to one request. Headers go out with the first byte, so
// an error before it gets its proper status and one after it is appended.
type output struct {
	w      http.ResponseWriter
	req    *request
	format string
	tag    string // frames an exception that comes after the headers
	stats  chdb.Stats

	started bool
	layers  []io.WriteCloser // outermost last
}

func newOutput(w http.ResponseWriter, req *request) *output {
	return &output{w: w, req: req, tag: strings.ReplaceAll(newUUID(), "-", "")[:16]}
}

// identify sets the headers that every answer carries.
func (o *output) identify(timezone string) {
	h := o.w.Header()
	h.Set("X-ClickHouse-Server-Display-Name", displayName)
	h.Set("X-ClickHouse-Query-Id", o.req.id)
	h.Set("X-ClickHouse-Timezone", timezone)
}

// Write sends result bytes, the headers before the first.
func (o *output) Write(p []byte) (int, error) {
	if err := o.start(); err != nil {
		return 0, err
	}
	return o.top().Write(p)
}

func (o *output) top() io.Writer {
	if n := len(o.layers); n > 0 {
		return o.layers[n-1]
	}
	return o.w
}

func (o *output) start() error {
	if o.started {
		return nil
	}
	o.started = true
	h := o.w.Header()
	h.Set("Content-Type", contentType(o.format))
	h.Set("X-ClickHouse-Format", o.format)
	h.Set("X-ClickHouse-Exception-Tag", o.tag)
	h.Set("X-ClickHouse-Summary", summary(o.stats))
	if o.req.encoding != "" {
		enc, err := newEncoder(o.w, o.req.encoding)
		if err != nil {
			return err
		}
		h.Set("Content-Encoding", o.req.encoding)
		o.layers = append(o.layers, enc)
	}
	if o.req.compress {
		o.layers = append(o.layers, newFrameWriter(o.top(), o.req.zstd))
	}
	o.w.WriteHeader(http.StatusOK)
	return nil
}

// finish ends a good answer.
func (o *output) finish() error {
	if !o.started && o.req.encoding == "" {
		o.w.Header().Set("Content-Length", "0")
	}
	if err := o.start(); err != nil {
		return err
	}
	for i := len(o.layers) - 1; i >= 0; i-- {
		if err := o.layers[i].Close(); err != nil {
			return fmt.Errorf("finish answer: %w", err)
		}
	}
	return nil
}

// fail ends the answer with an exception: as its status and body, or, when the
// headers are out, behind the rows that were sent and with a broken end of the
// message, so that no client takes the answer for whole.
func (o *output) fail(e *chdb.EngineError) {
	if !o.started {
		h := o.w.Header()
		h.Set("Content-Type", "text/plain; charset=UTF-8")
		h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.Code))
		if e.Code == codeRequiredPassword || e.Code == codeAuthentication {
			h.Set("WWW-Authenticate", `Basic realm="ClickHouse server HTTP API"`)
		}
		o.w.WriteHeader(httpStatus(e.Code))
		_, _ = io.WriteString(o.w, e.Message+"\n")
		return
	}
	block := fmt.Sprintf("\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", o.tag, e.Message, len(e.Message)+1, o.tag)
	switch {
	case o.req.encoding != "":
		_, _ = io.WriteString(o.top(), block)
		for i := len(o.layers) - 1; i >= 0; i-- {
			_ = o.layers[i].Close()
		}
	default:
		for i := len(o.layers) - 1; i >= 0; i-- {
			_ = o.layers[i].Close()
		}
		_, _ = io.WriteString(o.w, block)
	}
	if f, ok := o.w.(http.Flusher); ok {
		f.Flush()
	}
}

// summary is the X-ClickHouse-Summary header: numbers as strings, as servers
// send them.
func summary(s chdb.Stats) string {
	return fmt.Sprintf(`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d","total_rows_to_read":"0","result_rows":"%d","result_bytes":"%d","elapsed_ns":"%d"}`,
		s.ReadRows, s.ReadBytes, s.WrittenRows, s.WrittenBytes, s.Rows, s.Bytes, int64(s.Elapsed*1e9))
}

// contentType is what a server declares for a format.
func contentType(format string) string {
	switch {
	case strings.HasPrefix(format, "CSV"):
		return "text/csv; charset=UTF-8; header=" + map[bool]string{true: "present", false: "absent"}[strings.Contains(format, "WithNames")]
	case strings.HasPrefix(format, "TabSeparated"), strings.HasPrefix(format, "TSV"):
		return "text/tab-separated-values; charset=UTF-8"
	case strings.HasSuffix(format, "EachRow"), format == "JSONLines", format == "NDJSON", format == "JSONL":
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(format, "JSON"):
		return "application/json; charset=UTF-8"
	case format == "XML":
		return "application/xml; charset=UTF-8"
	case strings.HasPrefix(format, "Pretty"), format == "Vertical", format == "Markdown", format == "Values", format == "TSKV", format == "SQLInsert":
		return "text/plain; charset=UTF-8"
	}
	return "application/octet-stream"
}
