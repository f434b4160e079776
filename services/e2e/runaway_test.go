package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/alerter"
	"github.com/goodhartlabs/goodhart/services/alerter/amtest"
)

// Rates of the test's services, requests a minute.
const (
	usualRate   = 2
	runawayRate = 20 * usualRate
)

// machines are two services that use AI under keys of their own, by the clock of
// a simulation.
type machines struct {
	*testing.T

	url   string
	clock time.Time // the minute that comes next
	count int
}

func secretOf(service string) string { return "the secret of " + service }

// pass lets a minute pass in which each service makes its requests.
func (m *machines) pass(nightly, batch int) {
	m.Helper()
	end := m.clock.Add(time.Minute)
	for k, service := range []string{"nightly", "batch"} {
		var events []string
		n := []int{nightly, batch}[k]
		for i := range n {
			m.count++
			events = append(events, fmt.Sprintf(`{"specversion":"1.0","id":"%[1]d","source":"//%[2]s","type":"ai.usage.v1","time":%[3]q,
				"data":{"gen_ai.request.model":"claude-sonnet-4-5","request_id":"req_%[1]d","gen_ai.conversation.id":"c-%[2]s","tokens":{"input_total":60000,"output_total":500}}}`,
				m.count, service, m.clock.Add(time.Duration(i)*time.Minute/time.Duration(n)).Format(time.RFC3339Nano)))
		}
		body := "[" + strings.Join(events, ",") + "]"
		req, err := http.NewRequestWithContext(m.Context(), http.MethodPost, m.url, strings.NewReader(body))
		if err != nil {
			m.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/cloudevents-batch+json")
		req.Header.Set("Authorization", "Bearer "+secretOf(service))
		req.Header.Set("Goodhart-Clock", fmt.Sprint(end.UnixMilli()))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			m.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			m.Fatalf("status %d: %s", resp.StatusCode, answer)
		}
	}
	m.clock = end
}

// wire lies between the alerter and Alertmanager; it can kill the alerter around
// a delivery.
type wire struct {
	*httptest.Server

	to string

	mu     sync.Mutex
	victim *exec.Cmd
	// ended asks for deliveries that end an alert, else all are meant; forwards
	// whether the delivery arrives before the alerter dies, which gets no answer
	// either way.
	armed, ended, forwards bool
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	w := &wire{to: to}
	w.Server = httptest.NewServer(w)
	t.Cleanup(w.Close)
	return w
}

// kill makes the next delivery of a kind the alerter's last.
func (w *wire) kill(victim *exec.Cmd, ended, forwards bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.victim, w.armed, w.ended, w.forwards = victim, true, ended, forwards
}

// ServeHTTP implements http.Handler.
func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	var alerts []struct{ EndsAt time.Time }
	if err != nil || json.Unmarshal(body, &alerts) != nil {
		http.Error(rw, "no alerts", http.StatusBadRequest)
		return
	}
	strikes := w.armed && !w.ended
	for _, a := range alerts {
		strikes = strikes || w.armed && a.EndsAt.Before(time.Now())
	}
	status := http.StatusOK
	if !strikes || w.forwards {
		resp, err := http.Post(w.to+r.URL.Path, "application/json", bytes.NewReader(body))
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadGateway)
			return
		}
		_ = resp.Body.Close()
		status = resp.StatusCode
	}
	if strikes {
		w.armed = false
		_ = w.victim.Process.Kill()
		panic(http.ErrAbortHandler)
	}
	rw.WriteHeader(status)
}

// A service that runs away at 20 times its usual rate is one signal within five
// minutes, and one alert of a real Alertmanager, which is resolved when the rate is
// usual again. The alerter dies by kill -9 right after its first delivery, while
// nothing is under way, and right before it would have told the end: no alert
// begins twice, and what began while no alerter ran is told as well.
func TestRunawayReachesThePager(t *testing.T) {
	bin, _ := binaries(t)
	am, c := amtest.New(t), ktest.Fake(t)
	if _, err := kschema.Migrate(t.Context(), c.Client(t), kschema.Options{
		Counts: kschema.Counts{Events: 2, Facts: 2, Features: 1, Dead: 1}, Replication: c.Replication,
	}); err != nil {
		t.Fatal(err)
	}
	f := &fleet{dir: t.TempDir(), bin: bin}
	m := &machines{T: t, clock: time.Now().Add(-96 * time.Hour).Truncate(5 * time.Minute).UTC()}
	m.url = "http://" + f.startCollector(t, c.Addrs[0]) + "/v1/events"
	role := func(name, text string) *exec.Cmd {
		t.Helper()
		admin := f.address(t)
		config := f.file(t, name+".yaml", fmt.Sprintf("kafka: {brokers: [%q]}\nadmin: %s\n%s", c.Addrs[0], admin, text))
		f.start(t, "http://"+admin+"/readyz", "goodhart", name, "--config", config)
		return f.running[len(f.running)-1]
	}
	role("processor", "rules: {out_of_orderness: 90s}\n")
	line := newWire(t, am.URL)
	startAlerter := func() *exec.Cmd {
		t.Helper()
		return role("alerter", fmt.Sprintf("receivers: [{name: pager, alertmanager: {url: %q, resend_every: 1s, expires_after: 30m}}]\nrules: [{to: [pager]}]\n", line.URL))
	}
	died := func(a *exec.Cmd) {
		t.Helper()
		if err := a.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
			t.Fatalf("the alerter ended with %v", err)
		}
	}
	firing := func(n int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d alerts", n), func() bool { return len(am.Active()) == n })
	}

	a := startAlerter()
	for range 90 {
		m.pass(usualRate, usualRate)
	}
	line.kill(a, false, true)
	began := m.clock
	for range 2 {
		m.pass(runawayRate, usualRate)
	}
	died(a) // after Alertmanager took the alert, before it could know
	firing(1)

	for range 4 { // nobody is there to tell, when the spend of 5 min crosses as well
		m.pass(runawayRate, runawayRate)
	}
	a = startAlerter()
	firing(2)
	c.Await(t, alerter.Group("pager"), schemas.TopicSignals)
	if err := a.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	died(a)
	a = startAlerter()
	m.pass(runawayRate, runawayRate)
	firing(2)

	line.kill(a, true, false)
	for range 40 {
		m.pass(usualRate, usualRate)
	}
	died(a) // before Alertmanager heard of an end
	startAlerter()
	firing(0)
	c.Await(t, alerter.Group("pager"), schemas.TopicSignals)

	revisions := map[string][]judgement{}
	for _, rec := range c.Records(t, schemas.TopicSignals) {
		var j judgement
		if err := json.Unmarshal(rec.Value, &j); err != nil {
			t.Fatal(err)
		}
		revisions[j.ID] = append(revisions[j.ID], j)
	}
	if len(revisions) != 2 {
		t.Errorf("%d signals: want one of each service", len(revisions))
	}
	soonest := time.Hour
	for id, revs := range revisions {
		first, last := revs[0], revs[len(revs)-1]
		if first.Status != "opened" || first.Label != "runaway" || first.Severity != "critical" || first.ScopeKind != "service" || last.Status != "resolved" || last.Cost == nil {
			t.Errorf("%s: %+v … %+v", id, first, last)
		}
		soonest = min(soonest, time.UnixMilli(first.W).Add(90*time.Second).Sub(began))
		eventually(t, "a page of the end", func() bool { _, resolved := am.Notified(id); return resolved > 0 })
		if firing, resolved := am.Notified(id); firing != 1 || resolved != 1 {
			t.Errorf("Alertmanager said %d times that %s fires and %d times that it is resolved", firing, id, resolved)
		}
	}
	if soonest > 5*time.Minute {
		t.Errorf("the signal opened %v after the first request of the runaway", soonest)
	}
	t.Logf("the signal opened %v after the first request of the runaway", soonest)
}

// judgement is a record of signals.v1.
type judgement struct {
	ID        string `json:"signal_id"`
	Status    string `json:"status"`
	Label     string `json:"label"`
	Severity  string `json:"severity"`
	ScopeKind string `json:"scope_kind"`
	W         int64  `json:"w"`
	Cost      *int64 `json:"cost_at_stake_nanos"`
}

// startCollector starts a collector by the clock of its requests, which knows two
// services by their keys, and returns its address.
func (f *fleet) startCollector(tb testing.TB, broker string) string {
	tb.Helper()
	var keys, services strings.Builder
	for _, name := range []string{"nightly", "batch"} {
		hash := sha256.Sum256([]byte(secretOf(name)))
		fmt.Fprintf(&keys, "  - {id: key-%s, sha256: %s, tenant: acme, accounting: billable, service: true}\n", name, hex.EncodeToString(hash[:]))
		fmt.Fprintf(&services, "  - {id: %s, team: compilers, credential: key-%s}\n", name, name)
	}
	address, admin := f.address(tb), f.address(tb)
	config := f.file(tb, "collector.yaml", fmt.Sprintf("kafka: {brokers: [%q]}\nadmin: %s\nclock: header\ntick_interval: 500ms\nlisten: {http: %q, grpc: \"\"}\nkeys_file: %s\npeople_file: %s\nkeyring: {acme: %s}\n",
		broker, admin, address,
		f.file(tb, "keys.yaml", "keys:\n"+keys.String()), f.file(tb, "people.yaml", "people: [{id: ada, role: developer}]\nservices:\n"+services.String()), strings.Repeat("5a", 32)))
	f.start(tb, "http://"+admin+"/readyz", "goodhart", "collector", "--config", config)
	return address
}
