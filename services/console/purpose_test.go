package console

import (
	"bytes"
	"strings"
	"testing"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/services/purpose/purposetest"
)

// What concerns a person is shown to others once both roles have agreed, for the
// person whom they named, and the look is on record.
func TestPurposeCommands(t *testing.T) {
	b := newBed(t, ktest.Fake(t))
	b.tell("acme", ann, one, 0, signal.Opened, b.now.now())
	b.tell("acme", bob, two, 0, signal.Opened, b.now.now())
	keys := purposetest.New(t)
	file := purposetest.File(t, "console.yaml", []byte("kafka: {brokers: ["+strings.Join(b.Addrs, ", ")+"]}\npurpose:\n  keyring_file: "+
		keys.Config.KeyringFile+"\n  privacy_officer: "+keys.Config.Officer+"\n  managers_manager: "+keys.Config.Manager+"\n"))
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		c, err := ParseArgs(append(append([]string{"purpose"}, args...), "--config", file), &out, func(string) (string, bool) { return "", false })
		if err == nil {
			err = c.Run(t.Context())
		}
		return out.String(), err
	}
	must := func(want string, args ...string) string {
		t.Helper()
		out, err := run(args...)
		if err != nil || !strings.Contains(out, want) {
			t.Fatalf("%v: %v, want %q\n%s", args, err, want, out)
		}
		return out
	}
	out := must("request", "request", "--key", keys.Officer, "--tenant", "acme", "--subject", ann, "--reason", "the works council asked for a review")
	id := strings.Fields(out)[1]
	for _, test := range []struct{ want, act, key string }{
		{"has not approved it", "show", keys.Officer},
		{"the other role approves it", "approve", keys.Officer},
		{"--key", "approve", ""},
	} {
		if out, err := run(test.act, id, "--key", test.key); err == nil || !strings.Contains(err.Error(), test.want) || out != "" {
			t.Errorf("%s: %v, want %q\n%s", test.act, err, test.want, out)
		}
	}
	must("approve "+id+" by the managers_manager", "approve", id, "--key", keys.Manager)
	if out := must(one, "show", id, "--key", keys.Manager); strings.Contains(out, two) || strings.Count(out, "\n") != 1 {
		t.Errorf("shown: %s", out)
	}
	must("withdraw", "withdraw", id, "--key", keys.Officer)
	if out, err := run("show", id, "--key", keys.Manager); err == nil || out != "" {
		t.Errorf("shown after the end: %v\n%s", err, out)
	}
	log := must("the works council asked for a review", "list")
	if kinds := strings.Join(kindsOf(log), " "); kinds != "request approve use withdraw" {
		t.Errorf("recorded: %s\n%s", kinds, log)
	}
}

func kindsOf(log string) []string {
	var kinds []string
	for line := range strings.Lines(log) {
		kinds = append(kinds, strings.Fields(line)[2])
	}
	return kinds
}
