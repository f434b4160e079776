package alerter

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Every revision comes once, in order, as it lies in the topic, and signed.
func TestWebhook(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b, hook := newBed(t, c), newPlace(t)
		b.start(b.config(hook.webhook("hook")))
		revisions := []*signal{
			question("a", 0, statusOpened), question("a", 1, statusUpdated), question("b", 0, statusOpened),
			question("a", 2, statusResolved), question("b", 1, statusDisputed),
		}
		b.write(kgo.TryAbort, &kgo.Record{Key: []byte("a"), Value: record(question("a", 9, statusOpened))})
		b.publish(revisions...)
		got := map[string][]request{}
		for _, r := range hook.wants(t, len(revisions)) {
			id, _, _ := strings.Cut(r.key(), "-")
			got[id] = append(got[id], r)
			verify(t, r)
		}
		for _, s := range revisions {
			of := got[s.ID]
			if len(of) == 0 || of[0].body != string(record(s)) || of[0].key() != s.key() {
				t.Fatalf("%s is not what comes next of %v", s.key(), hook.keys())
			}
			got[s.ID] = of[1:]
		}
		b.caughtUp("hook")
		if n := len(hook.taken()); n != len(revisions) {
			t.Errorf("%d requests for %d revisions", n, len(revisions))
		}
	})
}

// verify checks a request as its receiver would.
func verify(t *testing.T, r request) {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(r.header.Get("Webhook-Id") + "." + r.header.Get("Webhook-Timestamp") + "." + r.body))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.header.Get("Webhook-Signature") != want {
		t.Errorf("signature %q, want %q", r.header.Get("Webhook-Signature"), want)
	}
	if r.header.Get("Webhook-Id") != r.key() {
		t.Errorf("id %q, key %q", r.header.Get("Webhook-Id"), r.key())
	}
}

// The signature is the standard's: this is its published example.
func TestSignature(t *testing.T) {
	key, err := parseSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	got := sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A receiver that is down holds no other, and gets everything afterwards, in
// order, though far more waits than memory may hold.
func TestDown(t *testing.T) {
	b, up, down := newBed(t, ktest.Fake(t)), newPlace(t), newPlace(t)
	down.answers(func(request) (int, string) { return http.StatusBadGateway, "not now" })
	cfg := b.config(up.webhook("up"), down.webhook("down"))
	cfg.Memory = 1 << 20
	a := b.start(cfg)
	long := strings.Repeat("Why? ", 8000) // 40 KB
	const revisions = 200                 // 16 MB
	var want []string
	for rev := range uint32(revisions) {
		s := question("a", rev, statusUpdated)
		s.Question = long
		b.publish(s)
		want = append(want, s.key())
	}
	up.wants(t, revisions)
	b.caughtUp("up")
	ktest.Eventually(t, "the receiver that is down to be behind", func() bool {
		return a.sample(`goodhart_alerter_overdue_seconds{receiver="down"}`) != "0" && a.sample(`goodhart_alerter_overdue_seconds{receiver="up"}`) == "0"
	})
	if at, _ := b.committed("down", "a"); at > 0 {
		t.Errorf("offset %d is committed of a receiver that has nothing", at)
	}
	var waiting float64
	ktest.Eventually(t, "memory to be full", func() bool {
		waiting = number(t, a.sample(`goodhart_alerter_waiting_bytes{receiver="down"}`))
		return waiting >= 1<<20
	})
	if waiting > 10<<20 { // beyond the bound a fetch, 4 MiB, counted twice
		t.Errorf("%.0f bytes wait", waiting)
	}
	down.answers(nil)
	down.wants(t, revisions)
	if diff := cmp.Diff(want, down.keys()); diff != "" {
		t.Error(diff)
	}
	b.caughtUp("down")
	if diff := cmp.Diff(want, up.keys()); diff != "" {
		t.Error(diff)
	}
}

// What a receiver refuses for good, and what is no signal, become dead letters
// that say why; everything else arrives.
func TestDeadLetters(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
		b, hook, chat := newBed(t, c), newPlace(t), newPlace(t)
		hook.answers(func(r request) (int, string) {
			if r.key() == "b-0" {
				return http.StatusUnprocessableEntity, "no such project"
			}
			return http.StatusOK, ""
		})
		b.start(b.config(hook.webhook("hook"), chat.slack("chat")))
		b.publish(question("a", 0, statusOpened), question("b", 0, statusOpened))
		b.write(kgo.TryCommit, &kgo.Record{Key: []byte("b"), Value: []byte("{")},
			&kgo.Record{Key: []byte("b"), Value: nil},
			&kgo.Record{Key: []byte("b"), Value: []byte(`{"kind":"card"}`)})
		b.publish(question("b", 1, statusUpdated), question("c", 0, statusOpened))
		hook.wants(t, 3)
		b.caughtUp("hook")
		b.caughtUp("chat")
		type row struct{ Field, Reason, Detail, Tenant string }
		var got []row
		for _, l := range b.letters(5) {
			if l.Stage != goodhartv1.Stage_STAGE_ALERTER || l.Topic != "goodhart.signals.v1" || string(l.Key) != "b" || len(l.Hash) != 32 || l.TimeMs == 0 {
				t.Errorf("letter %v", l)
			}
			got = append(got, row{l.Field, l.Reason, l.Detail, l.Tenant})
		}
		slices.SortFunc(got, func(x, y row) int { return strings.Compare(x.Field+x.Reason, y.Field+y.Reason) })
		want := []row{
			{"receiver chat", "undecodable", "undecodable: unexpected end of JSON input", ""},
			{"receiver chat", "unknown_kind", "unknown_kind: kind", ""},
			{"receiver hook", "refused", "422 Unprocessable Entity: no such project", "acme"},
			{"receiver hook", "undecodable", "undecodable: unexpected end of JSON input", ""},
			{"receiver hook", "unknown_kind", "unknown_kind: kind", ""},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		keys := hook.keys()
		slices.Sort(keys)
		if diff := cmp.Diff([]string{"a-0", "b-1", "c-0"}, keys); diff != "" {
			t.Error(diff)
		}
	})
}

// A wrong address or credential is no fault of the records: they wait until it is
// mended. Neither log nor letter names the address.
func TestWrongCredential(t *testing.T) {
	b, chat := newBed(t, ktest.Fake(t)), newPlace(t)
	tries := make(chan struct{}, 100)
	chat.answers(func(request) (int, string) { tries <- struct{}{}; return http.StatusNotFound, "no_service" })
	a := b.start(b.config(chat.slack("chat")))
	b.publish(question("a", 0, statusOpened))
	for range 3 {
		<-tries
	}
	chat.answers(nil)
	chat.wants(t, 1)
	chat.Close() // nothing listens any more
	b.publish(question("a", 1, statusUpdated))
	ktest.Eventually(t, "an attempt in vain", func() bool {
		return number(t, a.sample(`goodhart_alerter_attempt_seconds_count{receiver="chat",result="error"}`)) > 3
	})
	if log := b.log.String(); strings.Contains(log, "secret") || !strings.Contains(log, "404 Not Found: no_service") || !strings.Contains(log, "refused") {
		t.Errorf("log: %s", log)
	}
}

// An older revision never comes after a newer one.
func TestOldRevision(t *testing.T) {
	b, hook := newBed(t, ktest.Fake(t)), newPlace(t)
	a := b.start(b.config(hook.webhook("hook")))
	b.publish(question("a", 1, statusUpdated), question("a", 0, statusOpened), question("a", 1, statusOpened), question("a", 2, statusResolved))
	hook.wants(t, 2)
	b.caughtUp("hook")
	if diff := cmp.Diff([]string{"a-1", "a-2"}, hook.keys()); diff != "" {
		t.Error(diff)
	}
	if n := a.sample(`goodhart_alerter_passed_total{reason="old",receiver="hook"}`); n != "2" {
		t.Errorf("%s old revisions were counted", n)
	}
}

// A receiver that was told of a signal hears the rest of it, whoever is
// responsible by then.
func TestRoutedAway(t *testing.T) {
	b, pager, rest := newBed(t, ktest.Fake(t)), newPlace(t), newPlace(t)
	cfg := b.config(pager.webhook("pager"), rest.webhook("rest"))
	cfg.Rules = []Rule{
		{Match: Match{Severity: []string{"critical"}}, To: []string{"pager"}},
		{Match: Match{Code: []string{"S9"}}, To: []string{}},
		{To: []string{"rest"}},
	}
	a := b.start(cfg)
	urgent := func(s *signal) { s.Severity = critical }
	muted := func(s *signal) { s.Code = "S9" }
	b.publish(question("a", 0, statusOpened), question("a", 1, statusUpdated).with(urgent), question("a", 2, statusUpdated),
		question("b", 0, statusOpened).with(muted), question("c", 0, statusOpened))
	pager.wants(t, 2)
	a.kill()
	b.start(cfg)
	b.publish(question("a", 3, statusResolved))
	pager.wants(t, 3)
	rest.wants(t, 5)
	b.caughtUp("pager")
	b.caughtUp("rest")
	if diff := cmp.Diff([]string{"a-1", "a-2", "a-3"}, slices.Compact(pager.keys())); diff != "" {
		t.Error(diff)
	}
	keys := rest.keys()
	slices.Sort(keys)
	if diff := cmp.Diff([]string{"a-0", "a-1", "a-2", "a-3", "c-0"}, slices.Compact(keys)); diff != "" {
		t.Error(diff)
	}
	if n := a.sample(`goodhart_alerter_passed_total{reason="nobody",receiver="rest"}`); n != "1" {
		t.Errorf("%q signals for nobody were counted", n)
	}
}

// Signals of a tenant, team and code go together. Of those that go together, the
// one that is refused dies alone.
func TestGroups(t *testing.T) {
	b, chat, am := newBed(t, ktest.Fake(t)), newPlace(t), newPlace(t)
	am.answers(func(r request) (int, string) {
		if strings.Contains(r.body, `"signal_id":"`+samePartition(2)[1]) {
			return http.StatusBadRequest, "no"
		}
		return http.StatusOK, ""
	})
	cfg := b.config(chat.slack("chat"), Receiver{Name: "am", Alertmanager: &Alertmanager{URL: am.URL, ResendEvery: time.Hour, ExpiresAfter: 3 * time.Hour}})
	for i := range cfg.Receivers {
		cfg.Receivers[i].GroupWait = 300 * time.Millisecond
	}
	b.start(cfg)
	ids := samePartition(5)
	b.publish(
		question(ids[0], 0, statusOpened), question(ids[1], 0, statusOpened), question(ids[0], 1, statusUpdated),
		question(ids[2], 0, statusOpened).with(func(s *signal) { s.Tenant = "other" }),
		question(ids[3], 0, statusOpened).with(func(s *signal) { s.Team = "payments" }),
		question(ids[4], 0, statusOpened).with(func(s *signal) { s.Code = "S2" }),
	)
	chat.wants(t, 4)
	b.caughtUp("chat")
	b.caughtUp("am")
	var together []string
	for _, r := range chat.taken() {
		var of []string
		for _, id := range ids {
			if strings.Contains(r.body, "`"+id+"`") {
				of = append(of, id)
			}
		}
		together = append(together, strings.Join(of, " "))
	}
	slices.Sort(together)
	want := []string{ids[0] + " " + ids[1], ids[2], ids[3], ids[4]}
	slices.Sort(want)
	if diff := cmp.Diff(want, together); diff != "" {
		t.Error(diff)
	}
	if l := b.letters(1)[0]; string(l.Key) != ids[1] || l.Detail != "400 Bad Request: no" || l.Field != "receiver am" {
		t.Errorf("letter %v", l)
	}
	for _, id := range []string{ids[0], ids[2], ids[3], ids[4]} {
		if !slices.ContainsFunc(am.taken(), func(r request) bool { return strings.Contains(r.body, `"signal_id":"`+id+`"`) }) {
			t.Errorf("%s did not arrive", id)
		}
	}
}

// The message asks what the signals ask, shows the newest revision of each, and
// takes nothing for markup.
func TestSlackMessage(t *testing.T) {
	b, chat := newBed(t, ktest.Fake(t)), newPlace(t)
	cfg := b.config(chat.slack("chat"))
	cfg.Receivers[0].GroupWait = 100 * time.Millisecond
	b.start(cfg)
	b.publish(question("a", 0, statusOpened))
	chat.wants(t, 1)
	ids := samePartition(2)
	b.publish(question(ids[0], 0, statusOpened), question(ids[1], 0, statusOpened), question(ids[1], 1, statusResolved))
	got := chat.wants(t, 2)
	if r := got[0]; r.key() != "a-0" || r.body != `{"text":"*Context bloat* · team platform · warning · open since 2026-11-20 09:00 UTC\n`+
		`\u003e Could the context be \u0026lt;smaller\u0026gt;?\n`+
		`• context to output: 42.5 tokens per token, asked from 10 tokens per token (n = 120, 7d); looked for: code review: not seen\n`+
		`• cost at stake: 1.25 USD\n`+"`a` revision 0, tenant acme\\n\"}" {
		t.Errorf("%s: %s", r.key(), r.body)
	}
	var message struct{ Text string }
	if err := json.Unmarshal([]byte(got[1].body), &message); err != nil {
		t.Fatal(err)
	}
	want := `*2 questions: Context bloat* (acme, team platform)

*Context bloat* · team platform · warning · open since 2026-11-20 09:00 UTC
> Could the context be &lt;smaller&gt;?
• context to output: 42.5 tokens per token, asked from 10 tokens per token (n = 120, 7d); looked for: code review: not seen
• cost at stake: 1.25 USD
` + "`" + ids[0] + "`" + ` revision 0, tenant acme

*Context bloat* · team platform · warning · resolved 2026-11-20 10:00 UTC
` + "`" + ids[1] + "`" + ` revision 1, tenant acme
`
	if diff := cmp.Diff(want, message.Text); diff != "" {
		t.Error(diff)
	}
}
