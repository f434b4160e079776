package alerter

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// slack posts one message for a group, in the form of Slack's incoming webhooks,
// which Mattermost, Rocket.Chat and others take as well.
type slack struct{ endpoint }

// most keeps a message well below Slack's 40,000 characters.
func (*slack) most() int { return 20 }

func (s *slack) tell(ctx context.Context, group []*notice) error {
	newest := newestOf(group)
	body, err := json.Marshal(map[string]string{"text": message(newest)})
	if err != nil {
		return &unusable{reason: reasonOutOfRange, detail: err.Error()}
	}
	return s.post(ctx, body, map[string]string{"Idempotency-Key": groupKey(newest)})
}

// newestOf leaves the newest revision of each signal, in the order in which the
// signals came.
func newestOf(group []*notice) []*signal {
	place := map[string]int{}
	var newest []*signal
	for _, n := range group {
		if i, seen := place[n.sig.ID]; seen {
			newest[i] = n.sig
			continue
		}
		place[n.sig.ID] = len(newest)
		newest = append(newest, n.sig)
	}
	return newest
}

// groupKey is the idempotency key of a message.
func groupKey(signals []*signal) string {
	if len(signals) == 1 {
		return signals[0].key()
	}
	h := sha256.New()
	for _, s := range signals {
		h.Write([]byte(s.key() + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// message says what the signals themselves ask.
func message(signals []*signal) string {
	var b strings.Builder
	if first := signals[0]; len(signals) > 1 {
		about := first.Tenant
		if first.Team != "" {
			about += ", team " + first.Team
		}
		fmt.Fprintf(&b, "*%d questions: %s* (%s)\n\n", len(signals), escape(first.Title), escape(about))
	}
	for i, s := range signals {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "*%s* · %s · %s · %s\n", escape(s.Title), escape(s.scope()), escape(s.Severity), state(s))
		if s.open() {
			fmt.Fprintf(&b, "> %s\n", escape(strings.Join(strings.Fields(s.Question), " ")))
			for j := range s.Evidence {
				fmt.Fprintf(&b, "• %s\n", escape(s.Evidence[j].String()))
			}
			if cost := s.cost(); cost != "" {
				fmt.Fprintf(&b, "• cost at stake: %s\n", cost)
			}
		}
		fmt.Fprintf(&b, "`%s` revision %d, tenant %s\n", escape(s.ID), s.Rev, escape(s.Tenant))
	}
	return b.String()
}

// state says where a signal is in its life.
func state(s *signal) string {
	const layout = "2006-01-02 15:04 UTC"
	switch s.Status {
	case statusResolved:
		return "resolved " + s.resolved().Format(layout)
	case statusDisputed:
		return "disputed, open since " + s.opened().Format(layout)
	default:
		return "open since " + s.opened().Format(layout)
	}
}

// escape keeps a text from being taken for markup or a mention.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
