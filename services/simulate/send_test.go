package simulate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

// people is the people file as a reader that is not ours sees it.
type people struct {
	People []struct {
		Identities  []struct{ Kind, Value string }
		Memberships []struct{ Team, From, To string }
	}
	Services []struct{ Team, Credential string }
}

func (p *people) team(a announcement) string {
	for _, s := range p.Services {
		if s.Credential == a.key {
			return s.Team
		}
	}
	day := time.UnixMilli(a.at).UTC().Format(time.DateOnly)
	for _, who := range p.People {
		for _, id := range who.Identities {
			if id.Value != a.email && id.Value != a.account && id.Value != a.install {
				continue
			}
			for _, m := range who.Memberships {
				if m.From <= day && (m.To == "" || day < m.To) {
					return m.Team
				}
			}
			return ""
		}
	}
	return ""
}

// fold says what counts of everything kept, by hour and team, the slow way.
func (c *collector) fold(p *people) (lines map[string][5]int64, merged, activity int64) {
	rank := map[string]int{"metric": 1, "span": 2, "log": 3, "event": 3}
	best := map[string]int{}
	for _, a := range c.kept {
		if a.conversation != "" && !a.activity {
			best[a.conversation] = max(best[a.conversation], rank[a.signal])
		}
	}
	lines = map[string][5]int64{}
	for _, a := range c.kept {
		switch {
		case a.activity:
			activity++
			continue
		case a.key == "llm-gateway", a.conversation != "" && best[a.conversation] != rank[a.signal]:
			merged++
			continue
		}
		name := time.UnixMilli(a.at).UTC().Truncate(time.Hour).Format(time.DateTime) + "\t" + p.team(a)
		sum := lines[name]
		for i, n := range []int64{a.requests, a.input, a.read, a.write, a.out} {
			sum[i] += n
		}
		lines[name] = sum
	}
	return lines, merged, activity
}

// truthLines reads usage_by_team_hour.tsv and sums over models.
func truthLines(t *testing.T, dir string) map[string][5]int64 {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "truth", "usage_by_team_hour.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string][5]int64{}
	for line := range strings.Lines(string(raw)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		sum := lines[f[0]+"\t"+f[1]]
		for i := range sum {
			var n int64
			if _, err := fmt.Sscan(f[4+i], &n); err != nil {
				t.Fatal(err)
			}
			sum[i] += n
		}
		lines[f[0]+"\t"+f[1]] = sum
	}
	return lines
}

func farEnd(t *testing.T, dir string, busy func([]byte) bool) (*collector, *people) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "secrets.json"))
	if err != nil {
		t.Fatal(err)
	}
	var secrets map[string]string
	if err := json.Unmarshal(raw, &secrets); err != nil {
		t.Fatal(err)
	}
	c := &collector{t: t, busy: busy, secrets: map[string]string{}}
	for id, secret := range secrets {
		c.secrets[secret] = id
	}
	var p people
	if raw, err = os.ReadFile(filepath.Join(dir, "people.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	return c, &p
}

// What goes over the wire, read by a far end that shares no code with the
// simulator, adds up to the truth.
func TestTheWireCarriesTheTruth(t *testing.T) {
	cfg := testConfig(t, 11)
	if err := Plan(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	n := 0
	c, people := farEnd(t, cfg.Dir, func([]byte) bool { n++; return n%9 == 0 })
	cfg.Phase, cfg.pause = PhaseSend, time.Millisecond
	cfg.HTTP, cfg.GRPC = c.start()
	var out bytes.Buffer
	cfg.Out = &out
	if err := Send(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	p, err := readPlan(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	lines, merged, activity := c.fold(people)
	if diff := gocmp.Diff(truthLines(t, cfg.Dir), lines); diff != "" {
		t.Errorf("by hour and team (-truth +wire):\n%s", diff)
	}
	got := []int64{c.accepted, c.duplicate, c.rejected, merged, activity}
	want := []int64{p.Totals.Accepted, p.Totals.Duplicates, p.Totals.Rejected, p.Totals.Merged, p.Totals.Activity + p.Totals.Announced}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("accepted, duplicate, rejected, merged, activity (-truth +wire):\n%s", diff)
	}
	for _, encoding := range []string{
		"application/x-protobuf ", "application/x-protobuf gzip", "application/x-protobuf chunked", "application/json ",
		"application/json gzip", "grpc", "application/cloudevents-batch+json ", "application/cloudevents+json; charset=UTF-8 ",
	} {
		if c.seen[encoding] == 0 {
			t.Errorf("nothing came as %q: %v", encoding, slices.Sorted(maps.Keys(c.seen)))
		}
	}
	if c.refusals == 0 || len(c.waiting) != 0 {
		t.Errorf("%d refusals, %d of them not repeated with the same bytes", c.refusals, len(c.waiting))
	}
	if c.content == 0 {
		t.Error("no content was sent: nothing to drop")
	}
	done := readProgress(t, cfg.Dir)
	if done.Records != p.Totals.Accepted+p.Totals.Rejected || done.Repeated != c.refusals || !done.Done {
		t.Errorf("progress %+v; sent %d records, refused %d requests once", done, p.Totals.Accepted+p.Totals.Rejected, c.refusals)
	}
	if !strings.Contains(out.String(), "100%") || !strings.Contains(out.String(), "records/s") {
		t.Errorf("progress says %q", out.String())
	}
	checkClocks(t, c.clocks, p)
}

func readProgress(t *testing.T, dir string) (done progress) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, progressFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &done); err != nil {
		t.Fatal(err)
	}
	return done
}

func checkClocks(t *testing.T, clocks []int64, p plan) {
	t.Helper()
	const hour = int64(3_600_000)
	steps := p.Days * 24
	if len(clocks) != steps+3 {
		t.Fatalf("%d clocks in %d steps", len(clocks), steps)
	}
	for i, ms := range clocks[:steps] {
		if want := p.Start.UnixMilli() + int64(i+1)*hour; ms != want {
			t.Fatalf("clock %d is %d, want %d", i, ms, want)
		}
	}
	end := p.End.UnixMilli()
	if diff := gocmp.Diff([]int64{end + 49*hour, end + 49*hour + 60_000, end + 49*hour + 120_000}, clocks[steps:]); diff != "" {
		t.Errorf("the last clocks (-want +got):\n%s", diff)
	}
}

// A sender that is stopped in the middle goes on where it was and sends nothing
// less.
func TestSendGoesOn(t *testing.T) {
	cfg := testConfig(t, 12)
	cfg.Days, cfg.Events = 3, 6_000
	if err := Plan(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	n := 0
	var c *collector
	var folk *people
	c, folk = farEnd(t, cfg.Dir, func([]byte) bool { n++; c.away = n > 100; return false })
	cfg.Phase, cfg.Patience, cfg.pause = PhaseSend, 20*time.Millisecond, time.Millisecond
	cfg.HTTP, cfg.GRPC = c.start()
	if err := Send(t.Context(), cfg); err == nil {
		t.Fatal("sent, though the collector is away")
	}
	before := readProgress(t, cfg.Dir)
	if before.Acknowledged == 0 || before.Done {
		t.Fatalf("progress %+v", before)
	}
	if err := Plan(t.Context(), cfg); err == nil {
		t.Error("planned anew over a plan that was sent in part")
	}
	c.busy, c.away = func([]byte) bool { return false }, false
	cfg.Patience = time.Minute
	if err := Send(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	lines, _, _ := c.fold(folk)
	if diff := gocmp.Diff(truthLines(t, cfg.Dir), lines); diff != "" {
		t.Errorf("by hour and team (-truth +wire):\n%s", diff)
	}
	p, err := readPlan(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if cmp.Less(c.duplicate, p.Totals.Duplicates) {
		t.Errorf("%d duplicates, at least %d planned", c.duplicate, p.Totals.Duplicates)
	}
	if done := readProgress(t, cfg.Dir); done.Records != p.Totals.Accepted+p.Totals.Rejected {
		t.Errorf("%d records in all steps, planned %d", done.Records, p.Totals.Accepted+p.Totals.Rejected)
	}
}

// A sender that is told to stop at an hour stops there, and the next one goes on
// without sending anything twice.
func TestSendStopsAtAnHour(t *testing.T) {
	cfg := testConfig(t, 13)
	cfg.Days, cfg.Events = 2, 4_000
	if err := Plan(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	c, _ := farEnd(t, cfg.Dir, func([]byte) bool { return false })
	cfg.Phase, cfg.Hours = PhaseSend, 17
	cfg.HTTP, cfg.GRPC = c.start()
	if err := Send(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if done := readProgress(t, cfg.Dir); done.Acknowledged != 17 || done.Done || len(c.clocks) != 17 {
		t.Errorf("%d clocks, progress %+v", len(c.clocks), done)
	}
	cfg.Hours = 0
	if err := Send(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	p, err := readPlan(cfg.Dir)
	if err != nil {
		t.Fatal(err)
	}
	checkClocks(t, c.clocks, p)
	if got := readProgress(t, cfg.Dir); !got.Done || c.duplicate != p.Totals.Duplicates {
		t.Errorf("progress %+v, %d duplicates of %d", got, c.duplicate, p.Totals.Duplicates)
	}
}

func TestPace(t *testing.T) {
	f := func(rate int, records int64, took, want time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			now := time.Now()
			if err := pace(t.Context(), rate, records, now.Add(-took)); err != nil || time.Since(now) != want {
				t.Errorf("%d records at %d/s in %v: waits %v, %v; want %v", records, rate, took, time.Since(now), err, want)
			}
		})
	}
	f(2000, 500, 100*time.Millisecond, 150*time.Millisecond)
	f(2000, 500, time.Second, 0)
	f(2000, 0, 0, 0)
	f(0, 500, 0, 0)
}

func TestArguments(t *testing.T) {
	f := func(line, want string) {
		t.Helper()
		cfg, err := ParseArgs(strings.Fields(line), &bytes.Buffer{})
		got := fmt.Sprintf("%s %s seed=%d people=%d days=%d %s %s", cfg.Phase, cfg.Dir, cfg.Seed, cfg.People, cfg.Days, cfg.HTTP, cfg.GRPC)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	f("plan --out d --seed 9 --people 20 --days 2", "plan d seed=9 people=20 days=2")
	f("send --dir d --http http://h --grpc g:1", "send d seed=1 people=120 days=28 http://h g:1")
	f("", "want plan or send")
	f("play", `"play" is neither`)
	f("plan --people 3 --days 0", "people: 3 is not in 12..2000\ndays: 0 is not in 1..364")
	f("plan d", `unexpected argument "d"`)
	f("plan --end yesterday", "end:")
}
