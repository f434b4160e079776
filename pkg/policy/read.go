package policy

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reader collects the problems of a document.
type reader struct{ problems []error }

func (r *reader) problem(path, format string, args ...any) {
	r.problems = append(r.problems, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
}

// want reports a value that is not what it should be.
func (r *reader) want(path string, v any, want string) {
	if v == nil {
		r.problem(path, "missing: want %s", want)
		return
	}
	r.problem(path, "%s: want %s", show(v), want)
}

// show names a value in a message.
func show(v any) string {
	switch v := v.(type) {
	case string:
		if runes := []rune(v); len(runes) > 80 {
			v = string(runes[:80]) + "…"
		}
		return strconv.Quote(v)
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	default:
		return fmt.Sprint(v)
	}
}

// object is a mapping of the document at a path.
type object struct {
	*reader
	path   string
	fields map[string]any
}

// object reports what is no mapping, and every key that is not known.
func (r *reader) object(path string, v any, known ...string) object {
	o := object{reader: r, path: path}
	var ok bool
	if o.fields, ok = v.(map[string]any); !ok {
		r.want(path, v, "a mapping of "+strings.Join(known, ", "))
		return o
	}
	for _, key := range slices.Sorted(maps.Keys(o.fields)) {
		if !slices.Contains(known, key) {
			r.problem(o.at(key), "unknown key: want one of %s", strings.Join(known, ", "))
		}
	}
	return o
}

// at is the path of a key.
func (o object) at(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

// valid reports whether there are any fields to read: what is no mapping has
// been reported once.
func (o object) valid() bool { return o.fields != nil }

// list returns the elements under a key; nothing where the key is absent.
func (o object) list(key string) []any {
	v := o.fields[key]
	if v == nil {
		return nil
	}
	list, ok := v.([]any)
	if !ok {
		o.want(o.at(key), v, "a list")
	}
	return list
}

// element is the path of a list's element.
func (o object) element(key string, i int) string { return o.at(key) + "[" + strconv.Itoa(i) + "]" }

// text returns the text under a key if it is accepted.
func (o object) text(key string, optional bool, want string, accept func(string) bool) string {
	v := o.fields[key]
	if v == nil && (optional || !o.valid()) {
		return ""
	}
	s, ok := v.(string)
	switch {
	case v != nil && !ok:
		if _, number := v.(json.Number); number {
			want += ", in quotes"
		}
		o.want(o.at(key), v, want)
		return ""
	case !ok || !accept(s):
		o.want(o.at(key), v, want)
		return ""
	}
	return s
}

const wantLabel = "1 to 128 of A-Z a-z 0-9 . _ : / -"

func (o object) label(key string) string { return o.text(key, false, wantLabel, isLabel) }

func (o object) optionalLabel(key string) string { return o.text(key, true, wantLabel, isLabel) }

// isLabel is the rule for what may appear in ClickHouse: an e-mail address
// cannot be one.
func isLabel(s string) bool {
	if s == "" || len(s) > 128 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && strings.IndexByte("._:/-", c) < 0 {
			return false
		}
	}
	return true
}

const wantPseudonym = "a pseudonym: p_, a_, s_ or k_ and 32 hex digits"

func isPseudonym(s string) bool {
	kind, digits, ok := strings.Cut(s, "_")
	return ok && len(kind) == 1 && strings.Contains("pask", kind) && len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
}

// enum returns the text under a key, which must be one of few; the first stands
// for an absent key if that is allowed.
func enum[T ~string](o object, key string, optional bool, values ...T) T {
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = string(v)
	}
	s := o.text(key, optional, "one of "+strings.Join(names, ", "), func(s string) bool { return slices.Contains(names, s) })
	if s == "" && optional {
		return values[0]
	}
	return T(s)
}

// whole returns the whole number under a key, and whether there is a good one.
func (o object) whole(key string, optional bool, least, most int64, unit string) (int64, bool) {
	v := o.fields[key]
	if v == nil && (optional || !o.valid()) {
		return 0, false
	}
	number, ok := v.(json.Number)
	n, err := strconv.ParseInt(string(number), 10, 64)
	if !ok || err != nil || n < least || n > most {
		o.want(o.at(key), v, strings.TrimSuffix(fmt.Sprintf("a whole number %d..%d, %s", least, most, unit), ", "))
		return 0, false
	}
	return n, true
}

// Days lie in this century.
const (
	firstDay = "2000-01-01"
	lastDay  = "2099-12-31"
)

// day returns the day under a key; 0 where there is none.
func (o object) day(key string, optional bool) Day {
	var at time.Time
	s := o.text(key, optional, "a day "+firstDay+".."+lastDay+", YYYY-MM-DD", func(s string) bool {
		var err error
		at, err = time.Parse(time.DateOnly, s)
		return err == nil && s >= firstDay && s <= lastDay
	})
	if s == "" {
		return 0
	}
	return Day(at.UnixMilli())
}
