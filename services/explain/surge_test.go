package explain

import (
	"fmt"
	"strings"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/seaspot"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// surge says eighteen days of a team of twelve people and its service, whose
// requests come to forty times the usual for an hour on the last but one.
func (b *bed) surge() {
	b.Helper()
	pane := func(start int64, subject string, kind goodhartv1.IdentityType, requests int64) {
		b.say(start+window.Minute, &goodhartv1.Feature{
			Kind: goodhartv1.FeatureKind_FEATURE_KIND_PANE, Tenant: "acme", Subject: subject, IdentityType: kind, PaneStartMs: start,
			Cells: []*goodhartv1.Cell{{Team: "web", Tool: "claude-code", Model: "opus", Requests: requests, Records: requests, CostNanos: 1e6 * requests}},
		})
	}
	const day, peak = 96, 17*96 + 50
	for k := range int64(peak + day) {
		start, requests := monday+k*seaspot.Width, 20+2*min(k%day, day-k%day)+k*k%7
		if peak <= k && k < peak+4 {
			requests = 900 - 30*(k-peak)
		}
		pane(start, "s_batch", goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE, requests)
		for p := range 12 {
			if k%day == 40 {
				pane(start, person(p), goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, 1)
			}
		}
		if k%day == 0 {
			b.watermark(start + 2*window.Minute)
		}
	}
	b.watermark(monday + 19*window.Day)
	b.Await(b.T, schemas.GroupTenant, schemas.TopicFeatures)
	b.stop()
}

// A surge, which rests on weeks of quarters of an hour, comes out of the log again
// like any other signal, opened and resolved, and says what it was held against.
func TestSurges(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	b.fold()
	b.surge()
	told := map[string]int{}
	for _, p := range b.published(schemas.TopicSignals) {
		if p.Code != "R3" {
			continue
		}
		told[p.ScopeKind]++
		out, err := b.ask(func(c *Config) { c.ID, c.Rev = p.ID, p.Rev })
		if err != nil || !strings.Contains(out, fmt.Sprintf("equals the record at %s/%d offset %d, byte for byte", p.rec.Topic, p.rec.Partition, p.rec.Offset)) {
			t.Errorf("%s revision %d: %v\n%s", p.Scope, p.Rev, err, out)
		}
		for _, want := range []string{"R3 Surge of a series", "900 requests in 15 min, where 114 are usual", "1491 quarters"} {
			if p.Rev == 0 && p.ScopeKind == "team" && !strings.Contains(out, want) {
				t.Errorf("%s: it does not say %q:\n%s", p.Scope, want, out)
			}
		}
	}
	if told["team"] != 2 || told["tool"] != 2 || told["tenant"] != 2 {
		t.Errorf("told: %v", told)
	}
}
