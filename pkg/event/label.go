package event

import (
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// MaxLabel is the greatest length of a label.
const MaxLabel = 128

// Other stands for a label that may not pass.
const Other = "other"

// IsLabel reports whether s may be stored as it is: 1 to 128 characters of
// A-Z a-z 0-9 . _ : / -, which leaves no room for an e-mail address.
func IsLabel(s string) bool {
	if s == "" || len(s) > MaxLabel {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == ':', c == '/', c == '-':
		default:
			return false
		}
	}
	return true
}

// Flag adds a quality flag once, keeping the flags in order.
func Flag(e *goodhartv1.Event, q goodhartv1.Quality) {
	at := len(e.Quality)
	for i, have := range e.Quality {
		if have == q {
			return
		}
		if have > q {
			at = i
			break
		}
	}
	e.Quality = append(e.Quality, q)
	copy(e.Quality[at+1:], e.Quality[at:])
	e.Quality[at] = q
}

// cleanLabels replaces every label that may not pass by Other.
func cleanLabels(e *goodhartv1.Event) {
	replaced := false
	clean := func(s *string) {
		if *s != "" && !IsLabel(*s) {
			*s, replaced = Other, true
		}
	}
	clean(&e.Tool)
	clean(&e.ToolVersion)
	if u := e.Usage; u != nil {
		for _, s := range [...]*string{
			&u.OperationName, &u.ProviderName, &u.RequestModel, &u.ResponseModel, &u.Model,
			&u.PriceTier, &u.ErrorType, &u.FinishReason, &u.QuerySource, &u.AgentName,
		} {
			clean(s)
		}
	}
	if a := e.Activity; a != nil {
		clean(&a.Name)
		for _, l := range a.Labels {
			clean(&l.Value)
		}
	}
	if o := e.Outcome; o != nil {
		clean(&o.Conclusion)
		clean(&o.Environment)
	}
	if replaced {
		Flag(e, goodhartv1.Quality_QUALITY_LABEL_REPLACED)
	}
}
