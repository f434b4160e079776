package collector

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/cloudevents"
)

const (
	eventsPath  = "/v1/events"
	typeProblem = "application/problem+json"
)

// eventsInlet takes CloudEvents over HTTP, in binary, structured and batched
// mode.
type eventsInlet struct{}

// admit leaves the content type to the decoder: in binary mode it is that of the
// data.
func (eventsInlet) admit(r *http.Request) (form, *refusal) {
	return form{
		decode: func(body []byte) ([]event.Draft, []event.Rejection, error) {
			return cloudevents.Decode(r.Header, body)
		},
		records: func(body []byte) int64 { return eventsDensity().records(typeJSON, body) },
	}, nil
}

func (eventsInlet) read(r *http.Request, in *intake) (*body, *refusal) {
	return in.read(r.Body, r.Header.Get("Content-Encoding"))
}

// eventsAnswer is the answer of /v1/events: a problem of RFC 9457 if nothing was
// accepted, with what became of each item in either case.
type eventsAnswer struct {
	Type     string      `json:"type,omitempty"`
	Title    string      `json:"title,omitempty"`
	Status   int         `json:"status,omitempty"`
	Detail   string      `json:"detail,omitempty"`
	Reason   string      `json:"reason,omitempty"`
	Accepted int         `json:"accepted"`
	Rejected int         `json:"rejected"`
	Items    []eventItem `json:"items,omitempty"`
}

// eventItem is what became of one event of a batch.
type eventItem struct {
	Index  int    `json:"index"`
	Status string `json:"status"`
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
}

func (eventsInlet) answer(w http.ResponseWriter, _ *http.Request, res result, ref *refusal) {
	a := eventsAnswer{Accepted: res.accepted, Rejected: len(res.rejections)}
	code, mediaType := http.StatusOK, typeJSON
	switch {
	case ref != nil:
		code, mediaType = ref.status(), typeProblem
		a.problem(code, ref.reason, ref.detail)
	case res.accepted == 0 && len(res.rejections) > 0:
		code, mediaType = http.StatusBadRequest, typeProblem
		a.problem(code, res.rejections[0].Reason, "no event was accepted; items say why")
		a.Items = items(res)
	default:
		a.Items = items(res)
	}
	raw, err := json.Marshal(a)
	if err != nil {
		raw = nil // the status code says all that matters
	}
	writeAnswer(w, code, mediaType, raw, ref)
}

func (a *eventsAnswer) problem(code int, reason, detail string) {
	a.Type, a.Title, a.Status = "about:blank", http.StatusText(code), code
	a.Reason, a.Detail = reason, detail
}

// items lists the events of a request in their order. Each is one draft or one
// rejection.
func items(res result) []eventItem {
	list := make([]eventItem, res.accepted+len(res.rejections))
	for i := range list {
		list[i] = eventItem{Index: i, Status: "accepted"}
	}
	for i := range res.rejections {
		r := &res.rejections[i]
		item := eventItem{Index: indexOf(r.Path), Status: "rejected", Field: r.Field, Reason: r.Reason, Detail: r.Detail}
		if item.Index < len(list) {
			list[item.Index] = item
		}
	}
	return list
}

// indexOf is the place that a path like [3] names; 0 in a request of one event.
func indexOf(path string) int {
	inner, ok := strings.CutPrefix(path, "[")
	if !ok {
		return 0
	}
	inner, _, _ = strings.Cut(inner, "]")
	n, err := strconv.Atoi(inner)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
