package dead

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// line is a letter as list and show print it in JSON: everything that is known
// of the record but its bytes.
type line struct {
	Letter           string    `json:"letter"`
	Time             time.Time `json:"time"`
	Component        string    `json:"component"`
	Reason           string    `json:"reason"`
	Topic            string    `json:"topic,omitempty"`
	Partition        *int32    `json:"partition,omitempty"`
	Offset           *int64    `json:"offset,omitempty"`
	Tenant           string    `json:"tenant,omitempty"`
	Source           string    `json:"source,omitempty"`
	Credential       string    `json:"credential,omitempty"`
	Field            string    `json:"field,omitempty"`
	Detail           string    `json:"detail,omitempty"`
	Shape            string    `json:"shape,omitempty"`
	AcceptedAt       time.Time `json:"accepted_at,omitzero"`
	Records          int64     `json:"records"`
	Attempt          int       `json:"attempt"`
	Bytes            int64     `json:"bytes"`
	Hash             string    `json:"sha256,omitempty"`
	CarriesTheRecord bool      `json:"carries_the_record"`
}

func (l *Letter) line() line {
	out := line{
		Letter: l.Address.String(), Time: l.Time, Component: l.component(), Reason: label(l.Reason),
		Topic: label(l.Topic), Tenant: label(l.Tenant), Source: label(l.Source), Credential: label(l.Credential),
		Field: sentence(l.Field), Detail: sentence(l.Detail), Shape: sentence(l.Shape),
		Records: l.records(), Attempt: l.Attempt, Bytes: l.SizeBytes, CarriesTheRecord: l.Value != nil,
	}
	if len(l.Hash) == sha256.Size {
		out.Hash = hex.EncodeToString(l.Hash)
	}
	if l.Topic != "" {
		out.Partition, out.Offset = &l.DeadLetter.Partition, &l.DeadLetter.Offset
	}
	if l.TimeMs > 0 {
		out.AcceptedAt = time.UnixMilli(l.TimeMs).UTC()
	}
	return out
}

// list prints a line per letter.
func list(ctx context.Context, cfg Config, out io.Writer) error {
	if cfg.Count {
		return count(ctx, cfg, out)
	}
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	err := Scan(ctx, cfg.Kafka, cfg.Filter, func(l *Letter) error {
		if cfg.Format == FormatJSON {
			return enc.Encode(l.line())
		}
		_, err := fmt.Fprintln(w, l.text())
		return err
	})
	return cmp.Or(err, w.Flush())
}

// text is the letter on one line.
func (l *Letter) text() string {
	who := label(l.Tenant) + "/" + label(l.Source)
	if who == "/" {
		who = "-"
	}
	return fmt.Sprintf("%-10s %s  %-9s %-20s %-34s %-24s records %d, death %d", l.Address, l.Time.Format(timeForm),
		l.component(), label(l.Reason), cmp.Or(l.origin(), "-"), who, l.records(), l.Attempt)
}

const timeForm = "2006-01-02T15:04:05.000Z"

// group counts the letters of a component with one reason.
type group struct {
	Reason    string    `json:"reason"`
	Component string    `json:"component"`
	Letters   int64     `json:"letters"`
	Records   int64     `json:"records"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
}

// count prints how many letters there are of each reason, most first.
func count(ctx context.Context, cfg Config, out io.Writer) error {
	type kind struct{ reason, component string }
	groups := map[kind]*group{}
	err := Scan(ctx, cfg.Kafka, cfg.Filter, func(l *Letter) error {
		at := kind{label(l.Reason), l.component()}
		g := groups[at]
		if g == nil {
			g = &group{Reason: at.reason, Component: at.component, First: l.Time}
			groups[at] = g
		}
		g.Letters++
		g.Records += l.records()
		g.Last = l.Time
		return nil
	})
	if err != nil {
		return err
	}
	sorted := make([]*group, 0, len(groups))
	for _, g := range groups {
		sorted = append(sorted, g)
	}
	slices.SortFunc(sorted, func(a, b *group) int {
		return cmp.Or(cmp.Compare(b.Letters, a.Letters), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Component, b.Component))
	})
	if cfg.Format == FormatJSON {
		enc := json.NewEncoder(out)
		for _, g := range sorted {
			if err := enc.Encode(g); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "reason\tcomponent\tletters\trecords\tfirst\tlast") // Flush tells
	for _, g := range sorted {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\n", g.Reason, g.Component, g.Letters, g.Records, g.First.Format(timeForm), g.Last.Format(timeForm))
	}
	return w.Flush()
}
