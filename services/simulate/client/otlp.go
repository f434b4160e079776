package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// call exports over gRPC.
func (c *Client) call(ctx context.Context, m *Message) error {
	ctx = metadata.AppendToOutgoingContext(ctx,
		"authorization", "Bearer "+c.cfg.Secrets[m.Key],
		strings.ToLower(ClockHeader), strconv.FormatInt(m.Clock, 10))
	var refused int64
	var err error
	switch {
	case m.Logs != nil:
		var res plogotlp.ExportResponse
		if res, err = c.logs.Export(ctx, *m.Logs); err == nil {
			refused = res.PartialSuccess().RejectedLogRecords()
		}
	case m.Metrics != nil:
		var res pmetricotlp.ExportResponse
		if res, err = c.metrics.Export(ctx, *m.Metrics); err == nil {
			refused = res.PartialSuccess().RejectedDataPoints()
		}
	case m.Traces != nil:
		var res ptraceotlp.ExportResponse
		if res, err = c.traces.Export(ctx, *m.Traces); err == nil {
			refused = res.PartialSuccess().RejectedSpans()
		}
	default:
		return fmt.Errorf("%w: empty message", errRefused)
	}
	if err == nil {
		c.stats.Rejected.Add(refused)
		return nil
	}
	switch status.Code(err) {
	case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Aborted, codes.Internal, codes.Unknown:
		return err
	default:
		return fmt.Errorf("%w: %w", errRefused, err)
	}
}

// rejected is how many records an answer over HTTP calls refused.
func rejected(path, contentType string, answer []byte) int64 {
	if len(answer) == 0 {
		return 0
	}
	media, _, err := mime.ParseMediaType(contentType)
	isJSON := err == nil && media == "application/json"
	decode := func(proto, js func([]byte) error) bool {
		if isJSON {
			return js(answer) == nil
		}
		return proto(answer) == nil
	}
	switch path {
	case "/v1/events":
		var res struct {
			Rejected int64 `json:"rejected"`
		}
		if json.Unmarshal(answer, &res) == nil {
			return res.Rejected
		}
	case "/v1/logs":
		res := plogotlp.NewExportResponse()
		if decode(res.UnmarshalProto, res.UnmarshalJSON) {
			return res.PartialSuccess().RejectedLogRecords()
		}
	case "/v1/metrics":
		res := pmetricotlp.NewExportResponse()
		if decode(res.UnmarshalProto, res.UnmarshalJSON) {
			return res.PartialSuccess().RejectedDataPoints()
		}
	case "/v1/traces":
		res := ptraceotlp.NewExportResponse()
		if decode(res.UnmarshalProto, res.UnmarshalJSON) {
			return res.PartialSuccess().RejectedSpans()
		}
	}
	return 0
}

// IsRefused reports whether an error means that a message must not be sent
// again.
func IsRefused(err error) bool { return errors.Is(err, errRefused) }
