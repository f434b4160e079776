package event_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	"github.com/goodhartlabs/goodhart/pkg/event"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const asked = "Please summarise the whole code base in twenty words, and then once more."

// quoting is a draft whose announcement quotes content.
func quoting(c event.Content, change ...func(*event.Draft)) *event.Draft {
	return usage(append(change, func(d *event.Draft) { d.Content = func() event.Content { return c } })...)
}

// derived stamps a draft and returns its usage.
func derived(t *testing.T, s *event.Stamper, d *event.Draft) *goodhartv1.Usage {
	t.Helper()
	_, e := stamp(t, s, d, acme())
	return e.Usage
}

func turn(text string) event.Content { return event.Content{Turn: text} }

func TestATurnIsHashedByItsWords(t *testing.T) {
	s := event.NewStamper(keys(), nil, nil)
	h64 := func(text string) *uint64 { return derived(t, s, quoting(turn(text))).H64 }
	want := h64(asked)
	if want == nil {
		t.Fatal("a turn of thirteen words has no hash")
	}
	for name, same := range map[string]string{
		"case":        strings.ToUpper(asked),
		"spaces":      "\n " + strings.ReplaceAll(asked, " ", "\t  ") + " \n",
		"punctuation": strings.ReplaceAll(asked, ",", " -"),
	} {
		if got := h64(same); got == nil || *got != *want {
			t.Errorf("%s: another hash", name)
		}
	}
	for name, other := range map[string]string{
		"a word": strings.Replace(asked, "twenty", "thirty", 1), "a number": asked + " 2", "joined": strings.Replace(asked, "once more", "oncemore", 1),
	} {
		if got := h64(other); got == nil || *got == *want {
			t.Errorf("%s: the same hash", name)
		}
	}
	for text, known := range map[string]bool{
		"":                                          false,
		"yes please go on, as you said":             false, // seven words
		"yes please go on, as you said!":            false,
		"yes, please do go on, as you said":         true,
		"请总结整个代码库":                                  true, // eight letters without a space
		"请总结整个代码":                                   false,
		"---- !!!!! ????? .... ,,,, ;;;; :::: ((((": false,
		"\xff\xfe\xff a b c d e f g":                false,
	} {
		if got := h64(text); (got != nil) != known {
			t.Errorf("%q: hash %v", text, got)
		}
	}
}

// One key hashes for thirty days of event time: sent again, whenever that is, the
// same turn has the same hash; afterwards nobody can tell that it is the same.
func TestHashesOfContentDieAfterThirtyDays(t *testing.T) {
	s := event.NewStamper(keys(), nil, nil)
	const epoch = 30 * 24 * time.Hour
	begin := time.UnixMilli(now.UnixMilli() / epoch.Milliseconds() * epoch.Milliseconds())
	at := func(when time.Time, received time.Time, c event.Credential) (uint64, uint64) {
		d := quoting(event.Content{Turn: asked, Target: "a.go", TargetKnown: true}, func(d *event.Draft) { d.Event.TimeMs = when.UnixMilli() })
		if _, rej := s.Stamp(d, &c, received); rej != nil {
			t.Fatal(rej)
		}
		return *d.Event.Usage.H64, *d.Event.Usage.TargetH64
	}
	hash, target := at(begin, now, acme())
	for name, c := range map[string]struct {
		when, received time.Time
		tenant         string
		same           bool
	}{
		"sent again":        {begin, now.Add(time.Hour), "acme", true},
		"the last ms":       {begin.Add(epoch - time.Millisecond), begin.Add(epoch), "acme", true},
		"the next epoch":    {begin.Add(epoch), begin.Add(epoch), "acme", false},
		"the one before":    {begin.Add(-time.Millisecond), now, "acme", false},
		"of another tenant": {begin, now, "beta", false},
	} {
		h, g := at(c.when, c.received, event.Credential{ID: "k", Tenant: c.tenant})
		if (h == hash) != c.same || (g == target) != c.same {
			t.Errorf("%s: turn %v, target %v: want the same %v", name, h == hash, g == target, c.same)
		}
	}
	if hash == target {
		t.Error("turn and target are hashed alike")
	}
}

func TestTargetsAreKnownOrNot(t *testing.T) {
	s := event.NewStamper(keys(), nil, nil)
	a := derived(t, s, quoting(event.Content{Target: "a.go", TargetKnown: true})).TargetH64
	b := derived(t, s, quoting(event.Content{Target: "b.go", TargetKnown: true})).TargetH64
	none := derived(t, s, quoting(event.Content{TargetKnown: true})).TargetH64
	if a == nil || b == nil || none == nil || *a == *b || *a == *none {
		t.Errorf("targets a, b, none: %v, %v, %v", a, b, none)
	}
	if unknown := derived(t, s, quoting(turn(asked))).TargetH64; unknown != nil {
		t.Errorf("an unknown target has hash %x", *unknown)
	}
}

// What a source states itself stands, and hashes of two makers are not mixed.
func TestWhatASourceStatesStands(t *testing.T) {
	s := event.NewStamper(keys(), nil, nil)
	content := event.Content{Turn: strings.Repeat(asked, 200), Target: "a.go", TargetKnown: true}
	stated := &goodhartv1.Usage{H64: p[uint64](7), NewTurnTokens: p[int64](5), KappaPpm: p[int32](9)}
	u := derived(t, s, quoting(content, func(d *event.Draft) {
		d.Event.Usage.H64, d.Event.Usage.NewTurnTokens, d.Event.Usage.KappaPpm = stated.H64, stated.NewTurnTokens, stated.KappaPpm
	}))
	got := &goodhartv1.Usage{H64: u.H64, TargetH64: u.TargetH64, NewTurnTokens: u.NewTurnTokens, KappaPpm: u.KappaPpm}
	if !proto.Equal(got, stated) {
		t.Errorf("%v: want %v", got, stated)
	}
	blind := event.NewStamper(keys(), nil, nil, event.WithoutContent())
	u = derived(t, blind, quoting(content, func(d *event.Draft) {
		d.Content = func() event.Content { t.Error("content was read"); return content }
	}))
	if u.H64 != nil || u.TargetH64 != nil || u.NewTurnTokens != nil || u.KappaPpm != nil {
		t.Errorf("without content: %v", u)
	}
}

// The ratio is that of zlib, from 8 KiB on; filler lies far below what people write.
func TestFillerIsTold(t *testing.T) {
	s := event.NewStamper(keys(), nil, nil)
	kappa := func(text string) *int32 { return derived(t, s, quoting(turn(text))).KappaPpm }
	var code strings.Builder
	for _, name := range []string{"content.go", "stamp.go", "event.go", "hash.go"} {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(raw)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 16<<10)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	for name, c := range map[string]struct {
		text      string
		low, high int32
	}{
		"filler of 8 KiB":  {strings.Repeat("lorem ipsum ", 1000)[:8<<10], 1_000, 30_000},
		"filler of 64 KiB": {strings.Repeat("lorem ipsum ", 6000)[:64<<10], 1_000, 30_000},
		"code":             {code.String()[:8<<10], 200_000, 600_000},
		"noise":            {string(noise), 1_000_000, 1_010_000},
	} {
		got := kappa(c.text)
		if got == nil || *got < c.low || *got > c.high {
			t.Errorf("%s: %v: want %d to %d", name, fmt.Sprint(got), c.low, c.high)
		}
	}
	if got := kappa(code.String()[:8<<10-1]); got != nil {
		t.Errorf("a turn under 8 KiB has ratio %d", *got)
	}
	u := derived(t, s, quoting(turn(code.String()[:8<<10])))
	if u.GetNewTurnTokens() != 2048 {
		t.Errorf("8 KiB are %d tokens: want 2048", u.GetNewTurnTokens())
	}
}

// An activity takes the ratio of what it quotes, and no hash.
func TestActivitiesTakeTheRatioAlone(t *testing.T) {
	s := event.NewStamper(keys(), nil, nil)
	_, e := stamp(t, s, quoting(turn(strings.Repeat("lorem ipsum ", 1000)), func(d *event.Draft) {
		d.Event.Usage = nil
		d.Event.Activity = &goodhartv1.Activity{Name: "user_prompt", Numbers: []*goodhartv1.Number{{Key: "prompt_length", Value: 12000}}}
	}), acme())
	var keys []string
	for _, n := range e.Activity.Numbers {
		keys = append(keys, n.Key)
	}
	if diff := cmp.Diff([]string{"kappa_ppm", "prompt_length"}, keys); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkContent is what a turn costs beside the rest of its event.
func BenchmarkContent(b *testing.B) {
	raw, err := os.ReadFile("stamp.go")
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range []int{1 << 10, 8 << 10, 64 << 10, 1 << 20} {
		text := strings.Repeat(string(raw), size/len(raw)+1)[:size]
		s := event.NewStamper(keys(), nil, nil)
		b.Run(fmt.Sprintf("%d_KiB", size>>10), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				d := quoting(event.Content{Turn: text, Target: "a.go", TargetKnown: true})
				if _, rej := s.Stamp(d, p(acme()), now); rej != nil {
					b.Fatal(rej)
				}
			}
		})
	}
}
