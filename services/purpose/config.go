package purpose

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/services/keyring"
)

// Config says who may record and approve a purpose. The zero value is the
// default: nobody may.
type Config struct {
	// KeyringFile holds the keys of the tenants.
	KeyringFile string `yaml:"keyring_file"`
	// Officer and Manager are files with the public keys of those who hold the role
	// (the first) and of those who held it, PEM.
	Officer string `yaml:"privacy_officer"`
	Manager string `yaml:"managers_manager"`

	// clock stands for time.Now in tests.
	clock func() time.Time
}

// ErrOff means that nobody may see what concerns another.
var ErrOff = errors.New("purpose: off: it takes purpose.keyring_file, purpose.privacy_officer and purpose.managers_manager in the configuration; docs/privacy.md")

// Validate reports a configuration that names one role without the other.
func (c Config) Validate() error {
	if c.off() || c.KeyringFile != "" && c.Officer != "" && c.Manager != "" {
		return nil
	}
	return errors.New("purpose: keyring_file, privacy_officer and managers_manager: want all of them, or none")
}

func (c Config) off() bool { return c.KeyringFile == "" && c.Officer == "" && c.Manager == "" }

func (c Config) now() time.Time {
	if c.clock != nil {
		return c.clock()
	}
	return time.Now()
}

// people is who may act, and with which keys.
type people struct {
	ring  event.Keyring
	roles map[Role][]ed25519.PublicKey
}

// open reads the keys. It is ErrOff where nobody may act.
func (c Config) open() (*people, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.off() {
		return nil, ErrOff
	}
	ring, err := keyring.Read(c.KeyringFile)
	if err != nil {
		return nil, fmt.Errorf("purpose.%w", err)
	}
	officers, err := publicKeys(c.Officer)
	if err != nil {
		return nil, fmt.Errorf("purpose.privacy_officer: %w", err)
	}
	managers, err := publicKeys(c.Manager)
	if err != nil {
		return nil, fmt.Errorf("purpose.managers_manager: %w", err)
	}
	for _, a := range officers {
		for _, b := range managers {
			if a.Equal(b) {
				return nil, errors.New("purpose: the two roles have a key in common: nobody approves what they ask for themselves")
			}
		}
	}
	return &people{ring: ring, roles: map[Role][]ed25519.PublicKey{Officer: officers, Manager: managers}}, nil
}

// publicKeys reads the PUBLIC KEY blocks of a file.
func publicKeys(path string) ([]ed25519.PublicKey, error) {
	rest, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var keys []ed25519.PublicKey
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		key, ok := parsed.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, fmt.Errorf("%s: want Ed25519 public keys, PEM", path)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%s: want Ed25519 public keys, PEM", path)
	}
	return keys, nil
}

// signed reports whether somebody who holds or held a role has signed.
func (p *people) signed(role Role, content, signature []byte) bool {
	for _, key := range p.roles[role] {
		if ed25519.Verify(key, content, signature) {
			return true
		}
	}
	return false
}

// actor reads a private key and finds the role that it holds now.
func (p *people) actor(path string) (Role, ed25519.PrivateKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, fmt.Errorf("--key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", nil, fmt.Errorf("--key %s: mode %04o lets others read it: chmod 0600", path, info.Mode().Perm())
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", nil, fmt.Errorf("--key: %w", err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return "", nil, fmt.Errorf("--key %s: want an Ed25519 private key, PEM", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return "", nil, fmt.Errorf("--key %s: want an Ed25519 private key, PEM", path)
	}
	for _, role := range []Role{Officer, Manager} {
		if p.roles[role][0].Equal(key.Public()) {
			return role, key, nil
		}
	}
	return "", nil, fmt.Errorf("--key %s: it is of nobody who holds one of the two roles", path)
}
