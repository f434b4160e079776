package signal

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// Settle lets the disputes that a policy declares take effect, at a time, ms, and
// returns what changes: an open one freezes its signal, an accepted one ends it and
// mutes the question; without one, or once it was rejected, the signal goes on.
func (s *State) Settle(tenant string, at int64, p *policy.Policy, version uint64) []Signal {
	var changed []Signal
	state := func(st *Standing, status Status, said template) {
		st.revise(status, at)
		d, _ := Lookup(st.Code)
		changed = append(changed, Signal{
			Tenant: tenant, Standing: *st, W: at, Title: d.Title,
			Question: said.fill("{title}", d.Title, "{quiet}", strconv.Itoa(int(st.Quiet))),
			Evidence: st.ending(at), Formula: d.Formula, ConfigVersion: version,
		})
	}
	for i := range s.Signals {
		st := &s.Signals[i]
		dispute, _ := p.Dispute(st.ID)
		switch {
		case dispute.State == policy.DisputeOpen:
			if st.open() && st.Status != Disputed {
				state(st, Disputed, contested)
			}
		case dispute.State == policy.DisputeAccepted && !st.Reviewed:
			st.Reviewed = true
			s.mute(st, int64(dispute.Until))
			if st.open() {
				state(st, Resolved, over)
			}
		case st.Status != Disputed:
		case st.fallen():
			state(st, Resolved, over)
		default:
			state(st, Updated, upheld)
		}
	}
	return changed
}

// fallen reports whether a guard fell back while its signal was disputed.
func (s *Standing) fallen() bool {
	d, _ := Lookup(s.Code)
	return d.Kind == Immediate && s.Crossed == 0
}

// ending is the evidence of a signal that has ended.
func (s *Standing) ending(at int64) []Fact {
	if s.Status != Resolved {
		return nil
	}
	f := quietFact(s)
	f.Window = window.WeekName(window.WeekStart(at))
	return []Fact{f}
}

// What a signal says when a dispute begins, and when one is over without having
// been accepted.
const (
	contested template = "{title}: this is disputed and stands still until the dispute is closed. Who can tell what it was?"
	upheld    template = "{title}: the dispute is over and was not accepted, so the question stands. What would explain it?"
)

// mute silences the question of a signal.
func (s *State) mute(st *Standing, until int64) {
	s.Mutes = append(s.Mutes, Mute{Code: st.Code, Kind: st.Kind, Scope: st.Scope, Until: until})
	slices.SortStableFunc(s.Mutes, func(a, b Mute) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Scope, b.Scope), cmp.Compare(a.Until, b.Until))
	})
}
