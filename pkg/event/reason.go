package event

// Reasons of rejections: the codes that appear in answers, metrics and dead
// letters.
const (
	// ReasonMalformed: the record does not decode.
	ReasonMalformed = "malformed_record"
	// ReasonUnknownRecord: it is about AI, and no adapter knows its form.
	ReasonUnknownRecord = "unknown_record"
	// ReasonNotAI: telemetry of something else.
	ReasonNotAI = "not_ai_telemetry"
	// ReasonUnknownType: a CloudEvents type that goodhart does not take.
	ReasonUnknownType = "unknown_type"
	// ReasonMissing: a required field is absent.
	ReasonMissing = "missing_field"
	// ReasonBadValue: a field has a value outside of its vocabulary or form.
	ReasonBadValue = "bad_value"
	// ReasonBadNumber: a number is NaN, infinite, negative, fractional where it
	// counts things, or beyond its range.
	ReasonBadNumber = "bad_number"
	// ReasonBadTime: the event time is unreadable or older than MaxAge.
	ReasonBadTime = "bad_time"
	// ReasonTemporality: a counter that is not reported as deltas.
	ReasonTemporality = "bad_temporality"
	// ReasonTooLarge: the encoded event exceeds MaxEncoded.
	ReasonTooLarge = "too_large"
	// ReasonUnknownTenant: the credential's tenant has no key.
	ReasonUnknownTenant = "unknown_tenant"
)

// Reasons lists every reason, for the metrics that count them.
func Reasons() []string {
	return []string{
		ReasonMalformed, ReasonUnknownRecord, ReasonNotAI, ReasonUnknownType, ReasonMissing, ReasonBadValue,
		ReasonBadNumber, ReasonBadTime, ReasonTemporality, ReasonTooLarge, ReasonUnknownTenant,
	}
}
