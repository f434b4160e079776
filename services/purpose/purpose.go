// Package purpose decides who but the person may see what concerns one person, and
// writes down who did. It takes a purpose that one of two roles has recorded and
// the other has approved, with a reason and an end; each look is recorded before
// anything is shown. All of it is a chain of signed records on
// goodhart.purpose.v1 that is only ever added to.
//
// A record is signed by the role that acts (Ed25519) and sealed with the key of
// the tenant: without the keyring nothing can be recorded and nothing can be seen.
// It names the hash of the record before it, so that one that is changed, removed
// or slipped in breaks the chain; a broken chain grants nothing to anybody.
package purpose

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/goodhartlabs/goodhart/pkg/event"
)

// Role is who acts.
type Role string

// The two roles. Neither can do anything alone.
const (
	// Officer is the privacy officer.
	Officer Role = "privacy_officer"
	// Manager is the manager of the person's manager.
	Manager Role = "managers_manager"
)

// Kind is what a record says.
type Kind string

// The kinds.
const (
	// Requested: a role asks to see what concerns a person.
	Requested Kind = "request"
	// Approved: the other role agrees.
	Approved Kind = "approve"
	// Withdrawn: one of the two ends it.
	Withdrawn Kind = "withdraw"
	// Used: one of the two looks.
	Used Kind = "use"
)

// Entry is a record of the topic.
type Entry struct {
	// Seq counts from 1; Prev is the SHA-256 of the value before, hex.
	Seq  int64  `json:"seq"`
	Prev string `json:"prev"`
	Kind Kind   `json:"kind"`
	// ID of the purpose: that of a request is made of what it says.
	ID     string `json:"id"`
	Tenant string `json:"tenant"`
	// Subject is the pseudonym that it is about.
	Subject string `json:"subject"`
	Role    Role   `json:"role"`
	// At and Until are ms since the epoch; Until is the end of the purpose.
	At    int64 `json:"at"`
	Until int64 `json:"until"`
	// Reason why, in words, of a request.
	Reason string `json:"reason,omitempty"`
	// What was looked at, of a use.
	What string `json:"what,omitempty"`
	// Signature of the role and seal of the tenant, hex.
	Signature string `json:"signature,omitempty"`
	Seal      string `json:"seal,omitempty"`
}

// What a purpose may be.
const (
	leastReason = 20
	mostReason  = 500
	// mostDays is how long a purpose may last.
	mostDays = 30
)

var pseudonym = regexp.MustCompile(`^[pak]_[0-9a-f]{32}$`)

// Validate reports everything that a request lacks.
func (e *Entry) validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(!event.IsLabel(e.Tenant), "tenant: %q is not a label", e.Tenant)
	bad(!pseudonym.MatchString(e.Subject), "subject: want the pseudonym of a person, an account or a personal key")
	n := utf8.RuneCountInString(e.Reason)
	bad(n < leastReason || n > mostReason, "reason: %d characters: want %d to %d that say why", n, leastReason, mostReason)
	bad(strings.Contains(e.Reason, "@"), "reason: an e-mail address has no place in it")
	bad(strings.ContainsFunc(e.Reason, func(r rune) bool { return !unicode.IsPrint(r) }), "reason: want one line of text")
	span := time.Duration(e.Until-e.At) * time.Millisecond
	bad(span <= 0 || span > mostDays*24*time.Hour, "until: want an end within %d days from now", mostDays)
	return errors.Join(errs...)
}

// content is what is signed.
func (e Entry) content() []byte {
	e.Signature, e.Seal = "", ""
	b, err := json.Marshal(e)
	if err != nil {
		panic("purpose: an entry does not encode: " + err.Error())
	}
	return b
}

// identify is the id of a request.
func (e *Entry) identify() string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d|%s|%s|%d|%d|%s", e.Seq, e.Tenant, e.Subject, e.At, e.Until, e.Reason))
	return hex.EncodeToString(sum[:8])
}

// sign signs and seals an entry and returns its value.
func (e *Entry) sign(key ed25519.PrivateKey, tenantKey []byte) []byte {
	content := e.content()
	e.Signature = hex.EncodeToString(ed25519.Sign(key, content))
	e.Seal = hex.EncodeToString(seal(tenantKey, content, e.Signature))
	b, err := json.Marshal(e)
	if err != nil {
		panic("purpose: an entry does not encode: " + err.Error())
	}
	return b
}

// seal is made with a key of its own, which the tenant's gives.
func seal(tenantKey, content []byte, signature string) []byte {
	derive := hmac.New(sha256.New, tenantKey)
	derive.Write([]byte("purpose|v1"))
	mac := hmac.New(sha256.New, derive.Sum(nil))
	mac.Write(content)
	mac.Write([]byte(signature))
	return mac.Sum(nil)
}

// Grant is a purpose in force.
type Grant struct {
	ID, Tenant, Subject, Reason string
	Until                       time.Time
}

// chain is the whole log, verified.
type chain struct {
	people  *people
	entries []Entry
	last    string // hash of the last value
	// purposes by id.
	purposes map[string]*state
}

// state is what has become of a purpose.
type state struct {
	request             Entry
	approved, withdrawn bool
}

func newChain(p *people) *chain { return &chain{people: p, purposes: map[string]*state{}} }

// decode reads a value that comes after so many others, the last with a hash.
func decode(value []byte, before int64, last string) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(value, &e); err != nil {
		return e, fmt.Errorf("decode: %w", err)
	}
	if e.Seq != before+1 || e.Prev != last {
		return e, errors.New("it does not follow the record before it")
	}
	return e, nil
}

func hash(value []byte) string {
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:])
}

// add takes the next value of the topic. An error means that the log is not to be
// trusted.
func (c *chain) add(value []byte) error {
	e, err := decode(value, int64(len(c.entries)), c.last)
	if err != nil {
		return err
	}
	signature, err := hex.DecodeString(e.Signature)
	if err != nil || !c.people.signed(e.Role, e.content(), signature) {
		return errors.New("its signature is of nobody who holds or held the role")
	}
	if key, ok := c.people.ring[e.Tenant]; ok { // a tenant whose key was deleted has no grants
		given, err := hex.DecodeString(e.Seal)
		if err != nil || !hmac.Equal(given, seal(key, e.content(), e.Signature)) {
			return errors.New("its seal is not the tenant's")
		}
	}
	if err := c.follows(&e); err != nil {
		return err
	}
	c.take(e, value)
	return nil
}

// follows reports why an entry cannot come after those before it; nil if it can.
func (c *chain) follows(e *Entry) error {
	if e.Kind == Requested {
		switch err := e.validate(); {
		case err != nil:
			return err
		case e.ID != e.identify() || c.purposes[e.ID] != nil:
			return errors.New("it has the id of another")
		}
		return nil
	}
	p := c.purposes[e.ID]
	switch {
	case p == nil:
		return fmt.Errorf("purpose %s: there is none", e.ID)
	case e.Tenant != p.request.Tenant || e.Subject != p.request.Subject || e.Until != p.request.Until:
		return fmt.Errorf("purpose %s: it speaks of another", e.ID)
	case p.withdrawn:
		return fmt.Errorf("purpose %s: it was withdrawn", e.ID)
	case e.At >= p.request.Until:
		return fmt.Errorf("purpose %s: it ended at %s", e.ID, stamp(p.request.Until))
	case e.Kind == Approved && p.approved:
		return fmt.Errorf("purpose %s: it is approved already", e.ID)
	case e.Kind == Approved && e.Role == p.request.Role:
		return fmt.Errorf("purpose %s: the %s has asked for it: the other role approves it", e.ID, e.Role)
	case e.Kind == Used && !p.approved:
		return fmt.Errorf("purpose %s: the other role has not approved it", e.ID)
	case e.Kind != Approved && e.Kind != Used && e.Kind != Withdrawn:
		return fmt.Errorf("kind %q: unknown", e.Kind)
	}
	return nil
}

func (c *chain) take(e Entry, value []byte) {
	c.last = hash(value)
	c.entries = append(c.entries, e)
	switch e.Kind {
	case Requested:
		c.purposes[e.ID] = &state{request: e}
	case Approved:
		c.purposes[e.ID].approved = true
	case Withdrawn:
		c.purposes[e.ID].withdrawn = true
	case Used:
	}
}

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
