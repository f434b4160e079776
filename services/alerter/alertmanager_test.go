package alerter

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/services/alerter/amtest"
)

// pager is a receiver that tells an Alertmanager.
func pager(am *amtest.Server) Receiver {
	return Receiver{Name: "pager", Alertmanager: &Alertmanager{URL: am.URL + "/", ResendEvery: time.Second, ExpiresAfter: time.Minute}}
}

// One signal is one alert through every revision and kill -9 of the alerter; it
// fires once and is resolved once.
func TestAlertmanager(t *testing.T) {
	b, am, hook := newBed(t, ktest.Fake(t)), amtest.New(t), newPlace(t)
	cfg := b.config(pager(am), hook.webhook("hook"))
	a := b.start(cfg)

	b.publish(question("a", 0, statusOpened))
	am.Wants("one alert", map[string]string{"a warning": "0"})
	want := amtest.Alert{
		Labels: map[string]string{
			"alertname": "GoodhartSignal", "signal_id": "a", "tenant": "acme", "code": "S1", "label": "tooling", "severity": "warning",
			"scope_kind": "team", "scope": "platform", "team": "platform",
		},
		Annotations: map[string]string{
			"summary": "Context bloat: team platform", "description": "Could the context be <smaller>?", "status": "opened", "revision": "0", "cost_at_stake": "1.25 USD",
			"evidence": "context to output: 42.5 tokens per token, asked from 10 tokens per token (n = 120, 7d); looked for: code review: not seen",
		},
		StartsAt: began,
	}
	got := am.Active()["a warning"]
	if left := time.Until(got.EndsAt); left < 30*time.Second || left > time.Minute {
		t.Errorf("it ends in %v", left)
	}
	got.EndsAt = time.Time{}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b.publish(question("a", 1, statusUpdated), question("b", 0, statusOpened))
	am.Wants("the update", map[string]string{"a warning": "1", "b warning": "0"})
	am.WantsPage("b")

	// While no alerter runs, one is opened and one is resolved.
	a.kill()
	b.publish(question("c", 0, statusOpened), question("b", 1, statusResolved))
	a = b.start(cfg)
	am.Wants("what came meanwhile", map[string]string{"a warning": "1", "c warning": "0"})
	am.WantsPage("c")

	a.kill()
	b.publish(question("a", 2, statusDisputed))
	a = b.start(cfg)
	am.Wants("the dispute", map[string]string{"a warning": "2", "c warning": "0"})
	b.publish(question("a", 3, statusResolved), question("c", 1, statusResolved))
	am.Wants("silence", map[string]string{})
	b.caughtUp("pager")
	b.caughtUp("hook")

	if out, err := exec.Command(amtest.Tool(t, "amtool"), "alert", "query", "--alertmanager.url", am.URL, "-o", "json").Output(); err != nil || strings.TrimSpace(string(out)) != "[]" {
		t.Errorf("amtool: %s %v", out, err)
	}
	for _, id := range []string{"a", "b", "c"} {
		ktest.Eventually(t, id+" to be resolved", func() bool { _, resolved := am.Notified(id); return resolved > 0 })
		if firing, resolved := am.Notified(id); firing != 1 || resolved != 1 {
			t.Errorf("the server said %d times that %s fires and %d times that it is resolved", firing, id, resolved)
		}
	}
	keys := hook.keys()
	slices.Sort(keys)
	if diff := cmp.Diff([]string{"a-0", "a-1", "a-2", "a-3", "b-0", "b-1", "c-0", "c-1"}, slices.Compact(keys)); diff != "" {
		t.Error(diff)
	}
	if n := a.sample(`goodhart_alerter_open_signals{receiver="pager"}`); n != "0" {
		t.Errorf("%s signals are open", n)
	}
}

// Labels are what Alertmanager tells alerts apart by: when the severity changes,
// the alert with the old one ends.
func TestSeverityChanges(t *testing.T) {
	b, am := newBed(t, ktest.Fake(t)), amtest.New(t)
	cfg := b.config(pager(am))
	a := b.start(cfg)
	urgent := func(s *signal) { s.Severity = critical }
	b.publish(question("a", 0, statusOpened))
	am.Wants("a warning", map[string]string{"a warning": "0"})
	b.caughtUp("pager")
	a.kill()
	b.start(cfg)
	b.publish(question("a", 1, statusUpdated).with(urgent))
	am.Wants("a page", map[string]string{"a critical": "1"})
	b.publish(question("a", 2, statusResolved).with(urgent))
	am.Wants("silence", map[string]string{})
}

// A server that is down for a while gets everything afterwards, and what it had
// before as well: it keeps alerts in memory alone.
func TestAlertmanagerDown(t *testing.T) {
	b, am := newBed(t, ktest.Fake(t)), amtest.New(t)
	cfg := b.config(pager(am))
	cfg.Receivers[0].GroupWait = 100 * time.Millisecond
	b.start(cfg)
	b.publish(question("old", 0, statusOpened))
	am.Wants("an alert", map[string]string{"old warning": "0"})
	am.Stop()
	b.publish(question("new", 0, statusOpened), question("short", 0, statusOpened))
	b.publish(question("new", 1, statusUpdated), question("short", 1, statusResolved))
	am.Start()
	am.Wants("what is open", map[string]string{"old warning": "0", "new warning": "1"})
	b.caughtUp("pager")
}
