package up

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// tenant is the tenant of the key that the first start makes.
const tenant = "local"

// secrets are the files that a first start makes: one API key, and the key
// under which people become pseudonyms. They are readable by their owner only.
type secrets struct {
	// APIKey is empty when the keys come from a file of the user's.
	APIKey      string
	KeysFile    string
	KeyringFile string
}

func openSecrets(cfg Config) (secrets, error) {
	s := secrets{
		KeysFile:    cfg.Keys,
		KeyringFile: filepath.Join(cfg.Data, "keyring.yaml"),
	}
	hmacKey, err := secret(filepath.Join(cfg.Data, "hmac-key"))
	if err != nil {
		return secrets{}, err
	}
	keyring := fmt.Sprintf("%s: %s\ndemo: %s\n", tenant, hmacKey, hmacKey)
	if err := os.WriteFile(s.KeyringFile, []byte(keyring), 0o600); err != nil {
		return secrets{}, fmt.Errorf("write keyring: %w", err)
	}
	if cfg.Keys != "" {
		return s, nil
	}
	if s.APIKey, err = secret(filepath.Join(cfg.Data, "api-key")); err != nil {
		return secrets{}, err
	}
	s.KeysFile = filepath.Join(cfg.Data, "keys.yaml")
	hash := sha256.Sum256([]byte(s.APIKey))
	keys := fmt.Sprintf("keys:\n  - id: local\n    sha256: %s\n    tenant: %s\n    accounting: billable\n    counts_alone: [span]\n", hex.EncodeToString(hash[:]), tenant)
	if err := os.WriteFile(s.KeysFile, []byte(keys), 0o600); err != nil {
		return secrets{}, fmt.Errorf("write keys: %w", err)
	}
	return s, nil
}

// secretLength is that of 32 bytes in hex.
const secretLength = 64

// secret reads a secret of 32 random bytes in hex, making it the first time.
func secret(path string) (string, error) {
	b, err := os.ReadFile(path)
	switch {
	case err == nil && len(b) != secretLength:
		return "", fmt.Errorf("secret %s has %d characters, not %d: restore it, or remove it to get a new one", path, len(b), secretLength)
	case err == nil:
		return string(b), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read secret: %w", err)
	}
	var raw [secretLength / 2]byte
	_, _ = rand.Read(raw[:]) // never fails
	text := hex.EncodeToString(raw[:])
	// Whole or not at all: half a key would give everybody another pseudonym.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write secret: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return "", fmt.Errorf("write secret: %w", err)
	}
	return text, nil
}
