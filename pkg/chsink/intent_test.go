package chsink

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProgressSurvivesItsEncoding(t *testing.T) {
	at := time.UnixMilli(1_790_000_000_123)
	roundTrip := func(p progress, text string) {
		t.Helper()
		if got := p.String(); got != text {
			t.Errorf("encoded %q, want %q", got, text)
		}
		got, err := parseProgress(text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, got, cmp.AllowUnexported(progress{}, intent{}, span{})); diff != "" {
			t.Error(diff)
		}
	}
	roundTrip(progress{topic: "0a1b2c3d"}, "v1;t=0a1b2c3d")
	roundTrip(progress{topic: "0a1b2c3d", verify: 7}, "v1;t=0a1b2c3d;c=7")
	roundTrip(progress{topic: "0a1b2c3d", pending: &intent{span: span{0, 0}, since: at}}, "v1;t=0a1b2c3d;p=0-0@1790000000123")
	roundTrip(progress{topic: "ffffffff", verify: 9, pending: &intent{span: span{5, 104}, since: at, split: true}},
		"v1;t=ffffffff;p=5-104@1790000000123;s;c=9")
}

func TestProgressOfOthersIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "v1", "v2;t=0a1b2c3d", "v1;t=0a1b2c3", "v1;t=0a1b2c3d;", "v1;t=0a1b2c3d;p=9-8@1", "v1;t=0a1b2c3d;p=1-2",
		"v1;t=0a1b2c3d;p=-1-2@3", "v1;t=0a1b2c3d;s", "v1;t=0a1b2c3d;p=1-9999999999999999999@3", "kgo-member-1",
	} {
		if p, err := parseProgress(text); err == nil {
			t.Errorf("%q was read as %+v", text, p)
		}
	}
}

func TestTokenNamesTheExactRange(t *testing.T) {
	o := Origin{Topic: "x", TopicID: [16]byte{0xab, 0xcd, 0xef, 0x01, 0x99}, Partition: 3}
	for got, want := range map[string]string{
		token(o, span{10, 19}):              "abcdef01:3:10-19",
		splitToken(o, span{10, 19}, 202601): "abcdef01:3:10-19/202601",
		o.Name():                            "x@abcdef01",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	seen := map[string]span{}
	for first := range int64(20) {
		for last := first; last < 40; last++ {
			s := span{first, last}
			if other, ok := seen[token(o, s)]; ok {
				t.Fatalf("ranges %v and %v share a token", s, other)
			}
			seen[token(o, s)] = s
		}
	}
}

func FuzzParseProgress(f *testing.F) {
	f.Add("v1;t=0a1b2c3d")
	f.Add("v1;t=ffffffff;p=5-104@1790000000123;s;c=9")
	f.Add("v1;t=ffffffff;p=104-5@1")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseProgress(text)
		if err != nil {
			return
		}
		again, err := parseProgress(p.String())
		if err != nil {
			t.Fatalf("%q reads, but not as %q: %v", text, p.String(), err)
		}
		if again.String() != p.String() {
			t.Fatalf("%q became %q", p.String(), again.String())
		}
	})
}
