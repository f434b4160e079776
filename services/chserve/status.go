package chserve

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/goodhartlabs/goodhart/services/chserve/internal/chdb"
)

// Error codes of ClickHouse that chserve raises itself.
const (
	codeBadArguments     = 36
	codeInfile           = 48 // NOT_IMPLEMENTED
	codeSyntax           = 62
	codeUnknownFormat    = 73
	codeUnknownCodec     = 89 // UNKNOWN_COMPRESSION_METHOD
	codeReadonly         = 164
	codeRequiredPassword = 194
	codeTooManyQueries   = 202
	codeNetwork          = 210
	codeTooLarge         = 229
	codeOutfile          = 358
	codeSessionNotFound  = 372
	codeSessionLocked    = 373
	codeSessionTimeout   = 374
	codeCancelled        = 394
	codeAccessDenied     = 497
	codeAuthentication   = 516
	codeUnknown          = 1002
)

// raise makes an exception in the words of ClickHouse.
func raise(code int, name, format string, args ...any) *chdb.EngineError {
	return &chdb.EngineError{Code: code, Message: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), name)}
}

// asException gives any error the shape that clients of ClickHouse expect.
func asException(err error) *chdb.EngineError {
	var e *chdb.EngineError
	if errors.As(err, &e) {
		if e.Code == 0 {
			return raise(codeUnknown, "UNKNOWN_EXCEPTION", "%s", e.Message)
		}
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return raise(codeCancelled, "QUERY_WAS_CANCELLED", "Query was cancelled")
	}
	return raise(codeUnknown, "UNKNOWN_EXCEPTION", "%s", err)
}

// httpStatus is the status that a ClickHouse server gives to an error code.
func httpStatus(code int) int {
	switch code {
	case codeRequiredPassword:
		return http.StatusUnauthorized
	case 192, 193, 497, 512, codeAuthentication: // unknown user, wrong password, no access, role not granted
		return http.StatusForbidden
	case 6, 8, 15, 25, 26, 27, 36, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441, 675, 676:
		return http.StatusBadRequest // the query or its data are malformed
	case 46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511:
		return http.StatusNotFound // it names something that is not there
	case 159: // a limit of time
		return http.StatusRequestTimeout
	case 229: // a limit of size
		return http.StatusRequestEntityTooLarge
	case 381: // no length given
		return http.StatusLengthRequired
	case 48: // not implemented
		return http.StatusNotImplemented
	case 76, 209, 439: // a file, a socket, a thread that could not be had
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}
