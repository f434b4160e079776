package explain

import (
	"strings"
	"testing"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// days says some days of a team of 13, one of 12 and one of two.
func (b *bed) days(from, to int64) {
	b.Helper()
	for d := from; d < to; d++ {
		for p := range 27 {
			team := "web"
			switch {
			case p >= 25:
				team = "tiny"
			case p >= 13:
				team = "app" // hides tiny, which would follow from the whole
			}
			start := monday + d*window.Day + int64(9+p%8)*window.Hour
			b.say(monday+d*window.Day+20*window.Hour, &goodhartv1.Feature{
				Kind: goodhartv1.FeatureKind_FEATURE_KIND_PANE, Tenant: "acme", Subject: person(p), IdentityType: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN,
				PaneStartMs: start, Cells: []*goodhartv1.Cell{{
					Team: team, Model: "opus", Tool: "claude-code", Requests: 10, Records: 10, InputUncachedTokens: 1000, OutputTokens: 500, CostNanos: 1e9 + int64(p),
				}},
			})
		}
		b.watermark(monday + (d+1)*window.Day + 1)
	}
}

// Every score of a team comes out of the log again; of a team that is hidden the
// explanation says no more than the score does.
func TestScores(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	b.fold()
	b.days(0, 20)
	b.restart()
	b.days(20, 37)
	b.Await(t, schemas.GroupTenant, schemas.TopicFeatures)
	b.stop()
	explained := map[string]int{}
	for _, p := range b.published(schemas.TopicScores) {
		if header(p.rec, "ce_type") != score.TypeEfficiency || p.ScopeKind != score.ScopeTeam || p.W < monday+36*window.Day {
			continue
		}
		explained[p.Scope]++
		day := time.UnixMilli(p.End - window.Day).UTC().Format(time.DateOnly)
		out, err := b.ask(func(c *Config) {
			c.What, c.Tenant, c.Team, c.Day, c.Window, c.Rev = Score, "acme", p.Scope, day, p.Window, p.Rev
		})
		if err != nil || !strings.Contains(out, "byte for byte") || !strings.Contains(out, "\nscore\n") {
			t.Errorf("%s %s %s revision %d: %v\n%s", p.Scope, p.Window, day, p.Rev, err, out)
		}
		if p.Scope != "web" != strings.Contains(out, "    reason "+score.ReasonSize) {
			t.Errorf("%s is hidden: %v\n%s", p.Scope, p.Scope == "web", out)
		}
		if shown := strings.Contains(out, "\n  parts\n") || strings.Contains(out, "block unit "+p.Scope) || strings.Contains(out, "- unit "+p.Scope+", start"); shown != (p.Scope == "web" && p.Window == "7d") {
			t.Errorf("%s %s: parts are shown: %v\n%s", p.Scope, p.Window, shown, out)
		}
	}
	if explained["web"] == 0 || explained["tiny"] == 0 {
		t.Errorf("explained: %v", explained)
	}
	if _, err := b.ask(func(c *Config) { c.What, c.Tenant, c.Team, c.Day = Score, "acme", "web", "2020-01-01" }); err == nil || !strings.Contains(err.Error(), "no efficiency of team web") {
		t.Errorf("%v", err)
	}
}
