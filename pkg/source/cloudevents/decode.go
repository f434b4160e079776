package cloudevents

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/event"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	// Source is the name of the adapter in events.
	Source = "cloudevents"
	// version is that of the mapping.
	version = "1"

	// TypeUsage is the type of one model request.
	TypeUsage = "ai.usage.v1"
	// TypeOutcome is the type of what happened to a pull request, ticket, issue,
	// commit or deployment.
	TypeOutcome = "ai.outcome.v1"
)

// Errors of whole bodies: the sender must not send the same again.
var (
	// ErrContentType: none of the three modes, or not JSON, or not UTF-8.
	ErrContentType = errors.New("content type: want application/cloudevents+json, application/cloudevents-batch+json, or JSON with ce- headers")
	// ErrMalformed: the body is not JSON, or a batch is not a list.
	ErrMalformed = errors.New("malformed body")
)

// attributes are those of one event that matter here.
type attributes struct {
	ID              string          `json:"id"`
	Source          string          `json:"source"`
	SpecVersion     string          `json:"specversion"`
	Type            string          `json:"type"`
	Time            string          `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	Data            json.RawMessage `json:"data"`
	DataBase64      *string         `json:"data_base64"`
}

// decoder collects what becomes of the events of one body.
type decoder struct {
	drafts   []event.Draft
	rejected []event.Rejection
}

// Decode decodes a request from its headers and its decompressed body. Each
// event becomes a draft or a rejection, with the path [n] in a batch. The error
// is ErrContentType or ErrMalformed, wrapped.
func Decode(h http.Header, body []byte) ([]event.Draft, []event.Rejection, error) {
	media, err := mediaType(h.Get("Content-Type"))
	if err != nil {
		return nil, nil, fmt.Errorf("decode CloudEvents: %w", err)
	}
	var d decoder
	switch trimmed := bytes.TrimSpace(body); {
	case media == "application/cloudevents-batch+json":
		err = d.batch(trimmed)
	case media == "application/cloudevents+json":
		err = d.structured(trimmed)
	case strings.HasPrefix(media, "application/cloudevents"):
		err = ErrContentType
	case h.Get("Ce-Specversion") != "" || h.Get("Ce-Id") != "":
		d.binary(h, media, body)
	case media != "application/json":
		err = ErrContentType
	case len(trimmed) > 0 && trimmed[0] == '[':
		err = d.batch(trimmed)
	default:
		err = d.structured(trimmed)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("decode CloudEvents: %w", err)
	}
	return d.drafts, d.rejected, nil
}

// mediaType returns the type without parameters; an absent header is that of a
// binary event without data.
func mediaType(header string) (string, error) {
	if header == "" {
		return "", nil
	}
	media, params, err := mime.ParseMediaType(header)
	if err != nil {
		return "", ErrContentType
	}
	if !slices.Contains([]string{"", "utf-8", "utf8", "us-ascii"}, strings.ToLower(params["charset"])) {
		return "", ErrContentType
	}
	return media, nil
}

func (d *decoder) batch(body []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(body, &list); err != nil || body[0] != '[' {
		return fmt.Errorf("batch: %w", ErrMalformed)
	}
	for i, raw := range list {
		d.json("["+strconv.Itoa(i)+"]", raw)
	}
	return nil
}

func (d *decoder) structured(body []byte) error {
	if !json.Valid(body) || body[0] != '{' {
		return fmt.Errorf("event: %w", ErrMalformed)
	}
	d.json("", body)
	return nil
}

// json decodes an event in the JSON format.
func (d *decoder) json(path string, raw []byte) {
	it := &item{path: path, raw: raw}
	var a attributes
	if err := json.Unmarshal(raw, &a); err != nil {
		d.end(it.reject(event.ReasonMalformed, typeField(err), "not an event in the JSON format"))
		return
	}
	data := []byte(a.Data)
	if a.DataBase64 != nil {
		if len(a.Data) > 0 {
			d.end(it.reject(event.ReasonBadValue, "data_base64", "given beside data"))
			return
		}
		decoded, err := base64.StdEncoding.DecodeString(*a.DataBase64)
		if err != nil {
			d.end(it.reject(event.ReasonMalformed, "data_base64", "not base64"))
			return
		}
		data = decoded
	}
	d.end(it.decode(&a, data))
}

// binary decodes an event whose attributes are headers and whose data is the
// body.
func (d *decoder) binary(h http.Header, media string, body []byte) {
	a := attributes{
		ID: header(h, "Ce-Id"), Source: header(h, "Ce-Source"), SpecVersion: header(h, "Ce-Specversion"),
		Type: header(h, "Ce-Type"), Time: header(h, "Ce-Time"), DataContentType: media,
	}
	it := &item{raw: body}
	d.end(it.decode(&a, body))
}

// header undoes the quoting and percent-encoding of an attribute in a header.
func header(h http.Header, name string) string {
	s := strings.TrimSpace(h.Get(name))
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = unquote(s[1 : len(s)-1])
	}
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(c))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// unquote undoes backslashes.
func unquote(s string) string {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

func (d *decoder) end(draft *event.Draft, rejection *event.Rejection) {
	if rejection != nil {
		d.rejected = append(d.rejected, *rejection)
		return
	}
	d.drafts = append(d.drafts, *draft)
}

// item is one event on its way.
type item struct {
	path string
	raw  []byte
}

func (it *item) reject(reason, field, detail string) (*event.Draft, *event.Rejection) {
	return nil, &event.Rejection{
		Path: it.path, Field: field, Reason: reason, Detail: detail, Source: Source,
		Hash: sha256.Sum256(it.raw), Size: len(it.raw), Shape: event.CutShape(event.JSONShape(it.raw, known)),
	}
}

// decode checks the attributes and hands the data to the decoder of its type.
func (it *item) decode(a *attributes, data []byte) (*event.Draft, *event.Rejection) {
	for _, required := range []struct{ name, value string }{
		{"specversion", a.SpecVersion}, {"id", a.ID}, {"source", a.Source}, {"type", a.Type},
	} {
		if required.value == "" {
			return it.reject(event.ReasonMissing, required.name, "a required attribute is missing")
		}
	}
	switch {
	case a.SpecVersion != "1.0":
		return it.reject(event.ReasonBadValue, "specversion", "want 1.0")
	case a.Type != TypeUsage && a.Type != TypeOutcome:
		return it.reject(event.ReasonUnknownType, "type", "want ai.usage.v1 or ai.outcome.v1")
	case !isJSON(a.DataContentType):
		return it.reject(event.ReasonBadValue, "datacontenttype", "want application/json")
	}
	at, ok := parseTime(a.Time)
	if !ok {
		return it.reject(event.ReasonBadTime, "time", "not an RFC 3339 time")
	}
	e := &goodhartv1.Event{
		Source: Source, Signal: goodhartv1.Signal_SIGNAL_CLOUDEVENT, AdapterVersion: version, TimeMs: at,
		Transport: goodhartv1.Transport_TRANSPORT_HTTP,
	}
	d := &event.Draft{Event: e, Natural: []string{a.Source, a.ID}, Path: it.path, RawID: a.Source}
	if a.Type == TypeUsage {
		return it.usage(d, data)
	}
	return it.outcome(d, data)
}

func isJSON(contentType string) bool {
	if contentType == "" {
		return true // the default of the JSON format
	}
	media, err := mediaType(contentType)
	return err == nil && (media == "application/json" || strings.HasSuffix(media, "+json"))
}

// parseTime reads an RFC 3339 time in ms; an absent one is 0.
func parseTime(s string) (int64, bool) {
	if s == "" {
		return 0, true
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return 0, false
	}
	if ms := t.UnixMilli(); ms != 0 {
		return ms, true
	}
	return 1, true
}

// typeField names the member that had another type, if the error says so.
func typeField(err error) string {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return wrong.Field
	}
	return ""
}
