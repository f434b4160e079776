package explain

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// write prints the explanation. Where the log has forgotten too much to say, it
// prints nothing: a number that may be wrong explains nothing.
func (e *explanation) write(out io.Writer, format string) error {
	if !e.history.Whole && e.difference() != "" {
		return nil
	}
	n := e.outline()
	if format == FormatJSON {
		_, err := out.Write(append(n.appendJSON(nil), '\n'))
		return err
	}
	var b strings.Builder
	b.WriteString(e.headline() + "\n")
	for i := range n.kids {
		b.WriteByte('\n')
		n.kids[i].write(&b, "")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// headline says what is explained and what came of it, in two lines.
func (e *explanation) headline() string {
	s := e.said
	what := fmt.Sprintf("score of team %s, %s to %s, revision %d", s.Scope, s.Window, moment(s.End), s.Rev)
	if s.ID != "" {
		what = fmt.Sprintf("%s %s, signal %s, revision %d, %s", s.Code, s.Title, s.ID, s.Rev, s.Status)
	}
	return what + "\n" + e.verdict()
}

// verdict says whether the log gives the record.
func (e *explanation) verdict() string {
	if d := e.difference(); d != "" {
		return "DIFFERS from the record at " + e.at() + ": " + d
	}
	return fmt.Sprintf("equals the record at %s, byte for byte: %d bytes and %d headers", e.at(), len(e.said.Value), len(e.said.Headers))
}

func (e *explanation) at() string {
	return fmt.Sprintf("%s/%d offset %d", e.said.Topic, e.said.Partition, e.said.Offset)
}

// outline is all that is said, in order.
func (e *explanation) outline() node {
	s := e.said
	n := object("",
		object("checked",
			text("verdict", map[bool]string{true: "equal", false: "different"}[e.difference() == ""]),
			text("record", e.at()), text("key", string(s.Key)),
			text("folded", fmt.Sprintf("%d records of %s/%d, %s", e.records, e.topic, e.part, e.began())),
			text("watermark", moment(s.W)),
		),
		document("record", s.Value),
	)
	if e.again != nil && e.difference() != "" {
		n.kids = append(n.kids, document("recomputed", e.again.value))
	}
	if d, ok := signal.Lookup(s.Code); ok && s.ID != "" {
		n.kids = append(n.kids, definition(&d))
	}
	n.kids = append(n.kids, e.inputs.outline()...)
	return node{nested: true, kids: append(n.kids, object("policy", node{name: "version", text: fmt.Sprint(s.Version)}, document("document", []byte(e.policyText()))))}
}

// document reads JSON into nodes, in the order of its members; what is no JSON is
// text.
func document(name string, value []byte) node {
	dec := json.NewDecoder(strings.NewReader(string(value)))
	dec.UseNumber()
	n, err := parse(name, dec)
	if err != nil {
		return text(name, string(value))
	}
	return n
}

func parse(name string, dec *json.Decoder) (node, error) {
	token, err := dec.Token()
	if err != nil {
		return node{}, err
	}
	switch t := token.(type) {
	case json.Delim:
		return parseNested(node{name: name, nested: true, list: t == '['}, dec)
	case string:
		return text(name, t), nil
	case nil:
		return node{name: name, text: "null"}, nil
	default:
		return node{name: name, text: fmt.Sprint(t)}, nil
	}
}

func parseNested(n node, dec *json.Decoder) (node, error) {
	for dec.More() {
		name := ""
		if !n.list {
			token, err := dec.Token()
			if err != nil {
				return n, err
			}
			name = fmt.Sprint(token)
		}
		kid, err := parse(name, dec)
		if err != nil {
			return n, err
		}
		n.kids = append(n.kids, kid)
	}
	_, err := dec.Token()
	return n, err
}

// definition is the row of the catalogue that was applied.
func definition(d *signal.Definition) node {
	n := object("catalogue", text("statistic", d.Statistic), text("minimum", fmt.Sprintf("%d %s", d.MinimumN, cmp.Or(d.Sample, "records"))))
	thresholds := node{name: "thresholds", nested: true, list: true}
	for _, t := range d.Thresholds {
		thresholds.kids = append(thresholds.kids, object("", text("name", t.Name), node{name: "value", text: number(t.Value)}, text("unit", t.Unit)))
	}
	looks := node{name: "look_alikes", nested: true, list: true}
	for _, l := range d.LookAlikes {
		looks.kids = append(looks.kids, text("", l.Name+": "+l.Why))
	}
	n.kids = append(n.kids, thresholds, looks, text("formula", d.Formula))
	return n
}

// outline is what the statement rests on.
func (in *inputs) outline() []node {
	var n []node
	if in.judged != nil {
		n = append(n, outline("judged", in.judged))
	}
	if in.subject() != "" && len(in.weeks) > 0 {
		weeks := node{name: "weeks", nested: true, list: true}
		for _, w := range in.weeks {
			weeks.kids = append(weeks.kids, week(w))
		}
		n = append(n, weeks)
	}
	if len(in.crossings) > 0 {
		n = append(n, outline("crossings", in.crossings))
	}
	if in.score != nil {
		n = append(n, outline("score", in.score))
	}
	return n
}

func week(w *goodhartv1.Week) node {
	n := outline("", w)
	n.kids = append([]node{text("week", window.WeekName(w.WeekStartMs))}, n.kids...)
	return n
}
