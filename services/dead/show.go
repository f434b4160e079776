package dead

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// shown is a letter as show prints it in JSON.
type shown struct {
	line
	Key     string  `json:"key,omitempty"`
	Fields  []field `json:"fields,omitempty"`
	Payload string  `json:"payload,omitempty"`
}

// show prints everything that is known of the letters, with the payload where it
// is one of our own messages.
func show(ctx context.Context, cfg Config, out io.Writer) error {
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	err := Scan(ctx, cfg.Kafka, cfg.Filter, func(l *Letter) error {
		s := shown{line: l.line(), Key: key(l.Key)}
		switch fields, err := payload(l.Topic, l.Value); {
		case l.Value == nil:
			s.Payload = "the letter does not carry the record's bytes"
		case err != nil:
			s.Payload = fmt.Sprintf("%d bytes that are not shown: %v", len(l.Value), err)
		default:
			s.Fields = fields
		}
		if cfg.Format == FormatJSON {
			return enc.Encode(s)
		}
		return s.print(w)
	})
	return cmp.Or(err, w.Flush())
}

func (s *shown) print(w io.Writer) error {
	var failed error
	row := func(name, value string) {
		if value != "" && failed == nil {
			_, failed = fmt.Fprintf(w, "%-14s %s\n", name, value)
		}
	}
	at := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Format(timeForm)
	}
	row("letter", s.Letter)
	row("written", at(s.Time))
	row("component", s.Component)
	row("reason", s.Reason)
	row("field", s.Field)
	row("detail", s.Detail)
	row("tenant", s.Tenant)
	row("source", s.Source)
	row("credential", s.Credential)
	row("accepted", at(s.AcceptedAt))
	if s.Topic != "" {
		row("origin", fmt.Sprintf("%s/%d@%d", s.Topic, *s.Partition, *s.Offset))
	}
	row("key", s.Key)
	row("records", fmt.Sprint(s.Records))
	row("death", fmt.Sprintf("number %d of these bytes among the letters read", s.Attempt))
	row("bytes", fmt.Sprint(s.Bytes))
	row("sha256", s.Hash)
	row("shape", s.Shape)
	row("payload", s.Payload)
	for _, f := range s.Fields {
		if failed == nil {
			_, failed = fmt.Fprintf(w, "  %-34s %s\n", f.Path, f.Value)
		}
	}
	return failed
}
