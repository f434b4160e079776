package explain

import (
	"strings"
	"testing"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/purpose"
	"github.com/goodhartlabs/goodhart/services/purpose/purposetest"
)

// A question to a person is explained to others for an approved purpose alone, that
// speaks of this person; and each look is recorded before it.
func TestQuestionsToAPerson(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	b.story()
	asked := b.published(schemas.TopicSelf)
	if len(asked) == 0 || asked[0].Subject != person(7) {
		t.Fatalf("published: %+v", asked)
	}
	id := asked[0].ID
	keys := purposetest.New(t)
	refused := func(want string, change func(*Config)) {
		t.Helper()
		out, err := b.ask(func(c *Config) {
			c.ID, c.Purpose = id, keys.Config
			change(c)
		})
		if err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("%v, want %q\n%s", err, want, out)
		}
	}
	refused("--purpose, --key", func(*Config) {})
	refused("purpose: off", func(c *Config) { c.Purpose, c.Grant, c.Key = purpose.Config{}, "0123456789abcdef", keys.Officer })
	refused("there is none", func(c *Config) { c.Grant, c.Key = "0123456789abcdef", keys.Officer })

	k := kafka.Config{Brokers: b.Addrs}
	grant := func(subject string, approve bool) string {
		t.Helper()
		e, err := purpose.Request(t.Context(), k, keys.Config, keys.Officer, purpose.Entry{
			Tenant: "acme", Subject: subject, Reason: "the person has asked us to look at it", Until: time.Now().Add(time.Hour).UnixMilli(),
		})
		if err == nil && approve {
			_, err = purpose.Approve(t.Context(), k, keys.Config, keys.Manager, e.ID)
		}
		if err != nil {
			t.Fatal(err)
		}
		return e.ID
	}
	refused("has not approved it", func(c *Config) { c.Grant, c.Key = grant(person(7), false), keys.Officer })
	other := grant(person(8), true)
	refused("no question to the person that the purpose names", func(c *Config) { c.Grant, c.Key = other, keys.Officer })

	good := grant(person(7), true)
	refused("no question to the person", func(c *Config) { c.ID, c.Grant, c.Key = strings.Repeat("a", 32), good, keys.Manager })
	for _, p := range asked {
		out, err := b.ask(func(c *Config) { c.ID, c.Rev, c.Purpose, c.Grant, c.Key = p.ID, p.Rev, keys.Config, good, keys.Manager })
		if err != nil || !strings.Contains(out, "byte for byte") {
			t.Errorf("revision %d: %v\n%s", p.Rev, err, out)
		}
		// The weeks that it rests on are the person's, and nobody else's.
		for _, want := range []string{"week 2026-W06", "statistic statistic_hours, median 30000000, mad 3000000, weeks 8", "fired true"} {
			if !strings.Contains(out, want) {
				t.Errorf("it does not say %q:\n%s", want, out)
			}
		}
		if n := strings.Count(out, "p_0"); n != strings.Count(out, person(7)) {
			t.Errorf("it names %d persons:\n%s", n, out)
		}
	}
	log, err := purpose.List(t.Context(), k, keys.Config)
	if err != nil {
		t.Fatal(err)
	}
	uses := 0
	for _, e := range log {
		if e.Kind == purpose.Used && e.ID == good && e.What == "explain signal "+id && e.Role == purpose.Manager {
			uses++
		}
	}
	if uses != len(asked) {
		t.Errorf("%d looks are recorded, there were %d", uses, len(asked))
	}
}
