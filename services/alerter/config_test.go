package alerter

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goodhartlabs/goodhart/services/config"
	"github.com/goodhartlabs/goodhart/services/kafka"
)

func environment(name string) (string, bool) {
	if name == "WEBHOOK_SECRET" {
		return secret, true
	}
	return "https://chat.example.com/" + strings.ToLower(name), true
}

// The example says what it says: defaults where it does not choose.
func TestExample(t *testing.T) {
	var got Config
	if err := config.Load("config.example.yaml", &got, environment); err != nil {
		t.Fatal(err)
	}
	if err := got.Validate(); err != nil {
		t.Fatal(err)
	}
	a := got.Receivers[0].Alertmanager
	if zero := (Alertmanager{}); a.ResendEvery != zero.resend() || a.ExpiresAfter != zero.expires() {
		t.Errorf("%+v are not the defaults", a)
	}
	if names := []string{got.Receivers[0].Name, got.Receivers[1].Name, got.Receivers[2].Name}; !slices.Equal(names, []string{"oncall", "platform", "tickets"}) {
		t.Error(names)
	}
	got.Receivers, got.Rules = nil, nil
	if diff := cmp.Diff(Default(), got, cmp.AllowUnexported(Config{}, pauses{}), cmpopts.IgnoreFields(kafka.Config{}, "Extra")); diff != "" {
		t.Error(diff)
	}
}

// Every file under deploy/alerter can be used as it is.
func TestDeployed(t *testing.T) {
	files, err := filepath.Glob("../../deploy/alerter/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		cfg := Default()
		if err := config.Load(file, &cfg, environment); err != nil {
			t.Fatal(err)
		}
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// Every problem is told at once, with its key.
func TestValidate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerter.yaml")
	text := `
instance: ""
memory: 1
receivers:
  - {name: "Über", slack: {url: "ftp://x"}, group_wait: 2h}
  - {name: a, webhook: {url: "http://x", secret: hunter2}, slack: {url: "http://x"}}
  - {name: a, alertmanager: {url: "http://x", resend_every: 10m, expires_after: 11m}}
  - {name: b, webhook: {url: "http://x", secret: whsec_aHVudGVyMg==}}
rules:
  - {match: {code: [S99], severity: [fatal], label: [cheating], scope_kind: [person]}}
  - {to: [nobody]}
  - {to: [a], quiet: {zone: Europe/Berlin}}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	if err := config.Load(path, &cfg, environment); err != nil {
		t.Fatal(err)
	}
	err := cfg.Validate()
	if err == nil {
		t.Fatal("it is valid")
	}
	want := []string{
		`instance: must not be empty`,
		`memory: 1 is not 1048576 or more`,
		`receivers[0].name: "Über" is not 1 to 64 of a-z, 0-9, _ and -`,
		`receivers[0].group_wait: 2h0m0s is not in 0s..1h`,
		`receivers[0].slack.url: not an http or https URL`,
		`receivers[1].webhook.secret: want whsec_ and base64, as ` + "`echo whsec_$(openssl rand -base64 32)`" + ` prints`,
		`receivers[1].alertmanager, slack, webhook: 2 of them are set, want one`,
		`receivers[2].alertmanager.expires_after: 11m0s is not 3 times resend_every, 10m0s, or more`,
		`receivers[2].name: "a" is there twice`,
		`receivers[3].webhook.secret: has 7 bytes, want 24 or more`,
		`rules[0].to: missing; [] sends to nobody`,
		`rules[0].match.code: "S99" is not one of ` + strings.Join(codes(), ", "),
		`rules[0].match.label: "cheating" is not one of tooling, runaway, possible gaming`,
		`rules[0].match.severity: "fatal" is not one of info, warning, critical`,
		`rules[0].match.scope_kind: "person" is not one of metric, tenant, team, model, tool, service`,
		`rules[1].to: "nobody" is not one of the receivers Über, a, a, b`,
		`rules[2].quiet.hours: none`,
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Error(diff)
	}
	if err := Default().Validate(); err == nil || !strings.Contains(err.Error(), "receivers: none") || !strings.Contains(err.Error(), "rules: none") {
		t.Errorf("without receivers: %v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	f := func(header string, want time.Duration) {
		t.Helper()
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
	f("", 0)
	f("7", 7*time.Second)
	f("86400", longestAfter)
	f("-1", 0)
	f("soon", 0)
	f("Mon, 23 Nov 2026 12:00:30 GMT", 30*time.Second)
	f("Mon, 23 Nov 2026 11:00:30 GMT", 0)
}
