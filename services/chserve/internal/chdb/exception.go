package chdb

import (
	"regexp"
	"strconv"
	"strings"
)

// EngineError is an error of the engine.
type EngineError struct {
	Code    int    // ClickHouse's error code; 0 when the text carries none
	Message string // the whole text: "Code: 60. DB::Exception: …"
}

// Error returns the engine's text.
func (e *EngineError) Error() string { return e.Message }

var exceptionCode = regexp.MustCompile(`Code: (\d+)\. `)

// newEngineError parses the text of an exception and cuts off what is of use to
// the engine's developers only.
func newEngineError(text string) *EngineError {
	if i := strings.Index(text, ", Stack trace (when copying"); i >= 0 {
		text = text[:i]
	}
	e := &EngineError{Message: strings.TrimRight(text, "\n ")}
	if m := exceptionCode.FindStringSubmatchIndex(text); m != nil {
		e.Code, _ = strconv.Atoi(text[m[2]:m[3]])
		e.Message = strings.TrimRight(text[m[0]:], "\n ")
	}
	return e
}
