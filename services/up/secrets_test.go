package up

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSecretsLast(t *testing.T) {
	cfg := Default()
	cfg.Data = t.TempDir()
	first, err := openSecrets(cfg)
	if err != nil {
		t.Fatal(err)
	}
	again, err := openSecrets(cfg)
	if err != nil || again != first || len(first.APIKey) != secretLength {
		t.Errorf("first %+v, again %+v, %v", first, again, err)
	}
	for _, name := range []string{"api-key", "hmac-key", "keys.yaml", "keyring.yaml"} {
		info, err := os.Stat(filepath.Join(cfg.Data, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	keys, err := os.ReadFile(first.KeysFile)
	if err != nil || strings.Contains(string(keys), first.APIKey) {
		t.Errorf("the keys file holds the key itself, or %v", err)
	}
	if err := os.WriteFile(filepath.Join(cfg.Data, "hmac-key"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openSecrets(cfg); err == nil || !strings.Contains(err.Error(), "hmac-key has 0 characters") {
		t.Errorf("a damaged key: %v", err)
	}
}
