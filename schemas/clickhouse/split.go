package clickhouse

import (
	"errors"
	"strings"
)

// Split cuts SQL text at the semicolons that end statements: not those in
// quotes, back-quotes or comments. Statements come back trimmed, without the
// comment lines before them; an unclosed quote or comment is an error.
func Split(text string) ([]string, error) {
	var statements []string
	start := 0
	for i := 0; i < len(text); {
		n, err := token(text[i:])
		if err != nil {
			return nil, err
		}
		if text[i] == ';' {
			statements = appendStatement(statements, text[start:i])
			start = i + 1
		}
		i += n
	}
	return appendStatement(statements, text[start:]), nil
}

// token returns the length of the quoted string, comment or byte that s begins
// with.
func token(s string) (int, error) {
	switch {
	case strings.HasPrefix(s, "--"):
		if end := strings.IndexByte(s, '\n'); end >= 0 {
			return end, nil
		}
		return len(s), nil
	case strings.HasPrefix(s, "/*"):
		if end := strings.Index(s, "*/"); end >= 0 {
			return end + 2, nil
		}
		return 0, errors.New("comment is not closed")
	case s[0] == '\'' || s[0] == '`' || s[0] == '"':
		for i := 1; i < len(s); i++ {
			switch s[i] {
			case '\\':
				i++
			case s[0]:
				return i + 1, nil
			}
		}
		return 0, errors.New("quote is not closed")
	}
	return 1, nil
}

// appendStatement appends s without the comment lines and blanks around it,
// unless nothing is left.
func appendStatement(statements []string, s string) []string {
	s = strings.TrimSpace(s)
	for strings.HasPrefix(s, "--") {
		_, rest, _ := strings.Cut(s, "\n")
		s = strings.TrimSpace(rest)
	}
	if s == "" {
		return statements
	}
	return append(statements, s)
}
