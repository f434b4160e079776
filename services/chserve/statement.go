package chserve

import "strings"

// token is a piece of SQL text. Positions are byte offsets.
type token struct {
	start, end int
	word       string // upper case, for a bare word; else ""
}

// lexer cuts SQL into words, quoted things and single characters, skipping
// comments and space. It never fails: what does not end, ends with the text.
type lexer struct {
	text string
	pos  int
}

func (l *lexer) next() (token, bool) {
	l.skipBlank()
	if l.pos >= len(l.text) {
		return token{}, false
	}
	start := l.pos
	switch c := l.text[start]; {
	case isWordByte(c):
		for l.pos < len(l.text) && isWordByte(l.text[l.pos]) {
			l.pos++
		}
		return token{start, l.pos, strings.ToUpper(l.text[start:l.pos])}, true
	case c == '\'' || c == '"' || c == '`':
		l.skipQuoted(c)
	case c == '$':
		l.skipHeredoc()
	default:
		l.pos++
	}
	return token{start: start, end: l.pos}, true
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func (l *lexer) skipBlank() {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v\x00", rest[0]) >= 0:
			l.pos++
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "# "), strings.HasPrefix(rest, "#!"):
			l.skipPast("\n", 2)
		case strings.HasPrefix(rest, "/*"):
			l.skipPast("*/", 2)
		default:
			return
		}
	}
}

// skipPast moves behind the next end, looked for from offset bytes ahead.
func (l *lexer) skipPast(end string, offset int) {
	from := min(l.pos+offset, len(l.text))
	if i := strings.Index(l.text[from:], end); i >= 0 {
		l.pos = from + i + len(end)
		return
	}
	l.pos = len(l.text)
}

func (l *lexer) skipQuoted(quote byte) {
	for l.pos++; l.pos < len(l.text); l.pos++ {
		switch l.text[l.pos] {
		case '\\':
			l.pos++
		case quote: // a doubled quote reads as two quoted things side by side
			l.pos++
			return
		}
	}
	l.pos = len(l.text)
}

// skipHeredoc skips $tag$ … $tag$, or the dollar alone.
func (l *lexer) skipHeredoc() {
	end := l.pos + 1
	for end < len(l.text) && isWordByte(l.text[end]) {
		end++
	}
	if end >= len(l.text) || l.text[end] != '$' {
		l.pos++
		return
	}
	tag := l.text[l.pos : end+1]
	l.pos = end + 1
	l.skipPast(tag, 0)
}

// insertion is an INSERT that brings its data along.
type insertion struct {
	head   string // up to the data, without the FORMAT clause
	format string // "" when the statement names none
	data   int    // offset of the first byte of data in the text
	infile bool   // the data would come from a file of this machine
}

// splitInsert tells whether text begins with an INSERT that takes data (not
// INSERT … SELECT), and where its data begins. An INSERT that names neither
// FORMAT nor VALUES has the whole text as its head.
func splitInsert(text string) (insertion, bool) {
	l := &lexer{text: text}
	if t, ok := l.next(); !ok || t.word != "INSERT" {
		return insertion{}, false
	}
	if !skipTarget(l) {
		return insertion{}, false
	}
	depth := 0
	var previous token
	for {
		t, ok := l.next()
		if !ok {
			return insertion{head: text, data: len(text)}, true
		}
		depth += nesting(text[t.start])
		word := t.word
		if depth > 0 || text[previous.start] == '.' { // inside brackets, or the second part of a name
			word = ""
		}
		previous = t
		switch word {
		case "SELECT", "WITH", "WATCH":
			return insertion{}, false
		case "INFILE":
			return insertion{infile: true}, true
		case "VALUES":
			return insertion{head: text[:t.start], format: "Values", data: t.end}, true
		case "FORMAT":
			name, ok := l.next()
			if !ok || name.word == "" {
				return insertion{head: text, data: len(text)}, true
			}
			return insertion{head: text[:t.start], format: text[name.start:name.end], data: dataStart(text, name.end)}, true
		}
	}
}

// nesting is what a character adds to the depth of brackets.
func nesting(c byte) int {
	switch c {
	case '(', '[', '{':
		return 1
	case ')', ']', '}':
		return -1
	}
	return 0
}

// skipTarget moves behind INTO [TABLE|FUNCTION] and the first word of the
// table's name, which may itself look like a keyword.
func skipTarget(l *lexer) bool {
	for {
		t, ok := l.next()
		if !ok {
			return false
		}
		if t.word != "INTO" && t.word != "TABLE" && t.word != "FUNCTION" {
			return true
		}
	}
}

// dataStart skips what separates a FORMAT clause from the data: blanks, then
// at most one line end.
func dataStart(text string, pos int) int {
	for pos < len(text) && strings.IndexByte(" \t\f", text[pos]) >= 0 {
		pos++
	}
	if pos < len(text) && text[pos] == '\r' {
		pos++
	}
	if pos < len(text) && text[pos] == '\n' {
		pos++
	}
	return pos
}

// shape is what a query's text tells of its result.
type shape struct {
	end      int    // where the query proper ends: before FORMAT, semicolons, closing comments
	format   string // of its FORMAT clause; "" for none
	isSelect bool   // SELECT, which alone can be streamed; not SHOW, DESCRIBE, EXPLAIN, EXISTS, CHECK
	outfile  bool   // INTO OUTFILE
}

// inspect reads the shape of a query. known tells the names of formats, since
// format is also a fine name for a column.
func inspect(text string, known func(string) bool) shape {
	var s shape
	l := &lexer{text: text}
	depth, first := 0, true
	var previous token
	for {
		t, ok := l.next()
		if !ok {
			return s
		}
		c := text[t.start]
		depth += nesting(c)
		if first && c != '(' {
			first = false
			s.isSelect = t.word == "SELECT" || t.word == "WITH" || t.word == "FROM"
		}
		if previous.word == "INTO" && t.word == "OUTFILE" {
			s.outfile = true
		}
		if name := formatName(*l); depth == 0 && t.word == "FORMAT" && known(name) {
			s.format = name
			return s
		}
		if c != ';' {
			s.end = t.end
		}
		previous = t
	}
}

// formatName reads what follows the word FORMAT: a name and then the end of the
// query or its settings; else it is no FORMAT clause and the name is "".
func formatName(l lexer) string {
	name, ok := l.next()
	if !ok || name.word == "" {
		return ""
	}
	if t, ok := l.next(); ok && t.word != "SETTINGS" && l.text[t.start] != ';' {
		return ""
	}
	return l.text[name.start:name.end]
}
