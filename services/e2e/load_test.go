package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
)

// perRequest is how many events a request of the load carries: what an OTLP
// batch processor sends is some hundreds.
const perRequest = 500

// load sends requests of Claude Code, each one new and of now. It takes little of
// the machine it measures: bodies are encoded once, and before each sending
// their request ids and times are written over.
type load struct {
	url, secret string
	client      *http.Client
	serial      atomic.Uint64
	accepted    atomic.Int64
	failed      atomic.Int64
}

// loadBody is an encoded request and where its ids and times stand.
type loadBody struct {
	raw        []byte
	ids, times []int
}

const (
	markID   = "req_%016x"
	markTime = uint64(0x1122334455000000)
)

// newLoadBody encodes a request of the k-th group of sessions.
func newLoadBody(tb testing.TB, k int) *loadBody {
	tb.Helper()
	logs := plog.NewLogs()
	resource := logs.ResourceLogs().AppendEmpty()
	resource.Resource().Attributes().PutStr("service.name", "claude-code")
	resource.Resource().Attributes().PutStr("service.version", "2.1.4")
	scope := resource.ScopeLogs().AppendEmpty()
	scope.Scope().SetName("com.anthropic.claude_code.events")
	for i := range perRequest {
		who := k*25 + i%25
		r := scope.LogRecords().AppendEmpty()
		r.SetTimestamp(pcommon.Timestamp(markTime + uint64(i)))
		r.Body().SetStr("claude_code.api_request")
		a := r.Attributes()
		a.PutStr("event.name", "api_request")
		a.PutStr("session.id", fmt.Sprintf("6c5f1a70-0000-4000-8000-%012d", who*7+i%3))
		a.PutStr("user.email", fmt.Sprintf("person-%d@acme.example", who))
		a.PutStr("terminal.type", "vscode")
		a.PutStr("model", []string{"claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001", "claude-opus-4-1-20250805"}[i%3])
		a.PutStr("request_id", fmt.Sprintf(markID, i))
		a.PutInt("event.sequence", int64(i))
		a.PutInt("input_tokens", int64(100+i))
		a.PutInt("output_tokens", int64(10+i))
		a.PutInt("cache_read_tokens", int64(1000+13*i))
		a.PutInt("cache_creation_tokens", int64(50+i%7))
		a.PutDouble("cost_usd", 0.0123)
		a.PutInt("duration_ms", int64(900+i))
	}
	raw, err := plogotlp.NewExportRequestFromLogs(logs).MarshalProto()
	if err != nil {
		tb.Fatal(err)
	}
	b := &loadBody{raw: raw}
	for i := range perRequest {
		id := bytes.Index(raw, fmt.Appendf(nil, markID, i))
		at := bytes.Index(raw, binary.LittleEndian.AppendUint64(nil, markTime+uint64(i)))
		if id < 0 || at < 0 {
			tb.Fatalf("request %d is not in its encoding", i)
		}
		b.ids, b.times = append(b.ids, id+len("req_")), append(b.times, at)
	}
	return b
}

// renew makes the body's requests new ones of the time now.
func (b *loadBody) renew(serial uint64, now time.Time) {
	const digits = "0123456789abcdef"
	for i, at := range b.ids {
		n := serial*perRequest + uint64(i)
		for d := range 16 {
			b.raw[at+15-d] = digits[n>>(4*d)&15]
		}
		binary.LittleEndian.PutUint64(b.raw[b.times[i]:], uint64(now.UnixNano()))
	}
}

// run sends with some connections until ctx ends: a request each time due
// returns, which may wait.
func (l *load) run(ctx context.Context, tb testing.TB, connections int, due func(context.Context) bool) {
	tb.Helper()
	var senders sync.WaitGroup
	for c := range connections {
		var bodies []*loadBody
		for k := range 4 {
			bodies = append(bodies, newLoadBody(tb, c*4+k))
		}
		senders.Go(func() {
			for n := 0; due(ctx); n++ {
				body := bodies[n%len(bodies)]
				body.renew(l.serial.Add(1), time.Now())
				if l.send(ctx, body.raw) {
					l.accepted.Add(perRequest)
				} else if ctx.Err() == nil {
					l.failed.Add(1)
				}
			}
		})
	}
	senders.Wait()
}

func (l *load) send(ctx context.Context, body []byte) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Authorization", "Bearer "+l.secret)
	resp, err := l.client.Do(req)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
