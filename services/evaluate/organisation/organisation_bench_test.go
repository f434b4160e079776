package organisation

import "testing"

// The committed organisation of 1,000 people and 40 weeks has 3.7 million events.
func BenchmarkRecords(b *testing.B) {
	b.ReportAllocs()
	events := 0
	for b.Loop() {
		c := Default()
		c.People, c.Weeks, c.AnnouncedWeek = 200, 26, 18
		o, err := New(1, c)
		if err != nil {
			b.Fatal(err)
		}
		for range o.Records() {
			events++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
}
