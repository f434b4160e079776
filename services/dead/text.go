package dead

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goodhartlabs/goodhart/pkg/event"
)

// Nothing that a letter holds is trusted to be free of content: what wrote it
// may have been broken, or not ours. Two kinds of text are shown, everything
// else is shown by its length.

// secret is how credentials begin, or look, that people put in the wrong place.
var secret = regexp.MustCompile(`(?i)(^|[^a-z0-9])(sk|pk|rk)[-_][a-z0-9]|gh[a-z]_|github_pat_|glpat-|xox[a-z]-|akia[0-9a-z]{12}|eyj[a-z0-9_-]{8,}\.|bearer |-----begin|://[^/\s]*:`)

// label is s if it is a label, as everything is that passes the collector's
// allow-list, and does not look like a credential.
func label(s string) string {
	if s == "" || event.IsLabel(s) && !secret.MatchString(s) {
		return s
	}
	return hidden(s)
}

// sentence is s if it is of the short kind that our components write about a
// record: paths of fields, what was wrong, shapes.
func sentence(s string) string {
	const most = 4 << 10
	plain := func(r rune) bool { return r < ' ' || r > '~' || r == '@' || r == '\\' }
	if len(s) > most || strings.ContainsFunc(s, plain) || secret.MatchString(s) {
		return hidden(s)
	}
	return s
}

func hidden(s string) string {
	return fmt.Sprintf("(hidden: %d characters)", utf8.RuneCountInString(s))
}

// key is a Kafka key of ours: labels joined by bars.
func key(b []byte) string {
	parts := strings.Split(string(b), "|")
	for i, p := range parts {
		parts[i] = label(p)
	}
	return strings.Join(parts, "|")
}
