package alerter

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	catalogue "github.com/goodhartlabs/goodhart/pkg/signal"
)

// Statuses of a signal.
const (
	statusOpened   = string(catalogue.Opened)
	statusUpdated  = string(catalogue.Updated)
	statusResolved = string(catalogue.Resolved)
	statusDisputed = string(catalogue.Disputed)
)

// critical is the severity that no quiet hours hold.
const critical = string(catalogue.Critical)

// signal is a revision of a signal, as goodhart.signals.v1 has it.
type signal catalogue.Record

// Reasons of the alerter's dead letters; the list is fixed.
const (
	reasonUndecodable = "undecodable"
	reasonUnknownKind = "unknown_kind"
	reasonMissing     = "missing"
	reasonBadTime     = "bad_time"
	reasonOutOfRange  = "out_of_range"
	reasonRefused     = "refused"
)

// unusable says why a record is no signal.
type unusable struct{ reason, field, detail, tenant string }

func (u *unusable) Error() string {
	return strings.TrimRight(u.reason+": "+u.field+" "+u.detail, " :")
}

// decode reads a record's value. Fields that it does not know are none of its
// business; the error is an *unusable.
func decode(value []byte) (*signal, error) {
	s := new(signal)
	if err := json.Unmarshal(value, s); err != nil {
		return nil, &unusable{reason: reasonUndecodable, detail: err.Error()}
	}
	if s.Kind != catalogue.KindSignal {
		return nil, &unusable{reason: reasonUnknownKind, field: "kind", tenant: s.Tenant}
	}
	for _, need := range []struct{ field, value string }{
		{"tenant", s.Tenant}, {"signal_id", s.ID}, {"code", s.Code}, {"question", s.Question},
	} {
		if need.value == "" {
			return nil, &unusable{reason: reasonMissing, field: need.field, tenant: s.Tenant}
		}
	}
	switch s.Status {
	case statusOpened, statusUpdated, statusResolved, statusDisputed:
	default:
		return nil, &unusable{reason: reasonOutOfRange, field: "status", tenant: s.Tenant}
	}
	for _, at := range []struct {
		field string
		ms    int64
	}{{"opened_at", s.OpenedAt}, {"updated_at", s.UpdatedAt}} {
		if at.ms <= 0 || at.ms > latest {
			return nil, &unusable{reason: reasonBadTime, field: at.field, detail: strconv.FormatInt(at.ms, 10), tenant: s.Tenant}
		}
	}
	return s, nil
}

// latest leaves room for what ends after it opened in the years that RFC 3339 can
// write; ms.
var latest = time.Date(9998, 12, 31, 0, 0, 0, 0, time.UTC).UnixMilli()

// open reports whether it still asks for an answer: a disputed one does.
func (s *signal) open() bool { return s.Status != statusResolved }

// key is the idempotency key: the same for every attempt to tell this revision.
// It has no full stop, which separates the parts of what webhooks sign.
func (s *signal) key() string { return s.ID + "-" + strconv.FormatUint(uint64(s.Rev), 10) }

// scope names what it speaks of.
func (s *signal) scope() string { return strings.TrimSpace(s.ScopeKind + " " + s.Scope) }

func (s *signal) opened() time.Time { return time.UnixMilli(s.OpenedAt).UTC() }

// resolved is when it was resolved, never before it opened.
func (s *signal) resolved() time.Time {
	at := s.UpdatedAt
	if s.ResolvedAt != nil && *s.ResolvedAt <= latest {
		at = *s.ResolvedAt
	}
	return time.UnixMilli(max(at, s.OpenedAt)).UTC()
}

// cost is what is at stake, as people read it; empty where unknown.
func (s *signal) cost() string {
	if s.CostAtStakeNanos == nil {
		return ""
	}
	return fmt.Sprintf("%.2f USD", float64(*s.CostAtStakeNanos)/1e9)
}
