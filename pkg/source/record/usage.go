package record

import goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"

// usage is an Event and its Usage in one piece of memory.
type usage struct {
	event goodhartv1.Event
	usage goodhartv1.Usage
}

// NewUsage returns an event of kind usage with its payload.
func NewUsage(source string, signal goodhartv1.Signal, o *Origin) *goodhartv1.Event {
	u := &usage{}
	u.event.Kind = goodhartv1.EventKind_EVENT_KIND_USAGE
	u.event.Usage = &u.usage
	describe(&u.event, source, signal, o)
	return &u.event
}

// NewActivity returns an event of kind activity with its payload.
func NewActivity(source string, signal goodhartv1.Signal, o *Origin, name string) *goodhartv1.Event {
	e := &goodhartv1.Event{
		Kind:     goodhartv1.EventKind_EVENT_KIND_ACTIVITY,
		Activity: &goodhartv1.Activity{Name: name},
	}
	describe(e, source, signal, o)
	return e
}

func describe(e *goodhartv1.Event, source string, signal goodhartv1.Signal, o *Origin) {
	e.Source, e.Signal = source, signal
	e.Tool, e.ToolVersion = o.Service, o.Version
	e.Transport = o.Transport
}

// Number adds a number to an activity.
func Number(a *goodhartv1.Activity, key string, value float64) {
	a.Numbers = append(a.Numbers, &goodhartv1.Number{Key: key, Value: value})
}

// Label adds a label to an activity.
func Label(a *goodhartv1.Activity, key, value string) {
	a.Labels = append(a.Labels, &goodhartv1.Label{Key: key, Value: value})
}
