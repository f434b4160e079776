package collector

import (
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
)

// otlpSource stands for the adapter where an OTLP body cannot be decoded.
const otlpSource = "otlp"

// Content types of OTLP/HTTP.
const (
	typeProtobuf = "application/x-protobuf"
	typeJSON     = "application/json"
)

// maxNamed is how many rejections a partial success spells out.
const maxNamed = 20

// exportResponse is what pdata's three response types share.
type exportResponse interface {
	MarshalProto() ([]byte, error)
	MarshalJSON() ([]byte, error)
}

// signal is one of OTLP's three signals.
type signal struct {
	// path is the endpoint of OTLP/HTTP, method that of OTLP/gRPC.
	path, method string
	decode       func(contentType string, body []byte) ([]event.Draft, []event.Rejection, error)
	density      density
	// respond makes the response, with a partial success if records were rejected.
	respond func(rejected int64, message string) exportResponse
}

func signals() []signal {
	const grpcPrefix = "/opentelemetry.proto.collector."
	return []signal{
		{
			path: "/v1/logs", method: grpcPrefix + "logs.v1.LogsService/Export",
			decode: otlp.DecodeLogs, density: recordsDensity(),
			respond: func(n int64, message string) exportResponse {
				r := plogotlp.NewExportResponse()
				r.PartialSuccess().SetRejectedLogRecords(n)
				r.PartialSuccess().SetErrorMessage(message)
				return r
			},
		},
		{
			path: "/v1/traces", method: grpcPrefix + "trace.v1.TraceService/Export",
			decode: otlp.DecodeTraces, density: recordsDensity(),
			respond: func(n int64, message string) exportResponse {
				r := ptraceotlp.NewExportResponse()
				r.PartialSuccess().SetRejectedSpans(n)
				r.PartialSuccess().SetErrorMessage(message)
				return r
			},
		},
		{
			path: "/v1/metrics", method: grpcPrefix + "metrics.v1.MetricsService/Export",
			decode: otlp.DecodeMetrics, density: pointsDensity(),
			respond: func(n int64, message string) exportResponse {
				r := pmetricotlp.NewExportResponse()
				r.PartialSuccess().SetRejectedDataPoints(n)
				r.PartialSuccess().SetErrorMessage(message)
				return r
			},
		},
	}
}

// form is how a body of a media type is read.
func (s signal) form(mediaType string) form {
	return form{
		decode: func(body []byte) ([]event.Draft, []event.Rejection, error) {
			return s.decode(mediaType, body)
		},
		records: func(body []byte) int64 { return s.density.records(mediaType, body) },
	}
}

// response is the signal's response to a result, encoded. A full success has no
// partial success in it at all, as the specification wants it; pdata would write
// an empty one.
func (s signal) response(res result, mediaType string) []byte {
	whole := []byte(nil)
	if mediaType == typeJSON {
		whole = []byte("{}")
	}
	if len(res.rejections) == 0 {
		return whole
	}
	r := s.respond(int64(len(res.rejections)), partialMessage(res.rejections))
	marshal := r.MarshalProto
	if mediaType == typeJSON {
		marshal = r.MarshalJSON
	}
	raw, err := marshal()
	if err != nil {
		return whole // what was not rejected is in Kafka
	}
	return raw
}

// partialMessage names place, reason and detail of the first rejections.
func partialMessage(rejections []event.Rejection) string {
	if len(rejections) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d rejected", len(rejections))
	for i := range rejections[:min(len(rejections), maxNamed)] {
		r := &rejections[i]
		fmt.Fprintf(&b, "; %s: %s: %s", place(r), r.Reason, r.Detail)
	}
	if more := len(rejections) - maxNamed; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	return b.String()
}

// otlpInlet is one endpoint of OTLP/HTTP.
type otlpInlet struct{ signal signal }

// otlpType returns the media type of a request without parameters, or nothing
// if OTLP does not know it.
func otlpType(r *http.Request) string {
	mediaType, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || mediaType != typeProtobuf && mediaType != typeJSON {
		return ""
	}
	switch strings.ToLower(params["charset"]) {
	case "", "utf-8", "utf8", "us-ascii":
		return mediaType
	default:
		return ""
	}
}

func (in otlpInlet) admit(r *http.Request) (form, *refusal) {
	mediaType := otlpType(r)
	if mediaType == "" {
		return form{}, refuse(reasonContentType, "Content-Type is none of "+typeProtobuf+", "+typeJSON)
	}
	return in.signal.form(mediaType), nil
}

func (otlpInlet) read(r *http.Request, in *intake) (*body, *refusal) {
	return in.read(r.Body, r.Header.Get("Content-Encoding"))
}

func (in otlpInlet) answer(w http.ResponseWriter, r *http.Request, res result, ref *refusal) {
	mediaType := otlpType(r)
	if mediaType == "" {
		mediaType = typeJSON
	}
	if ref != nil {
		writeAnswer(w, ref.status(), mediaType, marshalStatus(ref.rpcStatus(), mediaType), ref)
		return
	}
	writeAnswer(w, http.StatusOK, mediaType, in.signal.response(res, mediaType), nil)
}

// marshalStatus encodes a status; the code of the answer says all that matters,
// should that fail.
func marshalStatus(st *spb.Status, mediaType string) []byte {
	marshal := proto.Marshal
	if mediaType == typeJSON {
		marshal = protojson.Marshal
	}
	raw, err := marshal(st)
	if err != nil {
		return nil
	}
	return raw
}

// rpcStatus is the refusal as google.rpc.Status, with RetryInfo if the client
// should send again.
func (r *refusal) rpcStatus() *spb.Status {
	st := &spb.Status{Code: int32(r.code()), Message: r.reason + ": " + r.detail}
	if r.retriable() {
		// Packing a well-known message into Any does not fail.
		if info, err := anypb.New(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryAfter)}); err == nil {
			st.Details = append(st.Details, info)
		}
	}
	return st
}

// writeAnswer writes an HTTP answer with the headers that a refusal wants.
func writeAnswer(w http.ResponseWriter, code int, mediaType string, raw []byte, ref *refusal) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(raw)))
	if ref != nil && ref.retriable() {
		h.Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	}
	if code == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(code)
	_, _ = w.Write(raw) // a client that has gone sends again
}
