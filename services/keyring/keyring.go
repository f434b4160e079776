// Package keyring reads the keys of the tenants: pseudonyms of people are made with
// them, and nothing that concerns one person works without.
package keyring

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/services/config"
)

// Read reads a YAML file that maps each tenant to its key in hex. It must be its
// owner's alone. Errors never quote a key.
func Read(path string) (event.Keyring, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("keyring_file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("keyring_file %s: mode %04o lets others read it: chmod 0600", path, info.Mode().Perm())
	}
	ring := map[string]string{}
	if err := config.Read(path, &ring); err != nil {
		return nil, fmt.Errorf("keyring_file: %w", err)
	}
	keys, err := Decode(ring)
	if err != nil {
		return nil, fmt.Errorf("keyring_file %s: %w", path, err)
	}
	return keys, nil
}

// ErrNone means that no keyring is configured.
var ErrNone = errors.New("keyring_file: missing: nothing that concerns one person works without the keys of the tenants")

// Decode turns hex into keys. Errors name the tenant, never the key.
func Decode(ring map[string]string) (event.Keyring, error) {
	keys := make(event.Keyring, len(ring))
	for tenant, text := range ring {
		key, err := hex.DecodeString(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("tenant %q: the key is not hex", tenant)
		}
		keys[tenant] = key
	}
	return keys, keys.Validate()
}
