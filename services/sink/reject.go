package sink

import (
	"crypto/sha256"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// reject says why a record cannot be stored, and what is known of it all the
// same.
type reject struct {
	reason, field, detail string
	tenant, source        string
	// received is the acceptance time, ms; 0 where unknown.
	received int64
}

// Reasons of the sink; the list is fixed.
const (
	reasonUndecodable = "undecodable"
	reasonUnknownKind = "unknown_kind"
	reasonMissing     = "missing"
	reasonBadTime     = "bad_time"
	reasonOutOfRange  = "out_of_range"
)

func (r *reject) Error() string {
	return strings.TrimRight(r.reason+": "+r.field+" "+r.detail, " :")
}

// maxBuried is the greatest value that a dead letter carries: beyond it hash,
// size and position must do.
const maxBuried = 256 << 10

// buried makes the dead letter of a record that could not be stored. A dead
// letter has none itself: it would come back for ever.
func buried(partitions int32) func(*kgo.Record, error) *kgo.Record {
	return func(rec *kgo.Record, why error) *kgo.Record {
		if rec.Topic == schemas.TopicDead {
			return nil
		}
		var r *reject
		if !errors.As(why, &r) {
			r = &reject{reason: reasonUndecodable, detail: why.Error()}
		}
		if r.received == 0 {
			r.received = rec.Timestamp.UnixMilli()
		}
		hash := sha256.Sum256(rec.Value)
		letter := &goodhartv1.DeadLetter{
			Stage: goodhartv1.Stage_STAGE_SINK, Tenant: valid(r.tenant), Source: valid(r.source),
			Reason: r.reason, Field: r.field, Detail: valid(r.detail), TimeMs: r.received,
			Hash: hash[:], SizeBytes: int64(len(rec.Value)),
			Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset, Key: rec.Key,
		}
		if len(rec.Value) <= maxBuried {
			letter.Value = rec.Value
		}
		value, err := letter.MarshalVT()
		if err != nil { // invalid UTF-8 is all it could be, and there is none
			return nil
		}
		return &kgo.Record{Topic: schemas.TopicDead, Partition: schemas.Partition(rec.Key, partitions), Key: rec.Key, Value: value}
	}
}

// valid is s where it is UTF-8, cut to what is a label and not a document.
func valid(s string) string {
	const most = 512
	if len(s) > most {
		s = s[:most]
	}
	if utf8.ValidString(s) {
		return strings.Clone(s)
	}
	return strings.ToValidUTF8(s, "?")
}
