package schemas

import "testing"

// The vectors are those of Apache Kafka's own UtilsTest.
func TestMurmur2(t *testing.T) {
	f := func(in string, want int32) {
		t.Helper()
		if got := int32(murmur2([]byte(in))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", in, got, want)
		}
	}
	f("21", -973932308)
	f("foobar", -790332482)
	f("a-little-bit-long-string", -985981536)
	f("a-little-bit-longer-string", -1486304829)
	f("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971)
	f("abc", 479470107)
}

func TestPartition(t *testing.T) {
	seen := map[int32]int{}
	for i := range 10_000 {
		p := Partition([]byte{byte(i), byte(i >> 8), 'k'}, 8)
		if p < 0 || p > 7 {
			t.Fatalf("partition %d out of range", p)
		}
		seen[p]++
	}
	for p, n := range seen {
		if n < 1000 || n > 1500 {
			t.Errorf("partition %d holds %d of 10,000 keys", p, n)
		}
	}
}
