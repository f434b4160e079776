package signal

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/goodhartlabs/goodhart/pkg/record"
)

// Kinds of record and their CloudEvents types.
const (
	KindSignal = "signal"
	KindSelf   = "self"
	TypeSignal = "ai.goodhart.signal.v1"
	TypeSelf   = "ai.goodhart.self.v1"
)

// Signal is one revision of a signal: a record of self.v1 if it concerns a person
// or a personal key, else of signals.v1.
type Signal struct {
	Tenant string
	// Standing is its state after this revision; Scope is the subject's pseudonym
	// in the scope self.
	Standing
	// W is the watermark at emission, ms.
	W             int64
	Title         string
	Question      string
	Evidence      []Fact
	Formula       string
	ConfigVersion uint64
}

// Private reports whether it belongs on self.v1.
func (s *Signal) Private() bool { return s.Kind == ScopeSelf }

// AppendJSON appends the record, fields in the order of its topic's schema.
func (s *Signal) AppendJSON(dst []byte) []byte {
	o := record.Open(dst)
	if s.Private() {
		o.String("kind", KindSelf)
		o.String("tenant", s.Tenant)
		o.String("subject", s.Scope)
	} else {
		o.String("kind", KindSignal)
		o.String("tenant", s.Tenant)
		o.String("scope_kind", s.Kind)
		o.String("scope", s.Scope)
		o.String("team", s.Team)
	}
	o.String("signal_id", s.ID)
	o.Int("rev", int64(s.Rev))
	o.Int("w", s.W)
	o.String("code", s.Code)
	o.String("title", s.Title)
	o.String("label", string(s.Label))
	o.String("severity", string(s.Severity))
	o.String("status", string(s.Status))
	o.Int("opened_at", s.OpenedAt)
	o.Int("updated_at", s.UpdatedAt)
	o.Known("resolved_at", s.ResolvedAt, s.Status == Resolved)
	o.String("question", s.Question)
	o.Known("cost_at_stake_nanos", s.CostNanos, s.CostKnown)
	o.Value("evidence", s.appendEvidence)
	o.String("formula", s.Formula)
	o.Uint("config_version", s.ConfigVersion)
	return o.Close()
}

func (s *Signal) appendEvidence(dst []byte) []byte {
	dst = append(dst, '[')
	for i := range s.Evidence {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = s.Evidence[i].appendJSON(dst)
	}
	return append(dst, ']')
}

func (f *Fact) appendJSON(dst []byte) []byte {
	o := record.Open(dst)
	o.String("fact", f.Name)
	o.String("statistic", f.Statistic)
	o.Number("value", f.Value, f.Known)
	o.String("unit", f.Unit)
	o.Number("threshold", f.Threshold, f.HasThreshold)
	o.Int("n", f.N)
	o.String("window", f.Window)
	o.Strings("look_alike_checked", f.LookAlikes)
	return o.Close()
}

// identify is the stable id of a signal: 32 hex digits of a hash of what it is
// about and when it opened, each part with its length.
func identify(tenant, code, kind, scope string, opened int64) string {
	h := sha256.New()
	for _, part := range []string{tenant, code, kind, scope, strconv.FormatInt(opened, 10)} {
		h.Write(strconv.AppendInt(nil, int64(len(part)), 10))
		h.Write([]byte{'|'})
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
