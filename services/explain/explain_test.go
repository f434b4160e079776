package explain

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
)

// published lists what is on a topic.
func (b *bed) published(topic string) []published {
	b.Helper()
	var all []published
	for _, rec := range b.Records(b.T, topic) {
		p := published{rec: rec}
		if err := json.Unmarshal(rec.Value, &p.statement); err != nil {
			b.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// story lets a company live for eight weeks, with edits of its configuration and
// restarts of the fold in between.
func (b *bed) story() {
	b.Helper()
	b.fold()
	b.declare(monday, 1, `{"tenant":"acme","teams":[{"id":"web","size":20}]}`)
	b.guard(monday+window.Hour, "s_ci", false)
	b.guard(monday+2*window.Hour, "s_ci", true)
	b.weeks(0, 3)
	b.restart()
	b.weeks(3, 6)
	b.declare(monday+5*window.Week+judged+2, 2, `{"tenant":"acme","teams":[{"id":"web","size":21}]}`)
	b.restart()
	b.weeks(6, 8)
	b.watermark(monday + 9*window.Week + judged)
	b.Await(b.T, schemas.GroupTenant, schemas.TopicFeatures)
	b.stop()
}

// Every revision of every signal that is published comes out of the log again,
// byte for byte, though the fold was restarted and the configuration changed in the
// middle.
func TestTheLogGivesWhatWasPublished(t *testing.T) {
	ktest.Each(t, func(t *testing.T, c *ktest.Cluster) { testTheLogGivesWhatWasPublished(newBed(t, c)) })
}

func testTheLogGivesWhatWasPublished(b *bed) {
	b.story()
	codes := map[string]int{}
	for _, p := range b.published(schemas.TopicSignals) {
		codes[p.Code+" "+p.ScopeKind]++
		out, err := b.ask(func(c *Config) { c.ID, c.Rev = p.ID, p.Rev })
		if err != nil || !strings.Contains(out, fmt.Sprintf("equals the record at %s/%d offset %d, byte for byte", p.rec.Topic, p.rec.Partition, p.rec.Offset)) {
			b.Errorf("%s %s revision %d: %v\n%s", p.Code, p.Scope, p.Rev, err, out)
		}
		if strings.Contains(out, "p_0") {
			b.Errorf("a signal of %s names a person:\n%s", p.ScopeKind, out)
		}
	}
	if codes["R2 service"] != 2 || codes["S5 tool"] == 0 {
		b.Errorf("published: %v", codes)
	}
}

// What is printed is enough to check the number by hand.
func TestEverythingIsPrinted(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	b.story()
	var guard, tool string
	for _, p := range b.published(schemas.TopicSignals) {
		switch p.Code {
		case "R2":
			guard = p.ID
		case "S5":
			tool = p.ID
		}
	}
	says := func(out string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(out, want) {
				t.Errorf("it does not say %q:\n%s", want, out)
			}
		}
	}
	out, err := b.ask(func(c *Config) { c.ID = guard })
	if err != nil {
		t.Fatal(err)
	}
	says(out, "R2 Runaway spend", "revision 1, resolved", "from the beginning of the log", "threshold 25000000000", "p99 1000000000", "panes 300",
		"ended true", "version 1", "size 20")
	out, err = b.ask(func(c *Config) { c.ID, c.Rev = tool, 0 })
	if err != nil {
		t.Fatal(err)
	}
	says(out, "S5 Agents around the clock", "compared 20", "people 20", "in_scope 20", "minimum_group 10", "fired 20", "diverted 20", "nothing was declared")
	out, err = b.ask(func(c *Config) { c.ID, c.Format = tool, FormatJSON })
	var tree struct {
		Checked struct{ Verdict string }
		Record  statement
		Judged  struct{ Compared int }
	}
	if err != nil || json.Unmarshal([]byte(out), &tree) != nil || tree.Checked.Verdict != "equal" || tree.Record.ID != tool || tree.Judged.Compared != 20 {
		t.Errorf("%v, %+v\n%s", err, tree, out)
	}
}

// A record that the log does not give is said to differ, and where.
func TestForgeriesDiffer(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	b.story()
	var last published
	for _, p := range b.published(schemas.TopicSignals) {
		if p.Code == "R2" {
			last = p
		}
	}
	forge := func(value string, want string) {
		t.Helper()
		rec := &kgo.Record{Topic: last.rec.Topic, Partition: last.rec.Partition, Key: last.rec.Key, Value: []byte(value), Headers: last.rec.Headers}
		if err := b.client.ProduceSync(t.Context(), rec).FirstErr(); err != nil {
			t.Fatal(err)
		}
		out, err := b.ask(func(c *Config) { c.ID = last.ID })
		var d *DifferentError
		if !errors.As(err, &d) || d.ExitCode() != 1 || !strings.Contains(d.Detail, want) || !strings.Contains(out, "DIFFERS") {
			t.Errorf("%v\n%s", err, out)
		}
	}
	forge(strings.Replace(string(last.rec.Value), `"value":40,`, `"value":41,`, 1), `"value":41,`)
	forge(strings.Replace(string(last.rec.Value), `"rev":1,`, `"rev":7,`, 1), "does not give this record at all")
}

// Where the log has been cut, a snapshot of the fold stands for what is gone; what
// no snapshot reaches back to is said to be missing, and no number is shown.
func TestCutLog(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	b.story()
	records := b.published(schemas.TopicSignals)
	var early, late published
	for _, p := range records {
		switch {
		case p.Code == "R2" && p.Rev == 0:
			early = p
		case p.Code == "S5":
			late = p
		}
	}
	offsets := kadm.Offsets{}
	adm := kadm.NewClient(b.client)
	ends, err := adm.ListEndOffsets(t.Context(), schemas.TopicFeatures)
	if err != nil {
		t.Fatal(err)
	}
	cut := func(back int64) {
		t.Helper()
		for p := range b.counts.Features {
			end, _ := ends.Lookup(schemas.TopicFeatures, p)
			offsets.AddOffset(schemas.TopicFeatures, p, max(2, end.Offset-back), -1)
		}
		if deleted, err := adm.DeleteRecords(t.Context(), offsets); err != nil || deleted.Error() != nil {
			t.Fatal(err, deleted.Error())
		}
	}
	cut(1 << 20) // two records are gone
	out, err := b.ask(func(c *Config) { c.ID, c.Rev = late.ID, late.Rev })
	if err != nil || !strings.Contains(out, "with the fold's state as of") || !strings.Contains(out, "byte for byte") {
		t.Errorf("%v\n%s", err, out)
	}
	cut(10)
	for _, p := range []published{early, late} {
		out, err = b.ask(func(c *Config) { c.ID, c.Rev = p.ID, p.Rev })
		if p.ID == late.ID && err == nil && strings.Contains(out, "with the fold's state") {
			continue // its snapshot is still kept
		}
		var missing *MissingError
		if !errors.As(err, &missing) || out != "" || !strings.Contains(missing.Detail, "begins at offset") {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

func TestRefusedArguments(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		cfg := Default()
		cfg.What, cfg.ID = Signal, strings.Repeat("a", 32)
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	f(func(c *Config) { c.ID = "S5" }, "32 hex digits")
	f(func(c *Config) { c.What = "" }, "want signal or score")
	f(func(c *Config) { c.Format = "xml" }, "--format")
	f(func(c *Config) { c.Grant = "x" }, "--purpose and --key")
	f(func(c *Config) { c.What, c.Tenant, c.Team, c.Day = Score, "acme", "web", "yesterday" }, "YYYY-MM-DD")
	f(func(c *Config) { c.What, c.Team, c.Day = Score, "web", "2026-01-05" }, "--tenant")
	f(func(c *Config) { c.What, c.Window = Score, "5m" }, "--window")
	f(func(c *Config) { c.Purpose.Officer = "x" }, "all of them, or none")
}
