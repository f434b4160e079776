package chserve

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/goodhartlabs/goodhart/services/chserve/internal/chdb"
	"github.com/goodhartlabs/goodhart/services/probe"
)

// handler is ClickHouse's HTTP interface. Safe for concurrent use.
type handler struct {
	cfg      Config
	eng      *engine
	tel      *probe.Telemetry
	metrics  *metrics
	sessions *sessions
	patience time.Duration
	running  sync.WaitGroup
}

func newHandler(cfg Config, eng *engine, tel *probe.Telemetry) *handler {
	h := &handler{cfg: cfg, eng: eng, tel: tel, patience: patience}
	h.sessions = &sessions{connect: eng.connect, byID: map[string]*session{}}
	h.metrics = newMetrics(tel.Metrics, h)
	return h
}

// close waits for the running queries and ends the sessions.
func (h *handler) close() {
	h.running.Wait()
	h.sessions.closeAll()
}

const unknownPath = `

Use / or /ping for health checks.
Or /replicas_status for more sophisticated health checks.

Send queries from your program with POST method or GET /?query=...
`

// ServeHTTP answers the health paths to anyone, and queries to the user.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ping", "/replicas_status": // there are no replicas, so none lags
		plain(w, http.StatusOK, "Ok.\n")
	case "/":
		h.running.Add(1)
		defer h.running.Done()
		h.serveRoot(w, r)
	default:
		plain(w, http.StatusNotFound, "There is no handle "+r.URL.Path+unknownPath)
	}
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

func (h *handler) serveRoot(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost:
	case http.MethodGet, http.MethodHead:
		if r.URL.RawQuery == "" {
			plain(w, http.StatusOK, "Ok.\n")
			return
		}
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		plain(w, http.StatusMethodNotAllowed, "want GET, HEAD or POST\n")
		return
	}
	h.metrics.running.Inc()
	defer h.metrics.running.Dec()
	began := time.Now()
	control := http.NewResponseController(w)
	r.Body = struct {
		io.Reader
		io.Closer
	}{&patientBody{r.Body, control, h.patience}, r.Body}
	w = &patientWriter{w, control, h.patience}
	out := newOutput(w, &request{id: newUUID()}, h.eng.timezone)
	defer out.close()
	err := h.answer(r, out)
	code := 0
	if err != nil {
		code = asException(err).Code
	}
	h.metrics.observe(out, code, began)
	if err != nil {
		// A client that is still sending would miss the answer if the
		// connection closed under it.
		_, _ = io.CopyN(io.Discard, r.Body, maxDrain)
		h.fail(r.Context(), out, asException(err))
	}
}

// maxDrain bounds how much of a body is read for nothing.
const maxDrain = 256 << 20

func (h *handler) answer(r *http.Request, out *output) error {
	if err := h.cfg.authenticate(r); err != nil {
		return err
	}
	req, err := parseRequest(r)
	if err != nil {
		return err
	}
	out.req = req
	if err := h.execute(r.Context(), req, out); err != nil {
		return err
	}
	return out.finish()
}

// fail sends the exception. When rows went out before, the message is cut
// short behind it, so that no client takes the answer for whole.
func (h *handler) fail(ctx context.Context, out *output, e *chdb.EngineError) {
	h.tel.Log.Debug("query failed", "query_id", out.req.id, "code", e.Code, "error", e.Message)
	if begun := out.fail(e); begun && ctx.Err() == nil {
		panic(http.ErrAbortHandler)
	}
}
