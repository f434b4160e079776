package chserve

import (
	"context"
	"net/http"
	"sync"

	"github.com/goodhartlabs/goodhart/services/probe"
)

// handler is ClickHouse's HTTP interface. Safe for concurrent use.
type handler struct {
	cfg     Config
	eng     *engine
	tel     *probe.Telemetry
	running sync.WaitGroup
}

func newHandler(cfg Config, eng *engine, tel *probe.Telemetry) *handler {
	return &handler{cfg: cfg, eng: eng, tel: tel}
}

// ServeHTTP answers the health paths to anyone, and queries to the user.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/ping":
		plain(w, "Ok.\n")
	case "/replicas_status":
		plain(w, "Ok.\n") // there are no replicas, so none lags
	case "/":
		h.running.Add(1)
		defer h.running.Done()
		h.serveQuery(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
		plain(w, "There is no handle "+r.URL.Path+"\n\nUse / or /ping for health checks.\nOr /replicas_status for more sophisticated health checks.\n\nSend queries from your program with POST method or GET /?query=...\n")
	}
}

func plain(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	_, _ = w.Write([]byte(text))
}

func (h *handler) serveQuery(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if r.URL.RawQuery == "" && r.Method != http.MethodPost {
		plain(w, "Ok.\n")
		return
	}
	out := newOutput(w, &request{id: newUUID()})
	err := h.cfg.authenticate(r)
	if err == nil {
		var req *request
		if req, err = parseRequest(r); err == nil {
			out.req = req
			out.identify(h.eng.timezone)
			err = h.execute(r.Context(), req, out)
		}
	}
	if err == nil {
		err = out.finish()
	}
	if err != nil {
		out.identify(h.eng.timezone)
		h.fail(r.Context(), out, err)
	}
}

func (h *handler) fail(ctx context.Context, out *output, err error) {
	e := asException(err)
	h.tel.Log.Debug("query failed", "query_id", out.req.id, "code", e.Code, "error", e.Message)
	broken := out.started
	out.fail(e)
	if broken && ctx.Err() == nil {
		panic(http.ErrAbortHandler) // cut the message short: its end was never reached
	}
}
