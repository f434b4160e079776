package purpose

import (
	"crypto/ed25519"
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
