// Package purposetest holds keys for tests of what takes a purpose.
package purposetest

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/goodhartlabs/goodhart/services/purpose"
)

// TenantKey is that of the tenant acme, hex.
const TenantKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// Keys are files: a configuration under which the two roles may act, and their
// private keys.
type Keys struct {
	Config           purpose.Config
	Officer, Manager string
}

// New makes keys of both roles.
func New(tb testing.TB) Keys {
	tb.Helper()
	var k Keys
	k.Config.KeyringFile = File(tb, "keyring.yaml", []byte("acme: "+TenantKey+"\n"))
	k.Officer, k.Config.Officer = Pair(tb)
	k.Manager, k.Config.Manager = Pair(tb)
	return k
}

// Pair makes the files of a private and a public key.
func Pair(tb testing.TB) (private, public string) {
	tb.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	a, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	b, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		tb.Fatal(err)
	}
	return File(tb, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: a})),
		File(tb, "pub.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: b}))
}

// File makes a file that is its owner's alone.
func File(tb testing.TB, name string, content []byte) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}
