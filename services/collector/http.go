package collector

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/source/cloudevents"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// maxHeaderBytes bounds the request line and headers.
const maxHeaderBytes = 64 << 10

// inlet is one protocol's way of reading a request and writing the answer.
type inlet interface {
	// admit looks at the headers alone and returns the form of the body.
	admit(r *http.Request) (form, *refusal)
	// read reads the body; the caller releases it.
	read(r *http.Request, in *intake) (*body, *refusal)
	// answer writes the answer: that of ref if it is not nil.
	answer(w http.ResponseWriter, r *http.Request, res result, ref *refusal)
}

// form is how a body is to be read.
type form struct {
	decode decoder
	// records counts the records of a body at a glance, before it is decoded.
	records func(body []byte) int64
}

// origin says what an inlet's events are marked with.
type origin struct {
	transport goodhartv1.Transport
	// name is the transport in metrics.
	name string
	// source stands for the adapter where the body cannot be decoded.
	source string
}

// serve handles one endpoint.
func (s *service) serve(in inlet, from origin) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		res, ref := s.exchange(r, started, in, from)
		outcome := resultOK
		if ref != nil {
			outcome = ref.reason
			s.report(r, ref)
		}
		s.metrics.requests.WithLabelValues(from.name, outcome).Inc()
		s.metrics.requestSeconds.WithLabelValues(from.name).Observe(time.Since(started).Seconds())
		in.answer(w, r, res, ref)
	})
}

// report logs why a request was not accepted. Kafka being away shows in metrics,
// readiness and the warnings about ticks; here it would be a line per request.
func (s *service) report(r *http.Request, ref *refusal) {
	level := slog.LevelDebug
	if errors.Is(ref.cause, errPanic) {
		level = slog.LevelError
	}
	s.log.Log(r.Context(), level, "request not accepted", "endpoint", r.Pattern, "reason", ref.reason, "error", ref.cause)
}

// exchange is what happens to every request: the key, the clock and the headers
// are looked at before the first byte of the body is read.
func (s *service) exchange(r *http.Request, started time.Time, in inlet, from origin) (result, *refusal) {
	if ref := s.intake.enter(); ref != nil {
		return result{}, ref
	}
	defer s.intake.leave()
	d := delivery{
		books: s.library.current.Load(), started: started, route: r.Pattern,
		transport: from.transport, source: from.source,
	}
	var ref *refusal
	if d.cred, ref = d.books.keys.authenticate(r.Header.Get("Authorization")); ref != nil {
		return result{}, ref
	}
	if d.now, ref = s.clock.observe(r.Header.Get(clockHeader)); ref != nil {
		return result{}, ref
	}
	f, ref := in.admit(r)
	if ref != nil {
		ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timeouts.Produce)
		defer cancel()
		return result{}, s.condemn(ctx, d, nil, ref)
	}
	body, ref := in.read(r, s.intake)
	defer body.release()
	s.metrics.bodyBytes.WithLabelValues(from.name).Add(float64(len(body.data)))
	ctx, cancel := context.WithTimeout(r.Context(), s.cfg.Timeouts.Produce)
	defer cancel()
	if ref == nil {
		ref = body.weigh(f.records(body.data))
	}
	if ref != nil {
		return result{}, s.condemn(ctx, d, body.data, ref)
	}
	return s.ingest(ctx, d, body.data, f.decode)
}

// httpServer is a server with every limit set.
func (s *service) httpServer(handler http.Handler, protocols *http.Protocols) *http.Server {
	t := s.cfg.Timeouts
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		ReadHeaderTimeout: t.Header,
		ReadTimeout:       t.Header + t.Body,
		// Header mode waits once more for ticks, refusals for a dead letter.
		WriteTimeout:   t.Header + t.Body + 3*t.Produce,
		IdleTimeout:    t.Idle,
		MaxHeaderBytes: maxHeaderBytes,
		// A stop lets requests finish: their contexts do not end with the role's.
		BaseContext: func(net.Listener) context.Context { return context.Background() },
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// httpRoutes is what listen.http serves.
func (s *service) httpRoutes() http.Handler {
	mux := http.NewServeMux()
	for _, sig := range signals() {
		from := origin{transport: goodhartv1.Transport_TRANSPORT_OTLP_HTTP, name: transportOTLPHTTP, source: otlpSource}
		mux.Handle("POST "+sig.path, s.serve(otlpInlet{sig}, from))
	}
	from := origin{transport: goodhartv1.Transport_TRANSPORT_HTTP, name: transportHTTP, source: cloudevents.Source}
	mux.Handle("POST "+eventsPath, s.serve(eventsInlet{}, from))
	return mux
}
