package alerter

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/goodhartlabs/goodhart/services/config"
	"github.com/goodhartlabs/goodhart/services/kafka"
)

// Config of an alerter.
type Config struct {
	// Instance names this process in its consumer groups; it must stay the same
	// over restarts and differ between alerters.
	Instance string       `yaml:"instance"`
	Kafka    kafka.Config `yaml:"kafka"`
	// Receivers are the places that signals are told to; one at least.
	Receivers []Receiver `yaml:"receivers"`
	// Rules say which signal goes where: the first that takes it, unless that
	// continues.
	Rules []Rule `yaml:"rules"`
	// Memory is how many bytes wait for one receiver before no more are read for
	// it.
	Memory int64 `yaml:"memory"`
	// Admin is the address of /metrics, /healthz, /readyz; empty for none.
	Admin string `yaml:"admin"`

	// For tests: how receivers are reached, how soon again, and what Kafka may take.
	transport http.RoundTripper
	pauses    pauses
}

// Receiver is a place that signals are told to: one of Alertmanager, Slack and
// Webhook.
type Receiver struct {
	// Name is part of the consumer group's: under another one the receiver is told
	// again what is open.
	Name         string        `yaml:"name"`
	Alertmanager *Alertmanager `yaml:"alertmanager"`
	Slack        *Slack        `yaml:"slack"`
	Webhook      *Webhook      `yaml:"webhook"`
	// Headers go with every request, such as Authorization.
	Headers map[string]string `yaml:"headers"`
	// GroupWait is how long signals of a tenant, team and code are collected, to be
	// told together; 0 for at once.
	GroupWait time.Duration `yaml:"group_wait"`
}

// Alertmanager is one, by its v2 API.
type Alertmanager struct {
	// URL of its root, such as http://127.0.0.1:9093.
	URL string `yaml:"url"`
	// ResendEvery is how often open signals are repeated; 1m if zero.
	ResendEvery time.Duration `yaml:"resend_every"`
	// ExpiresAfter is when an alert ends that is not repeated, because no alerter
	// runs; 30m if zero.
	ExpiresAfter time.Duration `yaml:"expires_after"`
}

// Slack is an incoming webhook of Slack, or of what understands the same.
type Slack struct {
	// URL of the webhook, a secret.
	URL string `yaml:"url"`
}

// Webhook is anything that takes signed JSON.
type Webhook struct {
	URL string `yaml:"url"`
	// Secret signs, whsec_ and the base64 of at least 24 bytes.
	Secret string `yaml:"secret"`
}

// Default tells nobody anything: it has no receivers.
func Default() Config {
	return Config{
		Instance: "alerter",
		Kafka:    kafka.Config{Brokers: []string{"127.0.0.1:9092"}},
		Memory:   32 << 20,
		Admin:    "127.0.0.1:9466",
	}
}

// receiverName is what a consumer group's name can hold.
var receiverName = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

// Validate reports every problem, each with its key.
func (c Config) Validate() error {
	errs := []error{c.Kafka.Validate()}
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.Instance == "", "instance: must not be empty")
	bad(len(c.Receivers) == 0, "receivers: none")
	bad(c.Memory < 1<<20, "memory: %d is not 1048576 or more", c.Memory)
	var names []string
	seen := map[string]bool{}
	for i := range c.Receivers {
		r := &c.Receivers[i]
		errs = append(errs, config.Under(fmt.Sprintf("receivers[%d]", i), r.validate()))
		bad(seen[r.Name], "receivers[%d].name: %q is there twice", i, r.Name)
		seen[r.Name] = true
		names = append(names, r.Name)
	}
	bad(len(c.Rules) == 0, "rules: none")
	for i := range c.Rules {
		errs = append(errs, config.Under(fmt.Sprintf("rules[%d]", i), c.Rules[i].validate(names)))
	}
	return errors.Join(errs...)
}

func (r *Receiver) validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(!receiverName.MatchString(r.Name), "name: %q is not 1 to 64 of a-z, 0-9, _ and -", r.Name)
	bad(r.GroupWait < 0 || r.GroupWait > time.Hour, "group_wait: %s is not in 0s..1h", r.GroupWait)
	kinds := 0
	address := func(key, s string) {
		kinds++
		u, err := url.Parse(s)
		bad(err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "", "%s.url: not an http or https URL", key)
	}
	if a := r.Alertmanager; a != nil {
		address("alertmanager", a.URL)
		bad(a.ResendEvery != 0 && (a.ResendEvery < time.Second || a.ResendEvery > time.Hour), "alertmanager.resend_every: %s is not in 1s..1h", a.ResendEvery)
		bad(a.expires() < 3*a.resend(), "alertmanager.expires_after: %s is not 3 times resend_every, %s, or more", a.expires(), a.resend())
	}
	if r.Slack != nil {
		address("slack", r.Slack.URL)
	}
	if w := r.Webhook; w != nil {
		address("webhook", w.URL)
		if _, err := parseSecret(w.Secret); err != nil {
			errs = append(errs, fmt.Errorf("webhook.secret: %w", err))
		}
	}
	bad(kinds != 1, "alertmanager, slack, webhook: %d of them are set, want one", kinds)
	return errors.Join(errs...)
}

func (a *Alertmanager) resend() time.Duration {
	if a.ResendEvery == 0 {
		return time.Minute
	}
	return a.ResendEvery
}

func (a *Alertmanager) expires() time.Duration {
	if a.ExpiresAfter == 0 {
		return 30 * time.Minute
	}
	return a.ExpiresAfter
}
