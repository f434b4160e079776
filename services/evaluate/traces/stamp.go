package traces

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/identity"
	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/price"
	"github.com/goodhartlabs/goodhart/pkg/source/genai"
	"github.com/goodhartlabs/goodhart/pkg/window"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Tenant of all events.
const Tenant = "trace"

// TargetWeek is the week in which the invented target is announced: those before are
// what people did without it.
const TargetWeek = 4

// Stamper makes requests the events that a collector publishes.
type Stamper struct {
	b          *Base
	stamper    *event.Stamper
	credential event.Credential
}

// NewStamper knows the people of a base. The role of a person is their group.
func NewStamper(b *Base) (*Stamper, error) {
	var f identity.File
	for i := range b.People {
		p := &b.People[i]
		f.People = append(f.People, identity.Person{
			ID: p.ID, Role: p.Group, Identities: []identity.RawID{{Kind: identity.KindLogin, Value: p.ID}},
			Memberships: []identity.Membership{{Team: p.Group}},
		})
	}
	people, err := identity.New(f)
	if err != nil {
		return nil, fmt.Errorf("people of %s: %w", b.Name, err)
	}
	key := sha256.Sum256([]byte(Tenant))
	return &Stamper{
		b: b, stamper: event.NewStamper(event.Keyring{Tenant: key[:]}, price.Embedded(), people),
		credential: event.Credential{
			ID: "replay", Tenant: Tenant, Accounting: goodhartv1.Accounting_ACCOUNTING_BILLABLE,
			CountsAlone: []goodhartv1.Signal{goodhartv1.Signal_SIGNAL_SPAN},
		},
	}, nil
}

// Stamp returns the event of the nth request of a person, and its Kafka key. What is
// not known of the request is absent.
func (s *Stamper) Stamp(person, n int, r *Request) (*goodhartv1.Event, []byte, error) {
	known := func(x int64) *int64 {
		if x == Unknown {
			return nil
		}
		return &x
	}
	offset := int32(s.b.Offset)
	u := &goodhartv1.Usage{
		OperationName: "chat", RequestModel: r.Model, ResponseModel: r.Model, Granularity: goodhartv1.Granularity_GRANULARITY_REQUEST,
		Status: goodhartv1.Status_STATUS_OK, InputUncachedTokens: known(r.Context), OutputTokens: known(r.Output), NewTurnTokens: known(r.New),
	}
	if r.Read != Unknown {
		uncached := r.Context - r.Read
		u.InputUncachedTokens, u.CacheReadTokens = &uncached, &r.Read
	}
	if r.Duration > 0 {
		u.DurationMs = &r.Duration
	}
	if r.Prompt != 0 && r.Target != 0 {
		u.H64, u.TargetH64 = &r.Prompt, &r.Target
	}
	id := s.b.People[person].ID + "-" + strconv.Itoa(n)
	e := &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_USAGE, Source: genai.Source, Signal: goodhartv1.Signal_SIGNAL_SPAN,
		Transport: goodhartv1.Transport_TRANSPORT_FILE, AdapterVersion: "1", TimeMs: r.At, TzOffsetMin: &offset, Usage: u,
	}
	d := event.Draft{
		Event: e, Actor: event.Actor{Login: s.b.People[person].ID},
		Natural: []string{"response", id}, Request: []string{"request", id},
	}
	key, rejected := s.stamper.Stamp(&d, &s.credential, time.UnixMilli(r.At))
	if rejected != nil {
		return nil, nil, fmt.Errorf("stamp request %s of %s: %s", id, s.b.Name, rejected)
	}
	return e, key, nil
}

// Declare is the configuration: the groups of people as teams, and a target for
// weekly tokens, which is invented.
func (b *Base) Declare() (*goodhartv1.Event, error) {
	sizes := map[string]int64{}
	p := policy.Policy{
		Tenant: Tenant, Roles: []policy.Role{}, Automation: []policy.Automation{}, Context: []policy.Context{}, Disputes: []policy.Dispute{},
		Outcomes: []policy.Outcome{{Kind: "pr_merged", Weight: 1000}},
		Targets: []policy.Target{{
			ID: "weekly-tokens", Metric: policy.Tokens, Threshold: b.Target, Period: policy.Week,
			AnnouncedAt: policy.Day(b.Start + TargetWeek*window.Week), Scope: policy.ScopeTenant,
		}},
	}
	for i := range b.People {
		sizes[b.People[i].Group]++
	}
	for i := range b.People {
		if group := b.People[i].Group; sizes[group] > 0 {
			p.Teams = append(p.Teams, policy.Team{ID: group, Size: sizes[group]})
			sizes[group] = 0
		}
	}
	document, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode policy: %w", err)
	}
	if _, err := policy.Parse(document); err != nil {
		return nil, fmt.Errorf("policy of %s: %w", b.Name, err)
	}
	id := sha256.Sum256(document)
	return &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_CONFIG, Tenant: Tenant, Source: "apply", EventId: id[:event.IDSize],
		SchemaVersion: event.SchemaVersion, Config: &goodhartv1.Config{Version: 1, Document: document},
	}, nil
}
