package simulate

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// announcement is one record as it came over the wire.
type announcement struct {
	signal       string // log, span, metric, event
	conversation string
	at           int64
	email, key   string
	account      string
	install      string
	activity     bool
	model        string
	input, read  int64
	write, out   int64
	requests     int64
}

// collector is the far end: it understands the wire formats, refuses what a
// collector must refuse, and keeps every record once.
type collector struct {
	t       *testing.T
	secrets map[string]string // secret → key id
	busy    func(body []byte) bool
	away    bool

	mu        sync.Mutex
	clock     int64
	clocks    []int64
	kept      map[string]announcement
	accepted  int64
	rejected  int64
	duplicate int64
	refusals  int64
	seen      map[string]int // encodings
	waiting   map[[32]byte]bool
	content   int
}

func (c *collector) start() (httpURL, grpcAddr string) {
	c.kept, c.seen, c.waiting = map[string]announcement{}, map[string]int{}, map[[32]byte]bool{}
	web := httptest.NewServer(c)
	c.t.Cleanup(web.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	srv := grpc.NewServer()
	plogotlp.RegisterGRPCServer(srv, &logServer{c: c})
	pmetricotlp.RegisterGRPCServer(srv, &metricServer{c: c})
	ptraceotlp.RegisterGRPCServer(srv, &traceServer{c: c})
	go func() { _ = srv.Serve(listener) }()
	c.t.Cleanup(srv.Stop)
	return web.URL, listener.Addr().String()
}

// admit checks credential and clock, and refuses a request now and then: it
// must come again with the same bytes. key is "" if it is refused.
func (c *collector) admit(authorization, clock string, body []byte) (key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key = c.secrets[strings.TrimPrefix(authorization, "Bearer ")]
	if key == "" {
		c.t.Errorf("no key of that secret")
	}
	ms, err := strconv.ParseInt(clock, 10, 64)
	if err != nil || ms < c.clock {
		c.t.Errorf("clock %q after %d: %v", clock, c.clock, err)
	}
	if ms > c.clock {
		c.clocks = append(c.clocks, ms)
		c.clock = ms
	}
	if c.away {
		return ""
	}
	sum := sha256.Sum256(body)
	if c.waiting[sum] {
		delete(c.waiting, sum)
		return key
	}
	if c.busy(body) {
		c.waiting[sum] = true
		c.refusals++
		return ""
	}
	return key
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		c.t.Errorf("read body: %v", err)
	}
	key := c.admit(r.Header.Get("Authorization"), r.Header.Get("Goodhart-Clock"), raw)
	if key == "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	encoding := r.Header.Get("Content-Type") + " " + r.Header.Get("Content-Encoding")
	if r.ContentLength < 0 {
		encoding += "chunked"
	}
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			c.t.Errorf("gzip: %v", err)
			return
		}
		if raw, err = io.ReadAll(z); err != nil {
			c.t.Errorf("gzip: %v", err)
		}
	}
	c.mu.Lock()
	c.seen[encoding]++
	c.mu.Unlock()
	isJSON := strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
	switch r.URL.Path {
	case "/v1/logs":
		req := plogotlp.NewExportRequest()
		c.unmarshal(isJSON, raw, req.UnmarshalProto, req.UnmarshalJSON)
		c.logs(key, req.Logs())
	case "/v1/metrics":
		req := pmetricotlp.NewExportRequest()
		c.unmarshal(isJSON, raw, req.UnmarshalProto, req.UnmarshalJSON)
		c.points(key, req.Metrics())
	case "/v1/traces":
		req := ptraceotlp.NewExportRequest()
		c.unmarshal(isJSON, raw, req.UnmarshalProto, req.UnmarshalJSON)
		c.spans(key, req.Traces())
	case "/v1/events":
		if !c.events(key, r.Header, raw) {
			w.WriteHeader(http.StatusBadRequest)
		}
	default:
		c.t.Errorf("path %s", r.URL.Path)
	}
}

func (c *collector) unmarshal(isJSON bool, raw []byte, proto, js func([]byte) error) {
	decode := proto
	if isJSON {
		decode = js
	}
	if err := decode(raw); err != nil {
		c.t.Errorf("decode: %v", err)
	}
}

type logServer struct {
	plogotlp.UnimplementedGRPCServer
	c *collector
}

type metricServer struct {
	pmetricotlp.UnimplementedGRPCServer
	c *collector
}

type traceServer struct {
	ptraceotlp.UnimplementedGRPCServer
	c *collector
}

func (c *collector) admitCall(ctx context.Context, body []byte, err error) (string, error) {
	if err != nil {
		c.t.Errorf("marshal: %v", err)
	}
	md, _ := metadata.FromIncomingContext(ctx)
	key := c.admit(strings.Join(md.Get("authorization"), ","), strings.Join(md.Get("goodhart-clock"), ","), body)
	if key == "" {
		return "", status.Error(codes.Unavailable, "busy")
	}
	c.mu.Lock()
	c.seen["grpc"]++
	c.mu.Unlock()
	return key, nil
}

func (s *logServer) Export(ctx context.Context, r plogotlp.ExportRequest) (plogotlp.ExportResponse, error) {
	body, err := r.MarshalProto()
	key, err := s.c.admitCall(ctx, body, err)
	if err == nil {
		s.c.logs(key, r.Logs())
	}
	return plogotlp.NewExportResponse(), err
}

func (s *metricServer) Export(ctx context.Context, r pmetricotlp.ExportRequest) (pmetricotlp.ExportResponse, error) {
	body, err := r.MarshalProto()
	key, err := s.c.admitCall(ctx, body, err)
	if err == nil {
		s.c.points(key, r.Metrics())
	}
	return pmetricotlp.NewExportResponse(), err
}

func (s *traceServer) Export(ctx context.Context, r ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	body, err := r.MarshalProto()
	key, err := s.c.admitCall(ctx, body, err)
	if err == nil {
		s.c.spans(key, r.Traces())
	}
	return ptraceotlp.NewExportResponse(), err
}

// keep takes a record unless it is bad or known.
func (c *collector) keep(name string, bad bool, a announcement) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bad || a.at < time.Unix(0, 0).AddDate(1, 0, 0).UnixMilli() {
		c.rejected++
		return
	}
	c.accepted++
	if _, known := c.kept[name]; known {
		c.duplicate++
		return
	}
	a.at = min(a.at, max(c.clock, min(a.at, c.clock+5*60_000)))
	c.kept[name] = a
}

func (c *collector) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.accepted
}

// attributes reads what all forms share.
func (c *collector) attributes(m pcommon.Map, key string) (announcement, map[string]string) {
	text := map[string]string{}
	for k, v := range m.All() {
		text[k] = v.AsString()
		if strings.Contains(v.AsString(), "zq7content") {
			c.mu.Lock()
			c.content++
			c.mu.Unlock()
		}
	}
	return announcement{
		conversation: text["session.id"], email: text["user.email"], account: text["user.account_uuid"],
		install: text["user.id"], key: key, model: text["model"],
	}, text
}

func number(text map[string]string, keys ...string) int64 {
	for _, k := range keys {
		if s, ok := text[k]; ok {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				panic(err)
			}
			return n
		}
	}
	return 0
}

func (c *collector) logs(key string, in plog.Logs) {
	for _, rl := range in.ResourceLogs().All() {
		for _, r := range rl.ScopeLogs().At(0).LogRecords().All() {
			a, text := c.attributes(r.Attributes(), key)
			a.signal, a.at = "log", r.Timestamp().AsTime().UnixMilli()
			if text["event.name"] != "api_request" {
				a.activity = true
				c.keep("log "+a.conversation+text["event.sequence"], false, a)
				continue
			}
			a.requests = 1
			a.input, a.out = number(text, "input_tokens"), number(text, "output_tokens")
			a.read, a.write = number(text, "cache_read_tokens"), number(text, "cache_creation_tokens")
			c.keep("log "+text["request_id"], a.input < 0, a)
		}
	}
}

func (c *collector) points(key string, in pmetric.Metrics) {
	for _, rm := range in.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			for _, p := range m.Sum().DataPoints().All() {
				a, text := c.attributes(p.Attributes(), key)
				a.signal, a.at = "metric", p.Timestamp().AsTime().UnixMilli()
				n := int64(p.DoubleValue())
				switch text["type"] {
				case "input":
					a.input = n
				case "output":
					a.out = n
				case "cacheRead":
					a.read = n
				case "cacheCreation":
					a.write = n
				}
				a.activity = m.Name() != "claude_code.token.usage" && m.Name() != "claude_code.cost.usage"
				bad := math.IsNaN(p.DoubleValue()) || m.Sum().AggregationTemporality() != pmetric.AggregationTemporalityDelta
				c.keep(fmt.Sprint("metric ", m.Name(), text, p.Timestamp()), bad, a)
			}
		}
	}
}

func (c *collector) spans(key string, in ptrace.Traces) {
	for _, rs := range in.ResourceSpans().All() {
		for _, s := range rs.ScopeSpans().At(0).Spans().All() {
			a, text := c.attributes(s.Attributes(), key)
			a.signal, a.at = "span", s.EndTimestamp().AsTime().UnixMilli()
			name := "span " + s.TraceID().String() + s.SpanID().String() + s.Name() + key
			if strings.HasPrefix(s.Name(), "claude_code.") {
				a.activity = s.Name() != "claude_code.llm_request"
				a.requests = 1
				a.input, a.out = number(text, "input_tokens"), number(text, "output_tokens")
				a.read, a.write = number(text, "cache_read_tokens"), number(text, "cache_creation_tokens")
				c.keep(name, false, a)
				continue
			}
			a.model = text["gen_ai.request.model"] + text["llm.model_name"]
			a.requests = 1
			a.conversation += text["gen_ai.conversation.id"]
			a.read = number(text, "gen_ai.usage.cache_read.input_tokens", "llm.token_count.prompt_details.cache_read")
			a.write = number(text, "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens", "llm.token_count.prompt_details.cache_write")
			a.out = number(text, "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
			a.input = number(text, "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt") - a.read - a.write
			c.keep(name, a.input < 0, a)
		}
	}
}

// events takes CloudEvents in their three modes; it is false if all were bad.
func (c *collector) events(key string, h http.Header, raw []byte) bool {
	type event struct {
		ID, Type, Time string
		Data           struct {
			Kind, Prompt, Title string
			Model               string `json:"gen_ai.request.model"`
			Conversation        string `json:"gen_ai.conversation.id"`
			Tokens              struct {
				Input  int64 `json:"input_total"`
				Output int64 `json:"output_total"`
			}
		}
	}
	var list []event
	var err error
	switch h.Get("Content-Type") {
	case "application/cloudevents-batch+json":
		err = json.Unmarshal(raw, &list)
	case "application/cloudevents+json; charset=UTF-8":
		list = make([]event, 1)
		err = json.Unmarshal(raw, &list[0])
	case "application/json":
		list = []event{{ID: h.Get("Ce-Id"), Type: h.Get("Ce-Type"), Time: h.Get("Ce-Time")}}
		err = json.Unmarshal(raw, &list[0].Data)
	default:
		c.t.Errorf("content type %q", h.Get("Content-Type"))
	}
	if err != nil {
		c.t.Errorf("cloudevents: %v in %s", err, raw)
	}
	before := c.count()
	for _, e := range list {
		at, err := time.Parse(time.RFC3339, e.Time)
		if err != nil {
			c.t.Errorf("time: %v", err)
		}
		a := announcement{
			signal: "event", conversation: e.Data.Conversation, at: at.UnixMilli(), key: key, model: e.Data.Model,
			input: e.Data.Tokens.Input, out: e.Data.Tokens.Output, requests: 1, activity: e.Type == "ai.outcome.v1",
		}
		c.keep("event "+e.ID, e.ID == "" || a.input < 0, a)
	}
	return len(list) == 0 || c.count() > before
}
