package event_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/identity"
	"github.com/goodhartlabs/goodhart/pkg/price"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

var now = time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)

func keys() event.Keyring {
	return event.Keyring{
		"acme": bytes.Repeat([]byte{1}, 32),
		"beta": bytes.Repeat([]byte{2}, 32),
	}
}

func p[T any](v T) *T { return &v }

// usage is a draft of one request.
func usage(change ...func(*event.Draft)) *event.Draft {
	d := &event.Draft{
		Event: &goodhartv1.Event{
			Kind: goodhartv1.EventKind_EVENT_KIND_USAGE, Source: "claude-code", Signal: goodhartv1.Signal_SIGNAL_LOG,
			TimeMs: now.UnixMilli() - 1000, Tool: "claude-code",
			Usage: &goodhartv1.Usage{
				RequestModel: "claude-opus-4-5-20251101", ProviderName: "anthropic", OperationName: "chat",
				Granularity:         goodhartv1.Granularity_GRANULARITY_REQUEST,
				InputUncachedTokens: p[int64](100), OutputTokens: p[int64](10),
			},
		},
		Natural:      []string{"api_request", "request", "req_1"},
		Request:      []string{"request", "req_1"},
		Conversation: "session-1",
		Actor:        event.Actor{Email: "ada@example.com"},
		Path:         "resourceLogs[0].scopeLogs[0].logRecords[0]",
	}
	for _, c := range change {
		c(d)
	}
	return d
}

func stamp(t *testing.T, s *event.Stamper, d *event.Draft, c event.Credential) (string, *goodhartv1.Event) {
	t.Helper()
	key, rej := s.Stamp(d, &c, now)
	if rej != nil {
		t.Fatalf("rejected: %s", rej)
	}
	return string(key), d.Event
}

func acme() event.Credential { return event.Credential{ID: "k1", Tenant: "acme"} }

func TestReloadKeepsIdentityOfEvents(t *testing.T) {
	known, err := identity.New(identity.File{
		People: []identity.Person{{
			ID: "ada", Identities: []identity.RawID{{Kind: identity.KindEmail, Value: "ada@example.com"}},
			Memberships: []identity.Membership{{Team: "engines"}},
		}},
		Repositories: []identity.Repository{{ID: "git.example/api", Label: "api", Class: "product"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	outcome := func(d *event.Draft) {
		d.Event.Usage, d.Event.Outcome = nil, &goodhartv1.Outcome{}
		d.Repository, d.Outcome = "git.example/api", &event.OutcomeIDs{Object: "o"}
	}
	for name, change := range map[string]func(*event.Draft){
		"request":         func(*event.Draft) {},
		"no conversation": func(d *event.Draft) { d.Conversation = "" },
		"raw id only":     func(d *event.Draft) { d.Conversation, d.Request, d.RawID = "", nil, "ada@example.com" },
		"nothing":         func(d *event.Draft) { d.Conversation, d.Request = "", nil },
		"outcome":         outcome,
	} {
		key1, e1 := stamp(t, event.NewStamper(keys(), nil, nil), usage(change), acme())
		key2, e2 := stamp(t, event.NewStamper(keys(), price.Embedded(), known), usage(change), acme())
		if key1 != key2 || !bytes.Equal(e1.EventId, e2.EventId) || !bytes.Equal(e1.RequestKey, e2.RequestKey) {
			t.Errorf("%s: a reload changed the key %s to %s, or an id", name, key1, key2)
		}
		if e1.Subject == e2.Subject {
			t.Errorf("%s: the reload was meant to change the subject", name)
		}
	}
}

func TestKafkaKey(t *testing.T) {
	s := event.NewStamper(keys(), nil, nil)
	key, e := stamp(t, s, usage(), acme())
	if key != "acme|"+e.Conversation || len(e.Conversation) != 32 {
		t.Errorf("key %q, conversation %q", key, e.Conversation)
	}
	key, e = stamp(t, s, usage(func(d *event.Draft) { d.Conversation = "" }), acme())
	if key != "acme|"+hex.EncodeToString(e.RequestKey) || len(e.RequestKey) != event.IDSize {
		t.Errorf("key %q, request %x", key, e.RequestKey)
	}
	key, e = stamp(t, s, usage(func(d *event.Draft) { d.Conversation, d.Request = "", nil }), acme())
	if key != "acme|"+hex.EncodeToString(e.EventId) {
		t.Errorf("key %q, event %x", key, e.EventId)
	}
	raw := func(d *event.Draft) { d.Conversation, d.Request, d.RawID = "", nil, "install-7" }
	key, e = stamp(t, s, usage(raw), acme())
	if len(key) != len("acme|")+32 || strings.Contains(key, hex.EncodeToString(e.EventId)) {
		t.Errorf("key %q of a raw id", key)
	}
	if other, _ := stamp(t, s, usage(raw), event.Credential{ID: "k2", Tenant: "beta"}); other[5:] == key[5:] {
		t.Error("two tenants share a hash")
	}
	outcome := func(d *event.Draft) {
		d.Event.Usage, d.Event.Outcome, d.Repository = nil, &goodhartv1.Outcome{}, "git.example/api"
	}
	key, e = stamp(t, s, usage(outcome), acme())
	if key != "acme|"+e.Repository {
		t.Errorf("outcome key %q, repository %q", key, e.Repository)
	}
}

// The ids are part of what is stored: they must never change. They were computed
// outside of this package from the rule in docs/sources.md.
func TestIDsAreFixed(t *testing.T) {
	_, e := stamp(t, event.NewStamper(keys(), nil, nil), usage(), acme())
	got := []string{hex.EncodeToString(e.EventId), hex.EncodeToString(e.RequestKey), e.Conversation, e.Subject}
	want := []string{
		"40c60c6bfe66b43cfb1cd4ad6afcc731", "634b91b54f0a11947c00ca63b21b5303", "de61511edd16f07dd5e44af0beff38d2", "a_70a99ecb5a840c8bbd14f566a989aba6",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPartsDoNotRunTogether(t *testing.T) {
	s := event.NewStamper(keys(), nil, nil)
	_, a := stamp(t, s, usage(func(d *event.Draft) { d.Natural = []string{"ab", "c"} }), acme())
	_, b := stamp(t, s, usage(func(d *event.Draft) { d.Natural = []string{"a", "bc"} }), acme())
	_, c := stamp(t, s, usage(func(d *event.Draft) { d.Natural = []string{"abc"} }), acme())
	if bytes.Equal(a.EventId, b.EventId) || bytes.Equal(b.EventId, c.EventId) || bytes.Equal(a.EventId, c.EventId) {
		t.Error("different lists of parts have one id")
	}
	_, span := stamp(t, s, usage(func(d *event.Draft) { d.Event.Signal = goodhartv1.Signal_SIGNAL_SPAN }), acme())
	_, log := stamp(t, s, usage(), acme())
	if bytes.Equal(span.EventId, log.EventId) || !bytes.Equal(span.RequestKey, log.RequestKey) {
		t.Error("want two announcements of one request")
	}
}

func TestTimes(t *testing.T) {
	s := event.NewStamper(keys(), nil, nil)
	const (
		skew    = goodhartv1.Quality_QUALITY_CLOCK_SKEW
		missing = goodhartv1.Quality_QUALITY_MISSING_TIME
	)
	at := now.UnixMilli()
	for name, c := range map[string]struct {
		in, want int64
		flag     goodhartv1.Quality
		reason   string
	}{
		"a second ago":     {in: at - 1000, want: at - 1000},
		"5 min ahead":      {in: at + 300_000, want: at + 300_000},
		"over 5 min ahead": {in: at + 300_001, want: at, flag: skew},
		"2099":             {in: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), want: at, flag: skew},
		"greatest":         {in: math.MaxInt64, want: at, flag: skew},
		"missing":          {in: 0, want: at, flag: missing},
		"400 days":         {in: at - 400*86_400_000, want: at - 400*86_400_000},
		"over 400 days":    {in: at - 400*86_400_000 - 1, reason: event.ReasonBadTime},
		"1970":             {in: 1, reason: event.ReasonBadTime},
		"before the epoch": {in: -1, reason: event.ReasonBadTime},
		"least":            {in: math.MinInt64, reason: event.ReasonBadTime},
	} {
		d := usage(func(d *event.Draft) { d.Event.TimeMs = c.in })
		_, rej := s.Stamp(d, p(acme()), now)
		switch {
		case (rej != nil) != (c.reason != "") || rej != nil && rej.Reason != c.reason:
			t.Errorf("%s: rejection %v, want reason %q", name, rej, c.reason)
		case rej == nil && (d.Event.TimeMs != c.want || d.Event.ReceivedMs != at):
			t.Errorf("%s: time %d received %d, want %d", name, d.Event.TimeMs, d.Event.ReceivedMs, c.want)
		case rej == nil && c.flag != 0 && !hasFlag(d.Event, c.flag):
			t.Errorf("%s: flags %v, want %v", name, d.Event.Quality, c.flag)
		}
	}
}

func hasFlag(e *goodhartv1.Event, q goodhartv1.Quality) bool {
	for _, have := range e.Quality {
		if have == q {
			return true
		}
	}
	return false
}

func TestBadNumbersAreRejected(t *testing.T) {
	s := event.NewStamper(keys(), nil, nil)
	activity := func(v float64) func(*event.Draft) {
		return func(d *event.Draft) {
			d.Event.Usage = nil
			d.Event.Activity = &goodhartv1.Activity{Name: "x", Numbers: []*goodhartv1.Number{{Key: "duration_ms", Value: v}}}
		}
	}
	for name, c := range map[string]struct {
		change func(*event.Draft)
		field  string
	}{
		"negative input": {func(d *event.Draft) { d.Event.Usage.InputUncachedTokens = p[int64](-1) }, "input_uncached_tokens"},
		"huge output":    {func(d *event.Draft) { d.Event.Usage.OutputTokens = p(event.MaxCount + 1) }, "output_tokens"},
		"negative cost":  {func(d *event.Draft) { d.Event.Usage.ReportedCostNanos = p[int64](-5) }, "reported_cost_nanos"},
		"huge cost":      {func(d *event.Draft) { d.Event.Usage.CostNanos = p(event.MaxNanos + 1) }, "cost_nanos"},
		"negative kappa": {func(d *event.Draft) { d.Event.Usage.KappaPpm = p[int32](-1) }, "kappa_ppm"},
		"NaN":            {activity(math.NaN()), "duration_ms"},
		"infinite":       {activity(math.Inf(1)), "duration_ms"},
		"negative":       {activity(-1), "duration_ms"},
		"beyond":         {activity(1e16), "duration_ms"},
		"lines": {func(d *event.Draft) {
			d.Event.Usage, d.Event.Outcome = nil, &goodhartv1.Outcome{Additions: p[int64](-3)}
		}, "additions"},
	} {
		d := usage(c.change)
		_, rej := s.Stamp(d, p(acme()), now)
		if rej == nil || rej.Reason != event.ReasonBadNumber || rej.Field != c.field || rej.Path != d.Path ||
			rej.Source != "claude-code" || rej.Hash == [32]byte{} || rej.Shape == "" {
			t.Errorf("%s: %+v, want bad_number of %s", name, rej, c.field)
		}
	}
}

func TestRejections(t *testing.T) {
	s := event.NewStamper(keys(), nil, nil)
	if _, rej := s.Stamp(usage(), &event.Credential{Tenant: "nobody"}, now); rej == nil || rej.Reason != event.ReasonUnknownTenant {
		t.Errorf("tenant without a key: %v", rej)
	}
	if _, rej := s.Stamp(usage(func(d *event.Draft) { d.Natural = nil }), p(acme()), now); rej == nil || rej.Reason != event.ReasonMissing {
		t.Errorf("no natural key: %v", rej)
	}
	big := usage(func(d *event.Draft) {
		d.Event.Usage, d.Event.Outcome, d.Outcome = nil, &goodhartv1.Outcome{}, &event.OutcomeIDs{}
		for i := range 2500 {
			d.Outcome.Reviewers = append(d.Outcome.Reviewers, event.Actor{Login: fmt.Sprint("r", i)})
		}
	})
	if _, rej := s.Stamp(big, p(acme()), now); rej == nil || rej.Reason != event.ReasonTooLarge {
		t.Errorf("2,500 reviewers: %v", rej)
	}
}

func TestLabels(t *testing.T) {
	s := event.NewStamper(keys(), nil, nil)
	for in, want := range map[string]string{
		"main":                   "main",
		"a/b:c.d_e-F0":           "a/b:c.d_e-F0",
		"":                       "",
		strings.Repeat("a", 128): strings.Repeat("a", 128),
		strings.Repeat("a", 129): event.Other,
		"ada@example.com":        event.Other,
		"two words":              event.Other,
		"naïve":                  event.Other,
		"new\nline":              event.Other,
		"\xff":                   event.Other,
	} {
		d := usage(func(d *event.Draft) { d.Event.Usage.QuerySource = in })
		_, e := stamp(t, s, d, acme())
		if got := e.Usage.QuerySource; got != want {
			t.Errorf("label %q became %q, want %q", in, got, want)
		}
		if replaced := hasFlag(e, goodhartv1.Quality_QUALITY_LABEL_REPLACED); replaced != (want == event.Other) {
			t.Errorf("label %q: flag %v", in, replaced)
		}
	}
}

func TestFlagsAreSortedAndUnique(t *testing.T) {
	var e goodhartv1.Event
	for _, q := range []goodhartv1.Quality{7, 2, 5, 2, 7, 1} {
		event.Flag(&e, q)
	}
	if diff := cmp.Diff([]goodhartv1.Quality{1, 2, 5, 7}, e.Quality); diff != "" {
		t.Error(diff)
	}
}

func TestOutcome(t *testing.T) {
	people, err := identity.New(identity.File{
		People:       []identity.Person{{ID: "ada", Identities: []identity.RawID{{Kind: identity.KindLogin, Value: "Ada"}}}},
		Repositories: []identity.Repository{{ID: "git.example/api", Label: "acme/api", Class: "product"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	sha := strings.Repeat("ab", 20)
	draft := func(mergedBy string) *event.Draft {
		return usage(func(d *event.Draft) {
			d.Event.Usage, d.Event.Outcome = nil, &goodhartv1.Outcome{Kind: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED}
			d.Repository = "git.example/api"
			d.Actor = event.Actor{Login: "ada"}
			d.Outcome = &event.OutcomeIDs{
				Object: "pr 1", MergeSHA: strings.ToUpper(sha), MergedBy: event.Actor{Login: mergedBy},
				Reviewers: []event.Actor{{Login: "bob"}, {}}, Reverts: []event.Ref{{SHA: sha}, {Object: "pr 1"}, {}},
			}
		})
	}
	s := event.NewStamper(keys(), nil, people)
	// A person's key that reports outcomes does not make them that person's.
	cred := event.Credential{ID: "k1", Tenant: "acme", Person: "someone-else"}
	_, e := stamp(t, s, draft("ADA"), cred)
	o := e.Outcome
	if !strings.HasPrefix(e.Subject, "p_") || o.MergedBy != e.Subject || !o.GetSelfMerged() {
		t.Errorf("subject %q, merged by %q, self %v", e.Subject, o.MergedBy, o.SelfMerged)
	}
	if len(o.Reviewers) != 1 || !strings.HasPrefix(o.Reviewers[0], "a_") {
		t.Errorf("reviewers %v", o.Reviewers)
	}
	if diff := cmp.Diff([]string{o.MergeSha, o.Object}, o.Reverts); diff != "" || len(o.MergeSha) != 32 {
		t.Errorf("reverts name neither merge nor object: %s", diff)
	}
	if e.Repository != "acme/api" || o.RepositoryClass != "product" {
		t.Errorf("repository %q class %q", e.Repository, o.RepositoryClass)
	}
	if _, e = stamp(t, s, draft("bob"), cred); e.Outcome.SelfMerged == nil || *e.Outcome.SelfMerged {
		t.Errorf("self merged %v, want false", e.Outcome.SelfMerged)
	}
	if _, e = stamp(t, s, draft(""), cred); e.Outcome.SelfMerged != nil {
		t.Error("self merged is known although nobody is named")
	}
}

func TestStampersAreSafeForConcurrentUse(t *testing.T) {
	s := event.NewStamper(keys(), price.Embedded(), nil)
	_, e := stamp(t, s, usage(), acme())
	want := encode(t, e)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				d := usage()
				if _, rej := s.Stamp(d, p(acme()), now); rej != nil || !bytes.Equal(encode(t, d.Event), want) {
					t.Errorf("got %v, rejection %v", d.Event, rej)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestKeyring(t *testing.T) {
	if err := keys().Validate(); err != nil {
		t.Error(err)
	}
	err := event.Keyring{"a b": make([]byte, 32), "short": make([]byte, 31)}.Validate()
	for _, want := range []string{`tenant "a b"`, `tenant "short": key of 31 bytes`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %s", err, want)
		}
	}
	if _, err := keys().Key("nobody"); err == nil {
		t.Error("a tenant without a key has one")
	}
}

func encode(t *testing.T, e *goodhartv1.Event) []byte {
	t.Helper()
	raw, err := e.MarshalVT()
	if err != nil {
		t.Error(err)
	}
	return raw
}
