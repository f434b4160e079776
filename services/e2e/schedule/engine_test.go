package schedule

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// engine stands between the sinks of a schedule and the server. It is where the
// virtual network meets the real one: what waits for the server waits in the
// system, and so the bubble's clock stands still.
type engine struct {
	proxy  *httputil.ReverseProxy
	known  *sync.Map // of *httptest.ResponseRecorder, by question
	stores map[int]storing
	struck *counts

	mu      sync.Mutex
	inserts int
	late    sync.WaitGroup
}

// serve answers on a listener of the bubble until it is closed.
func (w *world) serveEngine(addr string, known *sync.Map) *http.Server {
	w.engine = &engine{
		known: known, stores: w.plan.stores, struck: w.struck,
		proxy: &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: addr}); r.Out.Host = "" },
			// A connection kept for later would be waited on all the time.
			Transport:    &http.Transport{DisableKeepAlives: true},
			ErrorHandler: func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) },
		},
	}
	ln, err := w.network.Listen("tcp", engineAddr)
	if err != nil {
		w.t.Fatal(err)
	}
	srv := &http.Server{Handler: w.engine, ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(ln) }() // until it is closed
	return srv
}

func (e *engine) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if !strings.HasPrefix(r.URL.Query().Get("query"), "INSERT INTO core.") {
		e.ask(w, r, body)
		return
	}
	e.mu.Lock()
	what := e.stores[e.inserts]
	e.inserts++
	e.mu.Unlock()
	if what != stored {
		e.struck.add(string(what))
	}
	switch what {
	case lost:
		panic(http.ErrAbortHandler)
	case refused:
		w.Header().Set("X-ClickHouse-Exception-Code", "241")
		http.Error(w, "Code: 241. DB::Exception: (total) memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)", http.StatusInternalServerError)
	case late:
		again := r.Clone(context.WithoutCancel(r.Context()))
		again.Body = io.NopCloser(bytes.NewReader(body))
		e.late.Go(func() {
			time.Sleep(7 * time.Second)
			e.proxy.ServeHTTP(httptest.NewRecorder(), again)
		})
		panic(http.ErrAbortHandler)
	case unanswered:
		e.proxy.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
		panic(http.ErrAbortHandler)
	default:
		e.proxy.ServeHTTP(w, r)
	}
}

// ask passes a question on. Only what is stored changes while schedules run: the
// answers to other questions (what the server is, what its tables look like, what
// gauges show) are remembered, for asking took as long as storing.
func (e *engine) ask(w http.ResponseWriter, r *http.Request, body []byte) {
	text := string(body)
	if strings.Contains(text, "k_offset") {
		e.proxy.ServeHTTP(w, r)
		return
	}
	query := r.URL.Query()
	query.Del("max_execution_time")
	query.Del("query_id")
	key := query.Encode() + "\n" + text
	answer, ok := e.known.Load(key)
	if !ok {
		rec := httptest.NewRecorder()
		e.proxy.ServeHTTP(rec, r)
		if answer = rec; rec.Code == http.StatusOK {
			e.known.Store(key, rec)
		}
	}
	rec := answer.(*httptest.ResponseRecorder)
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes()) // the client has gone if it fails
}
