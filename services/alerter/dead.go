package alerter

import (
	"crypto/sha256"
	"errors"

	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// maxBuried is the greatest value that a dead letter carries: beyond it hash,
// size and position must do.
const maxBuried = 256 << 10

// letter says why the receiver does not have a record. Each receiver that lacks
// it writes its own.
func (f *feed) letter(n *notice) *goodhartv1.DeadLetter {
	hash := sha256.Sum256(n.value)
	letter := &goodhartv1.DeadLetter{
		Stage: goodhartv1.Stage_STAGE_ALERTER, Field: "receiver " + f.name, Reason: reasonRefused, Detail: line(n.why.Error()),
		Hash: hash[:], SizeBytes: int64(len(n.value)), TimeMs: n.at.UnixMilli(),
		Topic: schemas.TopicSignals, Partition: n.from.number, Offset: n.offset, Key: n.key,
	}
	if n.sig != nil {
		letter.Tenant = line(n.sig.Tenant)
	}
	if u := new(unusable); errors.As(n.why, &u) {
		letter.Tenant, letter.Reason = line(u.tenant), u.reason
	}
	if len(n.value) <= maxBuried {
		letter.Value = n.value
	}
	return letter
}
