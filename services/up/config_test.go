package up

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The alerter's file is read with the rest of the configuration: its problems are
// known before anything runs, and its Kafka is the pipeline's.
func TestAlerterFile(t *testing.T) {
	cfg := Default()
	cfg.Broker = "127.0.0.1:19092"
	cfg.Alerter = filepath.Join(t.TempDir(), "alerter.yaml")
	cfg.Getenv = func(name string) (string, bool) { return "http://127.0.0.1:1", name == "CHAT" }
	f := func(text string, problems ...string) {
		t.Helper()
		if err := os.WriteFile(cfg.Alerter, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := cfg.Validate()
		if len(problems) == 0 && err != nil {
			t.Error(err)
		}
		for _, problem := range problems {
			if err == nil || !strings.Contains(err.Error(), problem) {
				t.Errorf("%v does not name %s", err, problem)
			}
		}
	}
	f(`receivers: [{name: Chat, slack: {url: "${CHAT}"}}]`, "alerter_file.receivers[0].name", "alerter_file.rules: none")
	f(`receivers: [{name: chat, slack: {url: "${SECRET}"}}]`, "alerter_file.config", "SECRET is not set")
	f("kafka: {brokers: [elsewhere:9092]}\nreceivers: [{name: chat, slack: {url: \"${CHAT}\"}}]\nrules: [{to: [chat]}]\n")
	a, err := cfg.alerter()
	if err != nil || len(a.Kafka.Brokers) != 1 || a.Kafka.Brokers[0] != cfg.Broker {
		t.Errorf("%+v, %v", a.Kafka, err)
	}
}
