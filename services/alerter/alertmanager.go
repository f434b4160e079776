package alerter

import (
	"context"
	"encoding/json"
	"maps"
	"strconv"
	"strings"
	"time"
)

// alertmanager posts to the v2 API of an Alertmanager, which tells alerts apart
// by their labels. Those of a signal stay the same from revision to revision, so
// that a repeated post is the same alert.
type alertmanager struct {
	endpoint

	expires time.Duration
}

// alert is one of the API's postable alerts.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

func (*alertmanager) most() int { return 100 }

func (a *alertmanager) tell(ctx context.Context, group []*notice) error {
	now := time.Now()
	former := map[string]*signal{}
	for _, n := range group {
		former[n.sig.ID] = n.former
	}
	var alerts []alert
	for _, s := range newestOf(group) {
		alerts = append(alerts, a.alertOf(s, now))
		// Another severity is another alert to Alertmanager: the one before ends.
		if before := former[s.ID]; before != nil && !maps.Equal(labels(before), labels(s)) {
			ended := a.alertOf(before, now)
			ended.EndsAt = later(now, before.opened())
			alerts = append(alerts, ended)
		}
	}
	return a.send(ctx, alerts)
}

// refresh repeats what is open, so that it does not expire.
func (a *alertmanager) refresh(ctx context.Context, open []*signal) error {
	now := time.Now()
	for len(open) > 0 {
		n := min(len(open), a.most())
		alerts := make([]alert, n)
		for i, s := range open[:n] {
			alerts[i] = a.alertOf(s, now)
		}
		if err := a.send(ctx, alerts); err != nil {
			return err
		}
		open = open[n:]
	}
	return nil
}

func (a *alertmanager) send(ctx context.Context, alerts []alert) error {
	body, err := json.Marshal(alerts)
	if err != nil {
		return &unusable{reason: reasonOutOfRange, detail: err.Error()}
	}
	return a.post(ctx, body, nil)
}

func (a *alertmanager) alertOf(s *signal, now time.Time) alert {
	al := alert{Labels: labels(s), Annotations: annotations(s), StartsAt: s.opened()}
	if s.open() {
		al.EndsAt = later(now, s.opened()).Add(a.expires)
		return al
	}
	// An end that lies ahead would be an alert that still fires.
	al.EndsAt = s.resolved()
	if al.EndsAt.After(now) {
		al.EndsAt = later(now, s.opened())
	}
	return al
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// labels tell one signal from all others. Empty ones are none to Alertmanager.
func labels(s *signal) map[string]string {
	all := map[string]string{
		"alertname":  "GoodhartSignal",
		"signal_id":  s.ID,
		"tenant":     s.Tenant,
		"code":       s.Code,
		"label":      s.Label,
		"severity":   s.Severity,
		"scope_kind": s.ScopeKind,
		"scope":      s.Scope,
		"team":       s.Team,
	}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}

// annotations are for people, and may change with every revision.
func annotations(s *signal) map[string]string {
	facts := make([]string, len(s.Evidence))
	for i := range s.Evidence {
		facts[i] = s.Evidence[i].String()
	}
	all := map[string]string{
		"summary":       s.Title + ": " + s.scope(),
		"description":   s.Question,
		"evidence":      strings.Join(facts, "\n"),
		"status":        s.Status,
		"revision":      strconv.FormatUint(uint64(s.Rev), 10),
		"cost_at_stake": s.cost(),
	}
	maps.DeleteFunc(all, func(_, value string) bool { return value == "" })
	return all
}
