package collector

import (
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
)

// retryAfter is what a 503 asks clients to wait.
const retryAfter = 5 * time.Second

// Reasons for which a whole request is refused.
const (
	reasonUnauthenticated = "unauthenticated"
	reasonContentType     = "unknown_content_type"
	reasonEncoding        = "unknown_content_encoding"
	reasonBadEncoding     = "bad_compression"
	reasonBodyTooLarge    = "body_too_large"
	reasonMalformed       = "malformed"
	reasonBadClock        = "bad_clock"
	reasonIncomplete      = "incomplete_body"
	reasonSlow            = "slow_body"
	reasonNoClock         = "no_clock"
	reasonOverloaded      = "overloaded"
	reasonUnavailable     = "kafka_unavailable"
)

// Reasons for which the collector itself refuses one record.
const (
	reasonSource = "source_not_allowed"
	reasonEncode = "not_encodable"
)

// refusal is why a whole request was not accepted. Its detail never quotes what
// the client sent.
type refusal struct {
	reason string
	detail string
	// cause is for the log, nil where the client alone is at fault.
	cause error
}

func refuse(reason, detail string) *refusal { return &refusal{reason: reason, detail: detail} }

// unavailable is the refusal of a request whose fate in Kafka is unknown.
func unavailable(cause error) *refusal {
	return &refusal{reason: reasonUnavailable, detail: "Kafka did not acknowledge in time; send the request again", cause: cause}
}

// status is the fate of the request: what a client may send again is 503 (408
// where it was too slow to send at all), everything else is final.
func (r *refusal) status() int {
	switch r.reason {
	case reasonUnauthenticated:
		return http.StatusUnauthorized
	case reasonContentType, reasonEncoding:
		return http.StatusUnsupportedMediaType
	case reasonBodyTooLarge:
		return http.StatusRequestEntityTooLarge
	case reasonSlow:
		return http.StatusRequestTimeout
	case reasonNoClock, reasonOverloaded, reasonUnavailable:
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

// code is the same for gRPC.
func (r *refusal) code() codes.Code {
	switch r.status() {
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusRequestEntityTooLarge:
		return codes.ResourceExhausted
	case http.StatusRequestTimeout:
		return codes.DeadlineExceeded
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	default:
		return codes.InvalidArgument
	}
}

// retriable says whether the client should send the same request again.
func (r *refusal) retriable() bool { return r.status() == http.StatusServiceUnavailable }

// bodyAtFault says whether the body itself is described as a dead letter: it
// came with a good key, was read as far as it could be, and will never be usable.
func (r *refusal) bodyAtFault() bool {
	switch r.reason {
	case reasonContentType, reasonEncoding, reasonBadEncoding, reasonBodyTooLarge, reasonMalformed:
		return true
	default:
		return false
	}
}
