package runaway

import (
	"strings"
	"testing"
)

// Of a few companies the guards tell of the runaways in time, and hardly ever of
// anybody else.
func TestRunawaysAreToldInTime(t *testing.T) {
	if testing.Short() {
		t.Skip("whole companies, one event after the other")
	}
	cfg := Default()
	cfg.Organisation.RequestsPerWeek = 30
	r, err := Run(cfg, []uint64{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	medians := r.Medians()
	delays, missed := r.Delays()
	if len(medians) != 2 || quantile(medians, 100) > Bound || len(delays)+missed != 2*cfg.Runaways || missed > 1 {
		t.Errorf("medians %v, delays %v, %d of %d missed", medians, delays, missed, len(delays)+missed)
	}
	classes := r.Classes()
	if all := classes[0]; all.Weeks < 2*cfg.Organisation.People*cfg.Organisation.Weeks/2 || all.PerThousand() > 1 {
		t.Errorf("%+v", classes)
	}
	surges := r.Surges()
	for _, k := range surges.Series {
		if len(k.Delays) < surges.Runaways/2 || k.False > 1 {
			t.Errorf("%+v", k)
		}
	}
	if surges.Runaways != 10 || surges.Watched < 6 || surges.Bytes > surges.Watched*(18<<10) {
		t.Errorf("%+v", surges)
	}
	text := r.Markdown()
	for _, part := range []string{"2 companies, 10 runaways", "| all subjects | ", "| retry storm | ", "| team | ", "| tenant | "} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	t.Log(text)
}
