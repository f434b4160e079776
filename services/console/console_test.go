package console

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/identity"
	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/keyring"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/probe/probetest"
	"github.com/goodhartlabs/goodhart/services/purpose/purposetest"
)

const (
	ann = "p_00000000000000000000000000000001"
	bob = "p_00000000000000000000000000000002"
	one = "00000000000000000000000000000001"
	two = "00000000000000000000000000000002"
	old = "00000000000000000000000000000003"
)

// bed is a broker and a console beside it.
type bed struct {
	*testing.T
	*ktest.Cluster
	cfg    Config
	client *kgo.Client
	counts kschema.Counts
	now    clock
	url    string
	tel    *probe.Telemetry
	log    *probetest.Log
}

// clock is one that the test moves while the console reads it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = t
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func newBed(t *testing.T, c *ktest.Cluster) *bed {
	t.Helper()
	b := &bed{
		T: t, Cluster: c, counts: kschema.Counts{Events: 2, Facts: 1, Features: 2, Dead: 1},
		client: c.Client(t, kgo.RecordPartitioner(kgo.ManualPartitioner())), cfg: Default(), log: probetest.NewLog(t),
	}
	b.now.set(time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC))
	b.cfg.Kafka, b.cfg.Listen, b.cfg.Admin = kafka.Config{Brokers: c.Addrs}, "127.0.0.1:0", ""
	b.cfg.KeyringFile = purposetest.File(t, "ring.yaml", []byte("acme: "+purposetest.TenantKey+"\nglobex: "+strings.Repeat("5a", 32)+"\n"))
	b.cfg.clock = b.now.now
	if _, err := kschema.Migrate(t.Context(), b.client, kschema.Options{Counts: b.counts, Replication: b.Replication}); err != nil {
		t.Fatal(err)
	}
	return b
}

// start runs the console until the test ends.
func (b *bed) start() {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b.tel = probe.New(slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	addr := make(chan net.Addr, 1)
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, b.cfg, b.tel, func(a net.Addr) { addr <- a }) }()
	b.url = "http://" + (<-addr).String()
	b.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			b.Errorf("console: %v", err)
		}
	})
	ktest.Eventually(b.T, "the console is ready", func() bool { return len(b.tel.Pending()) == 0 })
}

// tell puts a revision of a signal on self.v1, as of a time.
func (b *bed) tell(tenant, subject, id string, rev uint32, status signal.Status, at time.Time) {
	b.Helper()
	s := signal.Signal{Tenant: tenant, Standing: signal.Standing{ID: id, Code: "S5", Kind: signal.ScopeSelf, Scope: subject, Rev: rev, Status: status}}
	b.put(tenant, subject, s.AppendJSON(nil), nil, at)
}

func (b *bed) put(tenant, subject string, value []byte, headers []kgo.RecordHeader, at time.Time) {
	b.Helper()
	key := []byte(tenant + "|" + subject)
	rec := &kgo.Record{Topic: schemas.TopicSelf, Partition: schemas.Partition(key, b.counts.Features), Key: key, Value: value, Headers: headers, Timestamp: at}
	if err := b.client.ProduceSync(b.Context(), rec).FirstErr(); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) token(tenant, subject string) string {
	b.Helper()
	return b.tokenOf(Token{Tenant: tenant, Subject: subject, Issued: b.now.now(), Expires: b.now.now().Add(24 * time.Hour)})
}

func (b *bed) tokenOf(t Token) string {
	b.Helper()
	ring, err := keyring.Read(b.cfg.KeyringFile)
	if err != nil {
		b.Fatal(err)
	}
	text, err := t.Text(ring)
	if err != nil {
		b.Fatal(err)
	}
	return text
}

// answer is what the console says.
type answer struct {
	status int
	header http.Header
	body   string
}

func (b *bed) ask(method, path, token, body string) answer {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(raw)}
}

// refused fails unless an answer is a problem with a status and a detail.
func (b *bed) refused(a answer, status int, detail string) {
	b.Helper()
	var p problem
	err := json.Unmarshal([]byte(a.body), &p)
	if err != nil || a.status != status || p.Status != status || p.Title != http.StatusText(status) || !strings.Contains(p.Detail, detail) ||
		a.header.Get("Content-Type") != "application/problem+json" {
		b.Errorf("%d %s, want %d %s", a.status, a.body, status, detail)
	}
}

// sees lists what somebody is shown, as id/rev.
func (b *bed) sees(tenant, subject string) []string {
	b.Helper()
	a := b.ask(http.MethodGet, "/v1/me", b.token(tenant, subject), "")
	var m struct {
		Tenant, Subject string
		Days            int `json:"visible_days"`
		Signals         []struct {
			Subject string
			ID      string `json:"signal_id"`
			Rev     int
			Status  string
		}
		Figures []map[string]any
	}
	if err := json.Unmarshal([]byte(a.body), &m); err != nil || a.status != http.StatusOK || m.Tenant != tenant || m.Subject != subject || m.Days != 7 {
		b.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	got := []string{}
	for _, s := range m.Signals {
		if s.Subject != subject {
			b.Errorf("%s sees %s", subject, s.Subject)
		}
		got = append(got, fmt.Sprintf("%s/%d %s", s.ID[31:], s.Rev, s.Status))
	}
	for _, f := range m.Figures {
		got = append(got, fmt.Sprint(f["kind"], f["value"]))
	}
	return got
}

// A person sees the newest revision of their own signals of the last seven days, and
// nobody else's.
func TestOnesOwn(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) { testOnesOwn(newBed(t, c)) })
}

func testOnesOwn(b *bed) {
	b.tell("acme", ann, one, 0, signal.Opened, b.now.now().Add(-8*24*time.Hour))
	b.tell("acme", ann, one, 1, signal.Updated, b.now.now().Add(-time.Hour))
	b.tell("acme", ann, old, 0, signal.Opened, b.now.now().Add(-7*24*time.Hour))
	b.tell("acme", bob, two, 0, signal.Opened, b.now.now().Add(-time.Hour))
	b.tell("globex", ann, two, 3, signal.Opened, b.now.now().Add(-time.Hour))
	figure := func(rev int, value string) {
		b.put("acme", bob, []byte(`{"kind":"efficiency","tenant":"acme","subject":"`+bob+`","rev":`+fmt.Sprint(rev)+`,"value":`+value+`}`),
			[]kgo.RecordHeader{{Key: "ce_id", Value: fmt.Appendf(nil, "acme|efficiency|7d|1|%d", rev)}}, b.now.now())
	}
	figure(0, "7")
	figure(1, "8")
	b.put("acme", bob, []byte(`{"kind":"self","tenant":"acme","subject":"`+ann+`","signal_id":"x"}`), nil, b.now.now()) // of another's key
	b.put("acme", bob, []byte(`nonsense`), nil, b.now.now())
	b.start()
	check := func(tenant, subject string, want ...string) {
		b.Helper()
		if diff := cmp.Diff(append([]string{}, want...), b.sees(tenant, subject)); diff != "" {
			b.Errorf("%s of %s (-want +got)\n%s", subject, tenant, diff)
		}
	}
	check("acme", ann, "1/1 updated")
	check("acme", bob, "2/0 opened", "efficiency8")
	check("globex", ann, "2/3 opened")
	check("globex", bob)

	b.tell("acme", ann, two, 0, signal.Opened, b.now.now()) // while it runs
	ktest.Eventually(b.T, "it is seen", func() bool { return len(b.sees("acme", ann)) == 2 })
	b.now.set(b.now.now().Add(7*24*time.Hour - time.Minute))
	check("acme", ann, "2/0 opened")
	b.now.set(b.now.now().Add(time.Minute))
	check("acme", ann)
}

// Whoever does not come with a good token learns nothing, and all hear the same.
func TestBadTokens(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	b.tell("acme", ann, one, 0, signal.Opened, b.now.now())
	b.cfg.TokensSince = "2026-11-01"
	b.start()
	good := b.token("acme", ann)
	foreign, err := Token{Tenant: "acme", Subject: ann, Issued: b.now.now(), Expires: b.now.now().Add(time.Hour)}.Text(event.Keyring{"acme": bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	// forge changes what a token says and keeps its signature.
	forge := func(from, to string) string {
		body, mac, _ := strings.Cut(strings.TrimPrefix(good, prefix), ".")
		content, err := base64.RawURLEncoding.DecodeString(body)
		if err != nil || !strings.Contains(string(content), from) {
			t.Fatalf("%s: %v", content, err)
		}
		return prefix + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(content), from, to, 1))) + "." + mac
	}
	unsigned, _, _ := strings.Cut(good, ".")
	for name, token := range map[string]string{
		"none": "", "garbage": "x", "unsigned": unsigned + ".", "cut": good[:len(good)-4], "longer": good + "AAAA", "without prefix": strings.TrimPrefix(good, prefix),
		"another subject": forge(ann, bob), "another tenant": forge("acme", "globex"), "a tenant that is not": forge("acme", "nobody"),
		"a later end":     forge(fmt.Sprint(b.now.now().Add(24*time.Hour).Unix()), fmt.Sprint(b.now.now().Add(25*time.Hour).Unix())),
		"another keyring": foreign,
		"ended":           b.tokenOf(Token{Tenant: "acme", Subject: ann, Issued: b.now.now().Add(-time.Hour), Expires: b.now.now()}),
		"made before the day": b.tokenOf(Token{
			Tenant: "acme", Subject: ann, Issued: time.Date(2026, 10, 31, 23, 59, 59, 0, time.UTC), Expires: b.now.now().Add(time.Hour),
		}),
	} {
		for _, path := range []string{"/v1/me", "/v1/disputes"} {
			method := map[string]string{"/v1/me": http.MethodGet, "/v1/disputes": http.MethodPost}[path]
			a := b.ask(method, path, token, "")
			b.refused(a, http.StatusUnauthorized, errToken.Error())
			if a.header.Get("WWW-Authenticate") != "Bearer" || strings.Contains(a.body, one) {
				t.Errorf("%s: %+v", name, a)
			}
		}
	}
	if a := b.ask(http.MethodGet, "/v1/me", good, ""); a.status != http.StatusOK || !strings.Contains(a.body, one) {
		t.Errorf("a good token: %+v", a)
	}
	if log := b.log.String(); strings.Contains(log, good) || strings.Contains(log, prefix) || strings.Contains(log, ann) {
		t.Errorf("the log holds a token or a person:\n%s", log)
	}
}

// What is asked for in the wrong way is refused, and no other origin is let in.
func TestRefusals(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	b.tell("acme", ann, one, 0, signal.Opened, b.now.now())
	b.tell("acme", bob, two, 0, signal.Opened, b.now.now())
	b.cfg.Limits = Limits{Requests: 60, Disputes: 2}
	b.start()
	token := b.token("acme", ann)
	post := func(body string) answer { return b.ask(http.MethodPost, "/v1/disputes", token, body) }
	b.refused(b.ask(http.MethodGet, "/v1/people", token, ""), http.StatusNotFound, "/v1/me")
	b.refused(b.ask(http.MethodPost, "/v1/me", token, "{}"), http.StatusMethodNotAllowed, "GET")
	b.refused(b.ask(http.MethodGet, "/v1/disputes", token, ""), http.StatusMethodNotAllowed, "POST")
	b.refused(post(""), http.StatusUnsupportedMediaType, "application/json")
	b.refused(post("["), http.StatusBadRequest, "nothing else")
	b.refused(post(`{"signal":"`+one+`","reason":"work"} {}`), http.StatusBadRequest, "nothing else")
	b.refused(post(`{"signal":"`+one+`","reason":"work","text":"I did not"}`), http.StatusBadRequest, "nothing else")
	b.refused(post(`{"signal":"`+one+`","reason":"work`+strings.Repeat(" ", maxBody)+`"}`), http.StatusBadRequest, "nothing else")
	b.refused(post(`{"signal":"`+one+`","reason":"I did not"}`), http.StatusBadRequest, "one of automation, work")
	b.refused(post(`{"signal":"`+two+`","reason":"work"}`), http.StatusNotFound, "no signal of this id") // bob's
	b.refused(post(`{"signal":"`+old+`","reason":"work"}`), http.StatusNotFound, "no signal of this id")
	if configs, err := kschema.Configs(t.Context(), b.client); err != nil || len(configs) != 0 {
		t.Errorf("published: %v, %v", configs, err)
	}

	preflight := b.ask(http.MethodOptions, "/v1/me", "", "")
	b.refused(preflight, http.StatusMethodNotAllowed, "GET")
	for _, a := range []answer{preflight, b.ask(http.MethodGet, "/v1/me", token, "")} {
		for name := range a.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("another origin is let in: %s", name)
			}
		}
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%v", a.header)
		}
	}

	for range 2 {
		if a := post(`{"signal":"` + one + `","reason":"work"}`); a.status != http.StatusAccepted {
			t.Errorf("%+v", a)
		}
	}
	limited := post(`{"signal":"` + one + `","reason":"work"}`)
	b.refused(limited, http.StatusTooManyRequests, "too many disputes")
	if limited.header.Get("Retry-After") != "1800" {
		t.Errorf("Retry-After %s", limited.header.Get("Retry-After"))
	}
	b.refusedAt(token, 60)
	if a := b.ask(http.MethodGet, "/v1/me", b.token("acme", bob), ""); a.status != http.StatusOK {
		t.Errorf("somebody else waits too: %+v", a)
	}
	b.now.set(b.now.now().Add(time.Second))
	if a := b.ask(http.MethodGet, "/v1/me", token, ""); a.status != http.StatusOK {
		t.Errorf("a second later: %+v", a)
	}
}

// refusedAt fails unless requests are refused for their number, at most so many on.
func (b *bed) refusedAt(token string, most int) {
	b.Helper()
	for range most {
		if a := b.ask(http.MethodGet, "/v1/me", token, ""); a.status != http.StatusOK {
			b.refused(a, http.StatusTooManyRequests, "too many requests")
			return
		}
	}
	b.Errorf("%d requests on nothing is refused", most)
}

// The commands make a token that the console takes: of a pseudonym, or of an id of
// the people file, whose pseudonym is that of the events.
func TestTokenCommand(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	ring, err := keyring.Read(b.cfg.KeyringFile)
	if err != nil {
		t.Fatal(err)
	}
	ada, err := ring.Pseudonym("acme", identity.Subject{Prefix: "p_", Scope: "person", Raw: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	b.now.set(time.Now())
	b.start()
	none := func(string) (string, bool) { return "", false }
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		c, err := ParseArgs(append(args, "--keyring", b.cfg.KeyringFile), &out, none)
		if err == nil {
			err = c.Run(t.Context())
		}
		return strings.TrimSpace(out.String()), err
	}
	for _, test := range []struct{ flag, value, want string }{{"--subject", ann, ann}, {"--person", "ada", ada}} {
		token, err := run("token", "--tenant", "acme", test.flag, test.value, "--days", "1")
		if err != nil {
			t.Fatal(err)
		}
		if a := b.ask(http.MethodGet, "/v1/me", token, ""); a.status != http.StatusOK || !strings.Contains(a.body, test.want) {
			t.Errorf("%s: %+v", test.flag, a)
		}
	}
	f := func(want string, args ...string) {
		t.Helper()
		if out, err := run(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q\n%s", args, err, want, out)
		}
	}
	f("one of --subject, --person", "token", "--tenant", "acme")
	f("one of --subject, --person", "token", "--tenant", "acme", "--subject", ann, "--person", "ada")
	f("pseudonym", "token", "--tenant", "acme", "--subject", "s_00000000000000000000000000000001")
	f("no key", "token", "--tenant", "nobody", "--subject", ann)
	f("at most", "token", "--tenant", "acme", "--subject", ann, "--days", "91")
	f("not one of token, purpose", "tokens")
	f("want request, approve", "purpose")
	f("id of one purpose", "purpose", "approve")
	f("purpose: off", "purpose", "list")
	f("purpose: off", "purpose", "show", "0123456789abcdef", "--key", "x")
}

// Every reason that a person may give is one that the configuration knows.
func TestReasons(t *testing.T) {
	for _, reason := range policy.DisputeReasons() {
		document, err := with("acme", nil, objection{one, reason}, time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC))
		if err != nil || !strings.Contains(string(document), `{"signal":"`+one+`","state":"open","until":"2026-12-28","reason":"`+string(reason)+`"}`) {
			t.Errorf("%s: %v\n%s", reason, err, document)
		}
	}
}
