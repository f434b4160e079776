package otlp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"
	"sync"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/claudecode"
	"github.com/goodhartlabs/goodhart/pkg/source/genai"
	"github.com/goodhartlabs/goodhart/pkg/source/record"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Content types of OTLP over HTTP.
const (
	Protobuf = "application/x-protobuf"
	JSON     = "application/json"
)

// Errors of whole bodies: the sender must not send the same again.
var (
	// ErrContentType: neither protobuf nor JSON, or not UTF-8 (HTTP 415).
	ErrContentType = errors.New("content type: want application/x-protobuf or application/json")
	// ErrMalformed: the body is not an OTLP message (HTTP 400).
	ErrMalformed = errors.New("malformed body")
	// ErrNoRecords: a body that decodes into nothing, because it lacks the
	// wrapper {"resourceLogs":[...]} or is of another kind (HTTP 400).
	ErrNoRecords = errors.New("non-empty body, 0 records: want an export request with its list of resources")
)

// source names the decoder in rejections of records that have no adapter.
const source = "otlp"

// adapters lists who is asked for each record, the more specific first. To add
// a tool, add its package here. It is built once and never changed.
var adapters = sync.OnceValue(func() []record.Adapter {
	return []record.Adapter{claudecode.New(), genai.New()}
})

// decoder carries what one body is decoded with.
type decoder struct {
	out record.Out
	// levels are the JSON names of the lists that lead to a record.
	levels    []string
	adapters  []record.Adapter
	transport goodhartv1.Transport
}

func newDecoder(transport goodhartv1.Transport, levels ...string) *decoder {
	return &decoder{
		out: record.Out{Path: record.Path{Names: levels}}, levels: levels,
		adapters: adapters(), transport: transport,
	}
}

// signal is what the three signals differ in.
type signal interface {
	// protobuf and json decode a whole body and return its number of resources.
	protobuf(body []byte) (int, error)
	json(body []byte) (int, error)
	// piece decodes one JSON record of a body that does not decode as a whole,
	// or rejects it.
	piece(origin *record.Origin, raw []byte)
}

// run decodes a body in either encoding.
func (d *decoder) run(contentType string, body []byte, s signal) error {
	asJSON, err := isJSON(contentType)
	if err != nil {
		return err
	}
	if !asJSON {
		if tooDeep(body) {
			return fmt.Errorf("protobuf: nested deeper than %d: %w", maxNesting, ErrMalformed)
		}
		n, err := s.protobuf(body)
		switch {
		case err != nil:
			return fmt.Errorf("protobuf: %w", ErrMalformed)
		case n == 0 && len(body) > 0:
			return ErrNoRecords
		}
		return nil
	}
	body = bytes.TrimSpace(body)
	if !json.Valid(body) || body[0] != '{' {
		return fmt.Errorf("JSON: %w", ErrMalformed)
	}
	n, err := s.json(body)
	if err == nil && n > 0 {
		return nil
	}
	return d.split(body, s)
}

// unclaimed rejects a record that no adapter knows.
func (d *decoder) unclaimed(ai bool) {
	if ai {
		d.out.Reject(source, event.ReasonUnknownRecord, "", "no adapter knows this form of AI telemetry")
		return
	}
	d.out.Reject(source, event.ReasonNotAI, "", "not telemetry of an AI tool")
}

// isJSON tells the two encodings apart.
func isJSON(contentType string) (bool, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false, ErrContentType
	}
	switch charset := strings.ToLower(params["charset"]); {
	case media == Protobuf, media == "application/protobuf":
		return false, nil
	case media == JSON && slices.Contains([]string{"", "utf-8", "utf8", "us-ascii"}, charset):
		return true, nil
	}
	return false, ErrContentType
}
