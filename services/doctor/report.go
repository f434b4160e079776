package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// report is everything that was found.
type report struct {
	// Status is that of the worst finding.
	Status   Status    `json:"status"`
	Warnings int       `json:"warnings"`
	Failures int       `json:"failures"`
	Findings []Finding `json:"findings"`
}

func newReport(found [][]Finding) *report {
	r := &report{}
	for _, findings := range found {
		for _, f := range findings {
			r.Findings = append(r.Findings, f)
			r.Status = max(r.Status, f.Status)
			switch f.Status {
			case Warn:
				r.Warnings++
			case Fail:
				r.Failures++
			case OK:
			}
		}
	}
	return r
}

func (r *report) print(out io.Writer, format string) error {
	if format == FormatJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	}
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "%-4s %-16s %s\n", f.Status, f.Check, f.Found)
		if f.Status != OK {
			fmt.Fprintf(&b, "%22swant: %s\n%22sdo:   %s (%s)\n", "", f.Want, "", f.Do, f.Page)
		}
	}
	if r.Status == OK {
		b.WriteString("all is well\n")
	} else {
		fmt.Fprintf(&b, "%s, %s\n", plural(r.Failures, "failure", "failures"), plural(r.Warnings, "warning", "warnings"))
	}
	_, err := io.WriteString(out, b.String())
	return err
}
