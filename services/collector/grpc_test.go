package collector

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const logsMethod = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"

// rawCodec sends bytes as they are.
type rawCodec struct{ encoding.CodecV2 }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}

func (rawCodec) Name() string { return "proto" }

func TestGRPCBadInput(t *testing.T) {
	r := start(t, func(c *Config) { c.Limits.BodyBytes = 1 << 20 })
	good := logsProto(t, session("grpc", 2, nil))
	huge := append(logsProto(t, session("big", 1, nil)), noise(1<<20)...)
	f := func(name string, ctx context.Context, body []byte, gzip bool, method string, code codes.Code, reason string) {
		t.Helper()
		var answer []byte
		err := r.dial(gzip).Invoke(ctx, method, body, &answer, grpc.ForceCodecV2(rawCodec{}))
		st := status.Convert(err)
		if st.Code() != code || reason != "" && !strings.HasPrefix(st.Message(), reason+": ") {
			t.Errorf("%s: %v, want %v %s", name, err, code, reason)
		}
		for _, d := range st.Details() {
			if _, ok := d.(*errdetails.RetryInfo); ok {
				t.Errorf("%s: RetryInfo on an answer that is final", name)
			}
		}
		if code == codes.OK {
			return
		}
		if reason != "" && r.requests("otlp_grpc", reason) == 0 {
			t.Errorf("%s: not counted", name)
		}
	}
	f("good", r.authorized(), good, false, logsMethod, codes.OK, "")
	f("good and compressed", r.authorized(), good, true, logsMethod, codes.OK, "")
	f("empty", r.authorized(), nil, false, logsMethod, codes.OK, "")
	f("no key", t.Context(), good, false, logsMethod, codes.Unauthenticated, reasonUnauthenticated)
	f("wrong key", metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer x"), good, false, logsMethod, codes.Unauthenticated, reasonUnauthenticated)
	f("malformed", r.authorized(), good[:len(good)-5], false, logsMethod, codes.InvalidArgument, reasonMalformed)
	f("noise", r.authorized(), noise(900), true, logsMethod, codes.InvalidArgument, reasonMalformed)
	f("too large", r.authorized(), huge, false, logsMethod, codes.ResourceExhausted, reasonBodyTooLarge)
	f("bomb", r.authorized(), make([]byte, 8<<20), true, logsMethod, codes.ResourceExhausted, reasonBodyTooLarge)
	f("unknown method", r.authorized(), good, false, "/opentelemetry.proto.collector.logs.v1.LogsService/Import", codes.Unimplemented, "")
	f("good after all", r.authorized(), good, false, logsMethod, codes.OK, "")
	if n := len(r.events()); n != 6 {
		t.Errorf("%d events, want 3 times 2", n)
	}
	if n := len(r.deadLetters()); n != 4 {
		t.Errorf("%d dead letters, want 4", n)
	}
}

func TestGRPCPartialSuccess(t *testing.T) {
	r := start(t, nil)
	ld := session("half", 4, func(i int, rec plog.LogRecord) {
		if i%2 == 1 {
			rec.Attributes().PutInt("input_tokens", -1)
		}
	})
	res, err := plogotlp.NewGRPCClient(r.dial(true)).Export(r.authorized(), plogotlp.NewExportRequestFromLogs(ld))
	if err != nil {
		t.Fatal(err)
	}
	if p := res.PartialSuccess(); p.RejectedLogRecords() != 2 || !strings.Contains(p.ErrorMessage(), "logRecords[3]") {
		t.Errorf("%d rejected: %s", p.RejectedLogRecords(), p.ErrorMessage())
	}
	if n := len(r.events()); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

// frames posts bytes as the body of a gRPC call over plain HTTP/2, so that what
// no client would send can be sent.
func (r *rig) frames(headers map[string]string, body io.Reader) (code, message string) {
	r.t.Helper()
	client := &http.Client{Transport: &http.Transport{Protocols: cleartextHTTP2()}}
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://"+r.grpc+logsMethod, body)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("Authorization", "Bearer "+testSecret)
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		r.t.Errorf("HTTP status %d", res.StatusCode)
	}
	if res.Header.Get("Grpc-Status") != "" {
		return res.Header.Get("Grpc-Status"), res.Header.Get("Grpc-Message")
	}
	return res.Trailer.Get("Grpc-Status"), res.Trailer.Get("Grpc-Message")
}

func TestGRPCBrokenFrames(t *testing.T) {
	r := start(t, nil)
	good := logsProto(t, session("frames", 1, nil))
	frame := func(flag byte, length int, body []byte) io.Reader {
		return bytes.NewReader(append([]byte{flag, byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length)}, body...))
	}
	f := func(name string, headers map[string]string, body io.Reader, code codes.Code, reason string) {
		t.Helper()
		got, message := r.frames(headers, body)
		if got != fmt.Sprint(int(code)) || !strings.HasPrefix(message, reason) {
			t.Errorf("%s: %s %s, want %d %s", name, got, message, code, reason)
		}
	}
	f("whole", nil, frame(0, len(good), good), codes.OK, "")
	f("nothing", nil, strings.NewReader(""), codes.InvalidArgument, reasonIncomplete)
	f("half a prefix", nil, strings.NewReader("\x00\x00"), codes.InvalidArgument, reasonIncomplete)
	f("shorter than said", nil, frame(0, len(good)+5, good), codes.InvalidArgument, reasonIncomplete)
	f("4 GiB, it says", nil, frame(0, 1<<32-1, good), codes.ResourceExhausted, reasonBodyTooLarge)
	f("unknown flag", nil, frame(7, len(good), good), codes.InvalidArgument, reasonMalformed)
	f("compressed somehow", nil, frame(1, len(good), good), codes.InvalidArgument, reasonBadEncoding)
	f("not gzip", map[string]string{"Grpc-Encoding": "gzip"}, frame(1, len(good), good), codes.InvalidArgument, reasonBadEncoding)
	f("unknown compression", map[string]string{"Grpc-Encoding": "snappy"}, frame(1, len(good), good), codes.Unimplemented, reasonEncoding)
	f("JSON", map[string]string{"Content-Type": "application/grpc+json"}, frame(0, len(good), good), codes.InvalidArgument, reasonContentType)
	packed := zstandard(t, good)
	f("zstd", map[string]string{"Grpc-Encoding": "zstd"}, frame(1, len(packed), packed), codes.OK, "")
	if n := len(r.events()); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

// TestSlowBody holds a body back: the answer comes when the time is over, and
// the connection of nobody else waits for it.
func TestSlowBody(t *testing.T) {
	r := start(t, func(c *Config) { c.Timeouts.Header, c.Timeouts.Body = 300*time.Millisecond, 300*time.Millisecond })
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(r.http, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, err = fmt.Fprintf(conn, "POST /v1/logs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\nhalf", testSecret, typeProtobuf)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(3 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(conn)
	if err != nil || !bytes.HasPrefix(raw, []byte("HTTP/1.1 408 ")) {
		t.Errorf("answer %q, error %v", raw, err)
	}
	if n := r.requests("otlp_http", reasonSlow); n != 1 {
		t.Errorf("%d counted as slow", n)
	}
	body, write := io.Pipe()
	defer func() { _ = write.Close() }()
	if code, message := r.frames(nil, body); code != fmt.Sprint(int(codes.DeadlineExceeded)) {
		t.Errorf("gRPC: %s %s, want %d", code, message, codes.DeadlineExceeded)
	}
}
