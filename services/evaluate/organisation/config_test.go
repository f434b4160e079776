package organisation

import (
	"strings"
	"testing"
)

// hashes of the committed configuration by its version. A changed value takes a
// new version and a new line here; a line is never changed.
func hashes() map[int]string {
	return map[int]string{1: "df83e02f7cc46cbd"}
}

func TestAVersionIsOneConfiguration(t *testing.T) {
	c := Default()
	if want := hashes()[c.Version]; c.Hash() != want {
		t.Errorf("version %d: hash %s: want %q, or the next version", c.Version, c.Hash(), want)
	}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if other := Default(); func() string { other.Gamers.Prevalence = .2; return other.Hash() }() == c.Hash() {
		t.Error("another prevalence has the same hash")
	}
}

func TestConfigurationSaysAllThatIsWrong(t *testing.T) {
	c := Default()
	c.People, c.Weeks, c.Start, c.Roles[0].Share, c.Roles[1].Tool = 10, 60, "2025-12-02", .9, "abacus"
	err := c.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"people: 10", "weeks: 60", `start: "2025-12-02"`, "sum of shares", `roles[1].tool: "abacus"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %s in it", err, want)
		}
	}
}
