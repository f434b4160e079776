package organisation

import "testing"

func TestRunawaysRunAtTwentyTimesTheUsualRate(t *testing.T) {
	if testing.Short() {
		t.Skip("a whole company, one event after the other")
	}
	o := newOrganisation(t, 8, func(c *Config) {
		small(c)
		c.RequestsPerWeek, c.Runaways, c.Gamers.Prevalence = 30, 5, 0
	})
	type at struct {
		subject string
		minute  int64
	}
	requests := map[at]int{}
	for r := range o.Records() {
		if r.Event.Usage != nil {
			requests[at{r.Event.Subject, r.Event.TimeMs / minute}]++
		}
	}
	if len(o.Runaways) != 5 {
		t.Fatalf("%d runaways: want 5", len(o.Runaways))
	}
	for _, r := range o.Runaways {
		length := (r.ToMs - r.FromMs) / minute
		if length < 10 || length > 30 || r.PerMinute != 20*r.P99 || r.P99 < 1 || r.Requests != r.PerMinute*int(length) || r.Tokens == 0 {
			t.Errorf("runaway %+v", r)
		}
		for m := r.FromMs/minute + 1; m < r.ToMs/minute; m++ {
			if n := requests[at{r.Subject, m}]; n < r.PerMinute-1 {
				t.Errorf("runaway %+v: %d requests in minute %d", r, n, m)
			}
		}
	}
}
