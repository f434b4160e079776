package ledger

import (
	"crypto/sha256"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// bury sends a record to goodhart.dead.v1 and counts it as accepted and dead, by
// what could be read of its tenant and source.
func (f *Fold) bury(r *machine.Record, v *view, why *fault, out *machine.Outputs) {
	if f.replaying {
		return
	}
	tenant, source := utf8Only(v.tenant), utf8Only(v.source)
	at := v.acceptance(r.Time)
	c := f.tallies.get(tallyKey{tenant, source, hourOf(at)})
	c.Accepted++
	c.Dead++
	f.stats.Dead++
	hash := sha256.Sum256(r.Value)
	letter := &goodhartv1.DeadLetter{
		Stage:      goodhartv1.Stage_STAGE_LEDGER,
		Tenant:     tenant,
		Source:     source,
		Reason:     why.reason,
		Field:      why.field,
		Detail:     why.detail,
		TimeMs:     at,
		Hash:       hash[:],
		SizeBytes:  int64(len(r.Value)),
		Topic:      schemas.TopicEvents,
		Partition:  r.Partition,
		Offset:     r.Offset,
		Key:        r.Key,
		Value:      r.Value,
		Credential: utf8Only(v.credential),
	}
	key := r.Key
	if len(key) > maxLabel {
		key = key[:maxLabel]
		letter.Key = key
	}
	if letter.SizeVT()+len(key)+outputRoom > maxOutput {
		letter.Value = nil
	}
	out.Emit(schemas.TopicDead, machine.ByKey, key, f.w, letter)
}

// maxLabel cuts what a dead letter repeats from a broken record.
const maxLabel = 1 << 10

func utf8Only(b []byte) string {
	return strings.ToValidUTF8(string(b[:min(len(b), maxLabel)]), "?")
}
