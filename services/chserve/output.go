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
	w        http.ResponseWriter
	req      *request
	timezone string
	format   string
	tag      string // frames an exception that comes after the headers
	stats    chdb.Stats

	held    spool // what the request wants back only when it is known good
	started bool
	layers  []io.WriteCloser // outermost last
}

func newOutput(w http.ResponseWriter, req *request, timezone string) *output {
	return &output{w: w, req: req, timezone: timezone, tag: strings.ReplaceAll(newUUID(), "-", "")[:16]}
}

// set writes a header in ClickHouse's spelling, which is not Go's.
func (o *output) set(name, value string) { o.w.Header()[name] = []string{value} }

func (o *output) identify() {
	o.set("X-ClickHouse-Server-Display-Name", displayName)
	o.set("X-ClickHouse-Query-Id", o.req.id)
	o.set("X-ClickHouse-Timezone", o.timezone)
}

// Write takes result bytes: it sends them, the headers before the first, or
// holds them back.
func (o *output) Write(p []byte) (int, error) {
	if o.req.buffered {
		return o.held.Write(p)
	}
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
	o.identify()
	o.set("Content-Type", contentType(o.format))
	o.set("X-ClickHouse-Format", o.format)
	o.set("X-ClickHouse-Exception-Tag", o.tag)
	o.set("X-ClickHouse-Summary", summary(o.stats))
	if o.req.encoding != "" {
		enc, err := newEncoder(o.w, o.req.encoding)
		if err != nil {
			return err
		}
		o.set("Content-Encoding", o.req.encoding)
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
	if !o.started && o.held.empty() {
		o.req.encoding, o.req.compress = "", false // nothing has no coding
		o.set("Content-Length", "0")
	}
	if err := o.start(); err != nil {
		return err
	}
	if err := o.held.copyTo(o.top()); err != nil {
		return fmt.Errorf("finish answer: %w", err)
	}
	if err := o.closeLayers(); err != nil {
		return fmt.Errorf("finish answer: %w", err)
	}
	return nil
}

func (o *output) closeLayers() error {
	var err error
	for i := len(o.layers) - 1; i >= 0 && err == nil; i-- {
		err = o.layers[i].Close()
	}
	o.layers = nil
	return err
}

// close frees what the answer holds; the answer itself ends with finish or fail.
func (o *output) close() { o.held.close() }

// fail ends the answer with an exception: as its status and body, or behind
// the rows that were sent, in the frame that servers use. It tells whether the
// answer had begun.
func (o *output) fail(e *chdb.EngineError) (begun bool) {
	if !o.started {
		o.identify()
		o.set("Content-Type", "text/plain; charset=UTF-8")
		o.set("X-ClickHouse-Exception-Code", strconv.Itoa(e.Code))
		if e.Code == codeRequiredPassword || e.Code == codeAuthentication {
			o.set("WWW-Authenticate", `Basic realm="ClickHouse server HTTP API"`)
		}
		o.w.WriteHeader(httpStatus(e.Code))
		_, _ = io.WriteString(o.w, e.Message+"\n")
		return false
	}
	frame := fmt.Sprintf("\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", o.tag, e.Message, len(e.Message)+1, o.tag)
	if o.req.encoding != "" { // the content coding covers it
		_, _ = io.WriteString(o.top(), frame)
		_ = o.closeLayers()
	} else { // native block frames do not
		_ = o.closeLayers()
		_, _ = io.WriteString(o.w, frame)
	}
	_ = http.NewResponseController(o.w).Flush()
	return true
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
