package organisation

import (
	"crypto/sha256"
	"encoding/hex"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/identity"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// small is an organisation that is quick to play.
func small(c *Config) {
	c.People, c.Weeks, c.AnnouncedWeek, c.RequestsPerWeek = 200, 26, 18, 10
	c.Gamers.Prevalence, c.Gamers.Adaptive, c.Runaways = .15, .3, 2
	c.LookAlikes.AgentOperator = .01 // they have 200 requests a week, whatever is usual
}

// digest hashes all events of an organisation and their Kafka keys.
func digest(t *testing.T, o *Organisation) string {
	t.Helper()
	h := sha256.New()
	var buf []byte
	for r := range o.Records() {
		buf = buf[:0]
		size := r.Event.SizeVT()
		if cap(buf) < size {
			buf = make([]byte, size)
		}
		n, err := r.Event.MarshalToSizedBufferVT(buf[:size])
		if err != nil {
			t.Fatal(err)
		}
		h.Write(r.Key)
		h.Write(buf[:n])
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// frozen is the digest of the small organisation of seed 1 and version 1 of the
// configuration. A change of the generator that changes it takes a new version, for
// the detectors were tuned on the old one.
const frozen = "ec810ff38d062821"

func TestSameSeedSameBytes(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole company, one event after the other")
	}
	first := digest(t, newOrganisation(t, 1, small))
	if again := digest(t, newOrganisation(t, 1, small)); again != first {
		t.Errorf("seed 1 twice: %s and %s", first, again)
	}
	if other := digest(t, newOrganisation(t, 2, small)); other == first {
		t.Errorf("seeds 1 and 2: both %s", first)
	}
	a, b := newOrganisation(t, 1, small), newOrganisation(t, 2, small)
	for i := range a.Plans {
		if x := a.Plans[i].Useful; x > 0 && x == b.Plans[i].Useful {
			t.Fatalf("plan %d: %v tokens with both seeds", i, x)
		}
	}
	if runtime.GOARCH == "amd64" && first != frozen { // others may fuse products into sums
		t.Errorf("seed 1: %s: want %s, or another version of the configuration", first, frozen)
	}
}

// total is what events add up to.
type total struct {
	Requests, Failed, Outcomes int
	Tokens, Cost               int64
}

func TestTruthIsWhatTheEventsSay(t *testing.T) {
	o := newOrganisation(t, 4, small)
	type cell struct {
		subject string
		week    int
	}
	got := map[cell]total{}
	index := map[string]int{}
	for _, p := range o.People {
		index[p.Subject] = p.Index
	}
	ids, requests := map[string]bool{}, map[string]bool{}
	var last int64
	merged, pending := 0, 0
	for r := range o.Records() {
		e := r.Event
		if e.TimeMs < last {
			t.Fatalf("an event at %d after one at %d", e.TimeMs, last)
		}
		last = e.TimeMs
		pending = max(pending, len(o.pending))
		if ids[string(e.EventId)] {
			t.Fatalf("event id %x twice", e.EventId)
		}
		ids[string(e.EventId)] = true
		if o := e.Outcome; o != nil {
			if o.Kind == goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED || o.Kind == goodhartv1.OutcomeKind_OUTCOME_KIND_TICKET_DONE ||
				o.Kind == goodhartv1.OutcomeKind_OUTCOME_KIND_DEPLOYMENT_SUCCEEDED {
				merged++
			}
			continue
		}
		if requests[string(e.RequestKey)] {
			t.Fatalf("request key %x twice", e.RequestKey)
		}
		requests[string(e.RequestKey)] = true
		local := e.TimeMs + int64(e.GetTzOffsetMin())*minute
		at := cell{e.Subject, int((local - o.start) / weekMs)}
		sum, u := got[at], e.Usage
		sum.Requests++
		if u.Status == goodhartv1.Status_STATUS_ERROR {
			sum.Failed++
		}
		sum.Tokens += u.GetInputUncachedTokens() + u.GetCacheReadTokens() + u.GetCacheWriteTokens() + u.GetOutputTokens()
		sum.Cost += u.GetCostNanos()
		got[at] = sum
		p, human := index[e.Subject]
		if human && (e.Role != o.People[p].Role || e.IdentityType != goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN) {
			t.Fatalf("an event of person %d as %s, %v", p, e.Role, e.IdentityType)
		}
		if !human && e.IdentityType != goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE {
			t.Fatalf("subject %s is nobody's", e.Subject)
		}
		if u.Status == goodhartv1.Status_STATUS_OK && u.CostNanos == nil {
			t.Fatalf("model %s has no price", u.Model)
		}
	}
	want := map[cell]total{}
	delivered := 0
	for _, r := range o.Truth() {
		delivered += r.Delivered
		if r.Requests > 0 {
			want[cell{o.People[r.Person].Subject, r.Week}] = total{Requests: r.Requests, Failed: r.Failed, Tokens: r.Tokens, Cost: r.Cost}
		}
		if r.Wasted < 0 || r.Wasted+r.RunawayTokens > r.Tokens || r.WastedCost+r.RunawayCost > r.Cost {
			t.Errorf("person %d week %d wastes more than there is: %+v", r.Person, r.Week, r)
		}
		// Rounding and registered reports apart, events are what was planned.
		if made := float64(r.Tokens - r.RunawayTokens); !r.Looks.Has(ReportCron) && (made < .99*r.Plan.Tokens()-1000 || made > 1.01*r.Plan.Tokens()+1000) {
			t.Errorf("person %d week %d: %v tokens: want %v as planned", r.Person, r.Week, made, r.Plan.Tokens())
		}
		if made, plan := float64(r.Wasted), r.Plan.Wasted; made < .98*plan-1000 || made > 1.02*plan+1000 {
			t.Errorf("person %d week %d: %v tokens wasted: want %v as planned", r.Person, r.Week, made, plan)
		}
	}
	for _, s := range o.services {
		for _, r := range s.rows {
			if r.Requests > 0 {
				at := got[cell{s.subject, r.Week}]
				at.Failed = 0
				got[cell{s.subject, r.Week}] = at
				want[cell{s.subject, r.Week}] = total{Requests: r.Requests, Tokens: r.Tokens, Cost: r.Cost}
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("truth and events, -truth +events:\n%s", diff)
	}
	if merged != delivered {
		t.Errorf("%d outcomes: want %d", merged, delivered)
	}
	if bound := len(ids) / 8; pending > bound {
		t.Errorf("%d events pending at one time: want at most %d of %d", pending, bound, len(ids))
	}
}

// Whoever games, the work is the same: a comparison of prevalences compares
// nothing else.
func TestGamingLeavesTheWorkAlone(t *testing.T) {
	honest, gamed := newOrganisation(t, 5, gamers(0, 0)), newOrganisation(t, 5, gamers(.4, .5))
	wasting := 0
	for i := range honest.Plans {
		a, b := honest.Plans[i], gamed.Plans[i]
		if a.Useful != b.Useful || a.Outcomes != b.Outcomes || a.requests != b.requests || a.Looks != b.Looks {
			t.Fatalf("person %d week %d: %+v and %+v", a.Person, a.Week, a, b)
		}
		if b.Wasted > 0 {
			wasting++
			if b.Week < gamed.Config.AnnouncedWeek {
				t.Fatalf("person %d games in week %d, before the announcement", b.Person, b.Week)
			}
		}
	}
	if wasting == 0 {
		t.Error("nobody games")
	}
}

func TestPeopleFileIsACollectors(t *testing.T) {
	o := newOrganisation(t, 6, small)
	if _, err := identity.New(o.PeopleFile()); err != nil {
		t.Error(err)
	}
	want := map[string]bool{}
	for r := range o.Records() {
		want[r.Credential.ID] = true
	}
	got := map[string]bool{}
	for _, c := range o.Credentials() {
		got[c.ID] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("credentials, -used +listed:\n%s", diff)
	}
}
