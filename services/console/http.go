package console

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/policy"
)

// problem is an answer that is an error, as RFC 9457 writes it.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail never quotes what was sent.
	Detail string `json:"detail,omitempty"`

	reason string // for metrics
	wait   time.Duration
}

func refuse(status int, reason, detail string) *problem {
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, reason: reason}
}

// handler answers a person, or says why not.
type handler func(ctx context.Context, who Token, r *http.Request) (status int, answer any, p *problem)

// routes are all that there is to ask. No other origin is invited: nothing here
// answers a preflight request.
func (s *service) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/me", s.endpoint("me", http.MethodGet, s.me))
	mux.HandleFunc("/v1/disputes", s.endpoint("disputes", http.MethodPost, s.dispute))
	mux.HandleFunc("/", s.endpoint("unknown", "", nil))
	return mux
}

// endpoint answers one method of one path.
func (s *service) endpoint(name, method string, answer handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		ctx, cancel := context.WithTimeout(r.Context(), answers)
		defer cancel()
		status, body, p := http.StatusNotFound, any(nil), refuse(http.StatusNotFound, "unknown", "there is /v1/me and /v1/disputes")
		if answer != nil {
			status, body, p = s.ask(ctx, r, method, answer)
		}
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Type", "application/json")
		result := "ok"
		if p != nil {
			status, body, result = p.Status, p, p.reason
			h.Set("Content-Type", "application/problem+json")
			if p.Status == http.StatusUnauthorized {
				h.Set("WWW-Authenticate", "Bearer")
			}
			if p.Status == http.StatusMethodNotAllowed {
				h.Set("Allow", method)
			}
			if p.wait > 0 {
				h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.wait.Seconds()))))
			}
		}
		s.metrics.requests.WithLabelValues(name, result).Inc()
		s.metrics.seconds.WithLabelValues(name).Observe(time.Since(began).Seconds())
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body) // a client that left needs no answer
	}
}

// ask finds out who asks, and whether they may.
func (s *service) ask(ctx context.Context, r *http.Request, method string, answer handler) (int, any, *problem) {
	if r.Method != method {
		return 0, nil, refuse(http.StatusMethodNotAllowed, "method", "this takes "+method)
	}
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	now := s.cfg.now()
	who, err := readToken(strings.TrimSpace(text), s.ring, now, s.since)
	if err != nil || !strings.EqualFold(scheme, "bearer") {
		return 0, nil, refuse(http.StatusUnauthorized, "unauthenticated", errToken.Error())
	}
	if wait, ok := s.requests.allow(who.Tenant+"|"+who.Subject, now); !ok {
		p := refuse(http.StatusTooManyRequests, "too_many", "too many requests")
		p.wait = wait
		return 0, nil, p
	}
	if !s.caughtUp.Load() {
		p := refuse(http.StatusServiceUnavailable, "starting", "what concerns people is being read")
		p.wait = time.Second
		return 0, nil, p
	}
	return answer(ctx, who, r)
}

// mine is what a person sees.
type mine struct {
	Tenant  string `json:"tenant"`
	Subject string `json:"subject"`
	// VisibleDays is for how long something is shown after it was told.
	VisibleDays int `json:"visible_days"`
	// Signals and Figures are records of goodhart.self.v1, the newest first.
	Signals []json.RawMessage `json:"signals"`
	Figures []json.RawMessage `json:"figures"`
}

func (s *service) me(_ context.Context, who Token, _ *http.Request) (int, any, *problem) {
	m := mine{Tenant: who.Tenant, Subject: who.Subject, VisibleDays: int(visible / (24 * time.Hour))}
	m.Signals, m.Figures = s.book.of(who.Tenant, who.Subject, s.cfg.now())
	return http.StatusOK, m, nil
}

// objection is what a person posts.
type objection struct {
	Signal string               `json:"signal"`
	Reason policy.DisputeReason `json:"reason"`
}

// disputed is the answer: what is in force, or will be once the folds come to it.
type disputed struct {
	Signal  string              `json:"signal"`
	State   policy.DisputeState `json:"state"`
	Version uint64              `json:"config_version"`
}

func (s *service) dispute(ctx context.Context, who Token, r *http.Request) (int, any, *problem) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return 0, nil, refuse(http.StatusUnsupportedMediaType, "content_type", "want Content-Type: application/json")
	}
	o, p := readObjection(r)
	if p != nil {
		return 0, nil, p
	}
	// Somebody else's signal is answered like one that is not there.
	if !s.book.owns(who.Tenant, who.Subject, o.Signal) {
		return 0, nil, refuse(http.StatusNotFound, "not_yours", "you have no signal of this id")
	}
	if wait, ok := s.disputes.allow(who.Tenant+"|"+who.Subject, s.cfg.now()); !ok {
		p := refuse(http.StatusTooManyRequests, "too_many", "too many disputes")
		p.wait = wait
		return 0, nil, p
	}
	version, err := s.publish(ctx, who.Tenant, o)
	switch {
	case errors.Is(err, errDecided):
		return 0, nil, refuse(http.StatusConflict, "decided", errDecided.Error())
	case err != nil:
		s.log.ErrorContext(ctx, "a dispute was not published", "tenant", who.Tenant, "error", err)
		p := refuse(http.StatusServiceUnavailable, "unavailable", "it may not have been recorded; send it again")
		p.wait = 5 * time.Second
		return 0, nil, p
	}
	return http.StatusAccepted, disputed{Signal: o.Signal, State: policy.DisputeOpen, Version: version}, nil
}

// readObjection reads a body, all of it and nothing else.
func readObjection(r *http.Request) (objection, *problem) {
	var o objection
	dec := json.NewDecoder(io.LimitReader(r.Body, maxBody))
	dec.DisallowUnknownFields()
	err := dec.Decode(&o)
	if err == nil {
		_, err = dec.Token()
	}
	if !errors.Is(err, io.EOF) {
		return o, refuse(http.StatusBadRequest, "malformed", `want {"signal": "<id>", "reason": "<code>"} and nothing else`)
	}
	if !slices.Contains(policy.DisputeReasons(), o.Reason) {
		return o, refuse(http.StatusBadRequest, "reason", "reason: want one of automation, work, tool, not_me, figures, other")
	}
	return o, nil
}
