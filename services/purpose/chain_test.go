package purpose

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/event"
)

// What follows another record is refused, though a role has signed it.
func TestChain(t *testing.T) {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	ring := event.Keyring{"acme": make([]byte, event.MinKey)}
	e := Entry{
		Seq: 1, Kind: Requested, Tenant: "acme", Subject: "p_" + strings.Repeat("0", 32), Role: Officer,
		Until: time.Hour.Milliseconds(), Reason: "a reason that is long enough",
	}
	e.ID = e.identify()
	for prev, good := range map[string]bool{"": true, "another": false} {
		e.Prev = prev
		c := newChain(&people{ring: ring, roles: map[Role][]ed25519.PublicKey{Officer: {public}}})
		if err := c.add(e.sign(key, ring["acme"])); (err == nil) != good {
			t.Errorf("after %q: %v", prev, err)
		}
	}
}

// The seal holds what was said together with who signed it: whoever holds a role,
// and not the tenant's key, changes neither.
func TestSealHoldsTheSignature(t *testing.T) {
	pairs := make([]ed25519.PrivateKey, 2)
	var public []ed25519.PublicKey
	for i := range pairs {
		p, key, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		pairs[i], public = key, append(public, p)
	}
	ring := event.Keyring{"acme": make([]byte, event.MinKey)}
	e := Entry{
		Seq: 1, Kind: Requested, Tenant: "acme", Subject: "p_" + strings.Repeat("0", 32), Role: Officer,
		Until: time.Hour.Milliseconds(), Reason: "a reason that is long enough",
	}
	e.ID = e.identify()
	e.sign(pairs[0], ring["acme"])
	f := func(name, want string, forge func(e *Entry)) {
		t.Helper()
		forged := e
		forge(&forged)
		value, err := json.Marshal(forged)
		if err != nil {
			t.Fatal(err)
		}
		c := newChain(&people{ring: ring, roles: map[Role][]ed25519.PublicKey{Officer: public}})
		if err := c.add(value); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	again := func(e *Entry, key ed25519.PrivateKey) {
		e.Signature = hex.EncodeToString(ed25519.Sign(key, e.content()))
	}
	f("as it was", "", func(*Entry) {})
	f("changed", "signature", func(e *Entry) { e.Until-- })
	f("for the other role", "signature", func(e *Entry) {
		e.Role = Manager
		again(e, pairs[0])
	})
	f("signed by another of the role", "seal", func(e *Entry) { again(e, pairs[1]) })
	f("changed and signed", "seal", func(e *Entry) {
		e.Reason += ", or so"
		e.ID = e.identify()
		again(e, pairs[0])
	})
}
