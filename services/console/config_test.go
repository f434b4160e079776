package console

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/goodhartlabs/goodhart/services/config"
)

func TestConfigExample(t *testing.T) {
	got := Default()
	if err := config.Load("config.example.yaml", &got, func(string) (string, bool) { return "", false }); err != nil {
		t.Fatal(err)
	}
	got.KeyringFile = "" // an example
	if diff := cmp.Diff(Default(), got, cmpopts.IgnoreUnexported(Config{}, got.Purpose)); diff != "" {
		t.Errorf("(-default +example)\n%s", diff)
	}
}

// Every problem is said at once, with its key.
func TestBadConfig(t *testing.T) {
	err := Config{TokensSince: "yesterday", Listen: "here"}.Validate()
	for _, want := range []string{"kafka.brokers", "listen:", "keyring_file:", "tokens_since:", "limits.requests_per_minute:", "limits.disputes_per_hour:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}
