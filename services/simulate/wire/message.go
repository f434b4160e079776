package wire

import (
	"fmt"
	"net/http"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/goodhartlabs/goodhart/services/simulate/client"
	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
)

// Message encodes a request of a step that ends at clock, ms.
func Message(r *traffic.Request, clock int64) (*client.Message, error) {
	m := &client.Message{Key: r.Key, Clock: clock, Header: http.Header{}, Tolerant: allBad(r.Items)}
	var err error
	switch r.Signal {
	case traffic.CloudUsage, traffic.Outcomes:
		err = cloudEvents(m, r)
	default:
		err = otlp(m, r)
	}
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", r.Signal, err)
	}
	return m, nil
}

func allBad(items []traffic.Item) bool {
	for i := range items {
		if items[i].Fault <= traffic.Repeat {
			return false
		}
	}
	return true
}

// exporter is what the three kinds of OTLP requests have in common.
type exporter interface {
	MarshalProto() ([]byte, error)
	MarshalJSON() ([]byte, error)
}

func otlp(m *client.Message, r *traffic.Request) error {
	var export exporter
	switch r.Signal {
	case traffic.Logs:
		req := plogotlp.NewExportRequestFromLogs(Logs(r.Items))
		export, m.Path, m.Logs = req, "/v1/logs", &req
	case traffic.Metrics:
		req := pmetricotlp.NewExportRequestFromMetrics(Metrics(r.Items))
		export, m.Path, m.Metrics = req, "/v1/metrics", &req
	case traffic.Spans:
		req := ptraceotlp.NewExportRequestFromTraces(Spans(r.Items))
		export, m.Path, m.Traces = req, "/v1/traces", &req
	default:
		req := ptraceotlp.NewExportRequestFromTraces(GenAI(r.Items))
		export, m.Path, m.Traces = req, "/v1/traces", &req
	}
	if r.Encoding == traffic.GRPC {
		m.Path = ""
		return nil
	}
	marshal, contentType := export.MarshalProto, "application/x-protobuf"
	if r.Encoding == traffic.JSON || r.Encoding == traffic.JSONGzip {
		marshal, contentType = export.MarshalJSON, "application/json"
	}
	body, err := marshal()
	if err != nil {
		return err
	}
	m.Body = body
	m.Header.Set("Content-Type", contentType)
	m.Gzip = r.Encoding == traffic.ProtobufGzip || r.Encoding == traffic.JSONGzip
	m.Chunked = r.Encoding == traffic.Chunked
	return nil
}
