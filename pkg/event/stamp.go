package event

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/identity"
	"github.com/goodhartlabs/goodhart/pkg/price"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	// MaxEncoded is the greatest size of an encoded Event in bytes.
	MaxEncoded = 64 << 10
	// SchemaVersion is the version of the Event message that Stamp fills.
	SchemaVersion = 1
)

// Stamper completes drafts. It is immutable and safe for concurrent use; a
// reload of prices or people is a new Stamper.
type Stamper struct {
	keys   map[string]*hasher
	prices *price.Book
	people *identity.Directory
	bufs   *bufs
	blind  bool
}

// Option changes a Stamper.
type Option func(*Stamper)

// WithoutContent leaves content unread: what follows from it is known only where
// a source says so itself.
func WithoutContent() Option { return func(s *Stamper) { s.blind = true } }

// NewStamper returns a Stamper. A nil book prices nothing, a nil directory knows
// nobody.
func NewStamper(keys Keyring, prices *price.Book, people *identity.Directory, options ...Option) *Stamper {
	s := &Stamper{keys: map[string]*hasher{}, prices: prices, people: people, bufs: &bufs{}}
	for tenant, key := range keys {
		s.keys[tenant] = newHasher(key)
	}
	for _, option := range options {
		option(s)
	}
	return s
}

// Stamp completes d.Event in place from the draft's raw ids and the credential
// it came with, as of now, and returns the Kafka key of the event. What goes
// into event_id, request_key and the Kafka key is the wire and the tenant alone:
// a re-send after a reload of people or prices has the same three.
//
// A draft is stamped once. If it cannot be used, Stamp returns why, and the
// event must not be produced.
func (s *Stamper) Stamp(d *Draft, c *Credential, now time.Time) (key []byte, rej *Rejection) {
	e := d.Event
	h, ok := s.keys[c.Tenant]
	if !ok {
		return nil, d.reject(ReasonUnknownTenant, "", "the credential's tenant has no key")
	}
	if len(d.Natural) == 0 {
		return nil, d.reject(ReasonMissing, "id", "the record has nothing that identifies it")
	}
	if field, problem := checkNumbers(e); problem != "" {
		return nil, d.reject(ReasonBadNumber, field, string(problem))
	}
	if !fixTime(e, now) {
		return nil, d.reject(ReasonBadTime, "time", "older than 400 days")
	}
	s.identify(d, c, h)
	s.attribute(d, c, h)
	s.derive(d, h)
	if e.Usage != nil {
		if c.Person != "" && e.Usage.CostBasis == goodhartv1.CostBasis_COST_BASIS_BILLED {
			// What a person's own key says it was billed is a claim.
			e.Usage.ReportedCostNanos, e.Usage.CostNanos = e.Usage.CostNanos, nil
		}
		setCost(e, s.prices)
	}
	cleanLabels(e)
	if size := e.SizeVT(); size > MaxEncoded {
		return nil, d.reject(ReasonTooLarge, "", "the encoded event exceeds 64 KiB")
	}
	return kafkaKey(d, h), nil
}

// identify sets what names the announcement and what it belongs to.
func (s *Stamper) identify(d *Draft, c *Credential, h *hasher) {
	e := d.Event
	e.Tenant, e.Credential = c.Tenant, c.ID
	e.SchemaVersion = SchemaVersion
	e.Accounting = c.Accounting
	if e.Accounting == goodhartv1.Accounting_ACCOUNTING_UNSPECIFIED {
		e.Accounting = goodhartv1.Accounting_ACCOUNTING_BILLABLE
	}
	e.CountsAlone = slices.Contains(c.CountsAlone, e.Signal)
	ids := make([]byte, 0, 2*IDSize)
	head := [...]string{c.Tenant, e.Source, signalName(e.Signal)}
	ids = s.bufs.appendID(ids, head[:], d.Natural)
	if len(d.Request) > 0 {
		ids = s.bufs.appendID(ids, head[:1], d.Request)
		e.RequestKey = ids[IDSize:]
	}
	e.EventId = ids[:IDSize:IDSize]
	e.Conversation = h.hash("", scopeConversation, d.Conversation)
	e.ParentConversation = h.hash("", scopeConversation, d.ParentConversation)
	e.Prompt = h.hash("", scopePrompt, d.Prompt)
	if d.Commit != "" && e.Activity != nil {
		sha := h.hash("", scopeSHA, strings.ToLower(d.Commit))
		e.Activity.Labels = append(e.Activity.Labels, &goodhartv1.Label{Key: "commit_sha", Value: sha})
	}
}

// signalName spells a signal in an event id; the names are fixed for ever.
func signalName(s goodhartv1.Signal) string {
	switch s {
	case goodhartv1.Signal_SIGNAL_LOG:
		return "log"
	case goodhartv1.Signal_SIGNAL_SPAN:
		return "span"
	case goodhartv1.Signal_SIGNAL_METRIC:
		return "metric"
	case goodhartv1.Signal_SIGNAL_TRANSCRIPT:
		return "transcript"
	case goodhartv1.Signal_SIGNAL_CLOUDEVENT:
		return "cloudevent"
	case goodhartv1.Signal_SIGNAL_WEBHOOK:
		return "webhook"
	case goodhartv1.Signal_SIGNAL_POLL:
		return "poll"
	default:
		return "unspecified"
	}
}

// attribute sets subject, team, role and repository.
func (s *Stamper) attribute(d *Draft, c *Credential, h *hasher) {
	e := d.Event
	q := query(&d.Actor, c, e.TimeMs)
	if e.Outcome == nil {
		q.Person, q.Machine = c.Person, c.Service
	}
	who := s.people.Find(q)
	e.Subject = h.hash(who.Prefix, who.Scope, who.Raw)
	e.Team, e.Role = who.Team, who.Role
	e.IdentityType, e.IdentityMethod = who.Type, who.Method
	label, class := s.people.Repository(c.Tenant, d.Repository)
	if label == "" {
		label = h.hash("", scopeRepository, d.Repository)
	}
	e.Repository = label
	if e.Outcome == nil {
		return
	}
	e.Outcome.RepositoryClass = class
	if d.Outcome != nil {
		s.outcome(d, c, h)
	}
}

func query(a *Actor, c *Credential, at int64) identity.Query {
	return identity.Query{
		Tenant: c.Tenant, Credential: c.ID,
		AccountID: a.AccountID, Login: a.Login, Email: a.Email, UserID: a.UserID,
		Declared: a.Declared, DeclaredTeam: a.DeclaredTeam, Service: a.Service, AtMS: at,
	}
}

// outcome hashes the ids of an outcome and finds its people.
func (s *Stamper) outcome(d *Draft, c *Credential, h *hasher) {
	o, ids := d.Event.Outcome, d.Outcome
	o.Object = h.hash("", scopeObject, ids.Object)
	o.MergeSha = h.hash("", scopeSHA, strings.ToLower(ids.MergeSHA))
	o.HeadSha = h.hash("", scopeSHA, strings.ToLower(ids.HeadSHA))
	name := func(a *Actor) string {
		who := s.people.Find(query(a, c, d.Event.TimeMs))
		if who.Prefix == identity.Key {
			return ""
		}
		return h.hash(who.Prefix, who.Scope, who.Raw)
	}
	o.MergedBy = name(&ids.MergedBy)
	for i := range ids.Reviewers {
		if r := name(&ids.Reviewers[i]); r != "" {
			o.Reviewers = append(o.Reviewers, r)
		}
	}
	o.Closes = refs(h, ids.Closes)
	o.Reverts = refs(h, ids.Reverts)
	o.CherryPicks = refs(h, ids.CherryPicks)
	if o.SelfMerged == nil && o.MergedBy != "" && name(&d.Actor) != "" {
		self := o.MergedBy == d.Event.Subject
		o.SelfMerged = &self
	}
}

func refs(h *hasher, list []Ref) []string {
	var out []string
	for _, r := range list {
		hash := h.hash("", scopeObject, r.Object)
		if r.SHA != "" {
			hash = h.hash("", scopeSHA, strings.ToLower(r.SHA))
		}
		if hash != "" {
			out = append(out, hash)
		}
	}
	return out
}

// kafkaKey returns the key of a completed event. It is made of the wire alone.
func kafkaKey(d *Draft, h *hasher) []byte {
	e := d.Event
	key := make([]byte, 0, len(e.Tenant)+1+2*IDSize)
	key = append(append(key, e.Tenant...), '|')
	switch {
	case e.Outcome != nil && d.Repository != "":
		return append(key, h.hash("", scopeRepository, d.Repository)...)
	case e.Outcome == nil && e.Conversation != "":
		return append(key, e.Conversation...)
	case e.Outcome == nil && len(e.RequestKey) > 0:
		return hex.AppendEncode(key, e.RequestKey)
	case d.RawID != "":
		return append(key, h.hash("", scopeRaw, d.RawID)...)
	default:
		return hex.AppendEncode(key, e.EventId)
	}
}
