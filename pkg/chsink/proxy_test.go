package chsink

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
)

// attempt is one insert as it went over the wire.
type sent struct {
	table, token string
	body         [32]byte
	settings     url.Values
}

// fate is what the proxy does with an insert.
type fate int

const (
	pass fate = iota
	// lose answers nothing and stores nothing.
	lose
	// loseAnswer stores, and answers nothing.
	loseAnswer
	// late stores when the proxy's gate opens, whatever the client does meanwhile.
	late
	// loseLate stores nothing and says so when the gate opens.
	loseLate
)

// proxy stands between a sink and the server, sees every insert and may break it.
type proxy struct {
	mu    sync.Mutex
	seen  []sent
	judge func(n int, s sent) fate
	// stored is called when an insert that passes has been stored and the sink has
	// not been told; nil for nobody.
	stored func(n int)
	// gate is closed to let late inserts through; landed tells when one has.
	gate, landed chan struct{}
}

// inserts returns what went through so far.
func (p *proxy) inserts() []sent {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]sent(nil), p.seen...)
}

func (p *proxy) rule(judge func(n int, s sent) fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.judge = judge
}

// through makes the configuration's connection go through a new proxy.
func (b *bed) through(cfg *Config) *proxy {
	b.tb.Helper()
	p, addr := b.proxy()
	cfg.Conn = b.openAt(addr, b.db)
	return p
}

// proxy starts a proxy and returns its address.
func (b *bed) proxy() (*proxy, string) {
	b.tb.Helper()
	p := &proxy{gate: make(chan struct{}), landed: make(chan struct{}, 10)}
	target := &url.URL{Scheme: "http", Host: b.server.Addr}
	rp := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = "" },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query().Get("query")
		if !strings.HasPrefix(query, "INSERT INTO ") {
			rp.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s := sent{
			table: strings.Fields(query)[2], token: r.URL.Query().Get("insert_deduplication_token"),
			body: sha256.Sum256(body), settings: r.URL.Query(),
		}
		p.mu.Lock()
		n := len(p.seen)
		p.seen = append(p.seen, s)
		what := pass
		if p.judge != nil {
			what = p.judge(n, s)
		}
		stored := p.stored
		p.mu.Unlock()
		if what == lose {
			panic(http.ErrAbortHandler)
		}
		if what == loseLate {
			<-p.gate
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if what == late {
			<-p.gate
			rp.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
			p.landed <- struct{}{}
			panic(http.ErrAbortHandler)
		}
		if what == loseAnswer {
			rp.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		if stored != nil {
			answer := httptest.NewRecorder()
			rp.ServeHTTP(answer, r.WithContext(context.WithoutCancel(r.Context())))
			stored(n)
			maps.Copy(w.Header(), answer.Header())
			w.WriteHeader(answer.Code)
			_, _ = w.Write(answer.Body.Bytes())
			return
		}
		rp.ServeHTTP(w, r)
	}))
	b.tb.Cleanup(srv.Close)
	return p, strings.TrimPrefix(srv.URL, "http://")
}

// always judges every insert alike.
func always(f fate) func(int, sent) fate { return func(int, sent) fate { return f } }
