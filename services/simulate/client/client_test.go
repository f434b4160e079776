package client

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// answering returns a client of a server that gives these answers in turn, and
// the bodies that the server got.
func answering(t *testing.T, patience time.Duration, answers ...int) (c *Client, bodies func() int) {
	t.Helper()
	calls := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := answers[min(calls, len(answers)-1)]
		calls++
		if got := r.Header.Get("Authorization"); got != "Bearer s3cret" {
			t.Errorf("Authorization %q", got)
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(answer)
		if answer == http.StatusBadRequest {
			_, _ = w.Write([]byte(`{"accepted":0,"rejected":3}`))
		}
	}))
	t.Cleanup(srv.Close)
	c, err := New(Config{
		HTTP: srv.URL, GRPC: "127.0.0.1:1", Secrets: map[string]string{"k": "s3cret"}, Patience: patience, FirstPause: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, func() int { return calls }
}

func TestAnswers(t *testing.T) {
	message := func() *Message {
		return &Message{Key: "k", Clock: 1, Path: "/v1/events", Header: http.Header{}, Body: []byte("[]")}
	}
	f := func(wantCalls int, wantError string, answers ...int) {
		t.Helper()
		patience := 50 * time.Millisecond // until it gives up
		if wantError == "" {
			patience = time.Minute
		}
		c, calls := answering(t, patience, answers...)
		err := c.Send(t.Context(), message())
		if calls() < wantCalls || wantError != "" && (err == nil || !strings.Contains(err.Error(), wantError)) || wantError == "" && err != nil {
			t.Errorf("%v: %d calls, error %v; want %d and %q", answers, calls(), err, wantCalls, wantError)
		}
		if strings.Contains(wantError, "refused") != IsRefused(err) {
			t.Errorf("%v: refused is %t", answers, IsRefused(err))
		}
	}
	f(1, "", 200)
	f(1, "", 202)
	f(3, "", 503, 429, 200)
	f(3, "", 502, 504, 204)
	f(2, "", 500, 200)
	f(2, "status 503", 503)
	f(1, "refused: status 401", 401, 200)
	f(1, "refused: status 400", 400, 200)
}

func TestBadRecordsMayBeRefusedForGood(t *testing.T) {
	c, _ := answering(t, time.Second, 400)
	m := &Message{Key: "k", Clock: 1, Path: "/v1/events", Header: http.Header{}, Body: []byte("[]"), Tolerant: true}
	if err := c.Send(t.Context(), m); err != nil {
		t.Error(err)
	}
	if got := c.Stats().Rejected.Load(); got != 3 {
		t.Errorf("%d rejected, the answer says 3", got)
	}
}

func TestNobodyListens(t *testing.T) {
	c, err := New(Config{HTTP: "http://127.0.0.1:1", GRPC: "127.0.0.1:1", Patience: 30 * time.Millisecond, FirstPause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if err := c.Send(t.Context(), &Message{Path: "/v1/logs"}); err == nil || IsRefused(err) {
		t.Errorf("error %v, want one that may be tried again", err)
	}
	if c.Stats().Retries.Load() == 0 {
		t.Error("did not try again")
	}
}
