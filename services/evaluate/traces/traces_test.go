package traces

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

func read(t *testing.T) *Set {
	t.Helper()
	s, err := Read("testdata")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pick returns the base of that name.
func pick(t *testing.T, name string) *Base {
	t.Helper()
	for _, b := range read(t).Bases() {
		if b.Name == name {
			return b
		}
	}
	t.Fatalf("no base %s", name)
	return nil
}

func TestEveryFormatIsRead(t *testing.T) {
	var files []string
	rows := map[string]int{}
	for _, f := range read(t).Files {
		files = append(files, f.Path)
		rows[f.Path] = f.Rows
	}
	// The last line of sizes.csv has no end.
	if diff := cmp.Diff(map[string]int{"clients.csv": 468, "jobs.swf": 386, "prefixes.jsonl": 80, "sizes.csv": 80}, rows); diff != "" {
		t.Error(diff)
	}
	if !slices.IsSorted(files) {
		t.Errorf("files in order %v", files)
	}
	type shape struct {
		Name                    string
		People, Weeks, Requests int
		Clients, Prefixed       bool
	}
	var got []shape
	for _, b := range read(t).Bases() {
		got = append(got, shape{b.Name, len(b.People), b.Weeks, b.Requests(), b.Clients, b.Prefixed})
	}
	want := []shape{
		{"clients", 3, 2, 468, true, false},
		{"jobs × prefixes", 7, 8, 386, false, true},
		{"jobs × sizes", 7, 8, 386, false, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestJobsBecomeRequests(t *testing.T) {
	b := pick(t, "jobs × sizes")
	// Friday, 1 October 1993, is in the week of Monday, 27 September; 28 years later it
	// is a Friday again. The first jobs are on Monday the 4th, at nine in the
	// morning of the log's time.
	if b.From() != "2021-10-04" || b.Offset != -480 {
		t.Errorf("weeks from %s, offset %d", b.From(), b.Offset)
	}
	unit := map[[2]int64]bool{} // the pairs of the trace of sizes
	for _, r := range read(t).sizes[1].requests {
		unit[[2]int64{r.Context, r.Output}] = true
	}
	usual := 0
	for i := range b.People {
		for _, r := range b.People[i].Requests {
			if hour := b.local(r.At) % window.Day / window.Hour; hour < 8 || hour > 18 {
				t.Errorf("a job of working hours at %d o'clock", hour)
			}
			if r.weight == 1 {
				usual++
				if !unit[[2]int64{r.Context, r.Output}] {
					t.Errorf("context %d and output %d are of no request", r.Context, r.Output)
				}
			}
			if r.Read != Unknown || r.New != Unknown || r.Prompt != 0 {
				t.Errorf("%+v: the trace says nothing of prefixes", r)
			}
		}
	}
	// Half of the jobs are not larger than the median one.
	if usual < 190 || usual > 200 {
		t.Errorf("%d jobs of usual size", usual)
	}
	if w, ok := b.Onset(0); !ok || w != LeastBefore {
		t.Errorf("onset in week %d, %v", w, ok)
	}
	if _, ok := b.Onset(6); ok {
		t.Error("who worked in two weeks can be injected")
	}
	late := &Base{People: []Person{{Tokens: []float64{1, 1, 0, 1, 1, 0, 1, 1}}, {Tokens: []float64{1, 1, 0, 1, 1, 0, 1, 1, 1}}}}
	if w, ok := late.Onset(0); ok {
		t.Errorf("onset in week %d, two weeks before the end", w)
	}
	if w, ok := late.Onset(1); !ok || w != 6 {
		t.Errorf("onset in week %d, %v: want the fifth week of work", w, ok)
	}
}

func TestPrefixesSayWhatIsNew(t *testing.T) {
	seen := map[int64]int64{}
	f := func(name string, at, input int64, blocks []int64, read, fresh int64) Request {
		t.Helper()
		r := sizeOf(at, input, 9, blocks, seen)
		if r.Read != read || r.New != fresh || r.Context != input {
			t.Errorf("%s: read %d, new %d of %d: want %d, %d", name, r.Read, r.New, r.Context, read, fresh)
		}
		return r
	}
	first := f("a first prompt", 0, 1000, []int64{1, 2}, 0, 1000)
	f("it goes on", 10_000, 1500, []int64{1, 3, 4}, 512, 1500-512)
	again := f("it comes again", 20_000, 1000, []int64{1, 2}, 1000, 1000-512)
	f("the cache has forgotten it, we have not", 400_000, 1100, []int64{1, 3, 5}, 0, 1100-1024)
	other := f("another", 400_001, 600, []int64{6, 7}, 0, 600)
	if first.Prompt != again.Prompt || first.Target != again.Target {
		t.Error("a repeat has another pair")
	}
	if other.Prompt == first.Prompt || other.Target == first.Target {
		t.Error("another prompt has the same pair")
	}
}

func TestHoursOfClients(t *testing.T) {
	b := pick(t, "clients")
	for i, wantHours := range []int{336, 84, 48} {
		if got := len(b.People[i].Requests); got != wantHours {
			t.Errorf("client %d: %d hours, want %d", i, got, wantHours)
		}
	}
	if r := b.People[2].Requests[0]; r.Context != Unknown || r.Output != Unknown {
		t.Errorf("a client without means has %+v", r)
	}
	if r := b.People[0].Requests[3]; (r.At-b.Start)/window.Hour != 3 || r.Context%400 != 0 || r.Context == 0 {
		t.Errorf("the fourth hour is %+v", r)
	}
}

func TestHoursOfWeeks(t *testing.T) {
	// The clients ask every hour, every fourth and every seventh of two weeks.
	if diff := cmp.Diff([]int{24, 24, 42, 42, 168, 168}, pick(t, "clients").Hours()); diff != "" {
		t.Error(diff)
	}
	hours := pick(t, "jobs × sizes").Hours()
	if most := hours[len(hours)-1]; len(hours) != 50 || most > 8 || hours[0] != 1 {
		t.Errorf("eight jobs a week in %d hours at most, %d weeks", most, len(hours))
	}
}

func TestWhatIsWrongHasAPlace(t *testing.T) {
	const (
		swf      = "; UnixStartTime: 749458803\n1 0 -1 5 2 -1 -1 -1 -1 -1 -1 1 1 1 -1 -1 -1 -1\n"
		azure    = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
		servegen = "category,model,client,hour,requests,mean_cv,mean_input_tokens,mean_output_tokens\n"
		mooncake = `{"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [0, 1]}` + "\n"
	)
	for _, c := range []struct {
		file, text, where string
	}{
		{"a.swf", swf + "2 x -1 5 2 -1 -1 -1 -1 -1 -1 1 1 1 -1 -1 -1 -1\n", "a.swf:3: column 2 submit"},
		{"a.swf", swf + "2 7 -1 5 2\n", "a.swf:3: column 5: 5 columns, want 18"},
		{"a.swf", strings.TrimPrefix(swf, "; UnixStartTime: 749458803\n"), "a.swf:1: column 2 submit: the header has no UnixStartTime"},
		{"a.swf", "; UnixStartTime: soon\n", "a.swf:1: column 1: header UnixStartTime"},
		{"a.swf", "; UnixStartTime: 749458803\n", "a.swf:2: column 1 job: no jobs"},
		{"b.csv", azure + "2023-11-16 18:17:03.9799600,48,ten\n", "b.csv:2: column GeneratedTokens"},
		{"b.csv", azure + "yesterday,48,10\n", "b.csv:2: column TIMESTAMP"},
		{"b.csv", azure + "2023-11-16 18:17:03.9799600,-1,10\n", "b.csv:2: column ContextTokens"},
		{"b.csv", azure + "2023-11-16 18:17:03.9799600,48\n", "b.csv:2: column 2: 2 columns, want 3"},
		{"b.csv", azure, "b.csv:2: column 1: no requests"},
		{"c.csv", servegen + "language,m,0,1.5,9,1,4,4\n", "c.csv:2: column hour"},
		{"c.csv", servegen + "language,m,0,1,0,1,4,4\n", "c.csv:2: column requests"},
		{"c.csv", servegen + "language,m,0,1,9,1,NaN,4\n", "c.csv:2: column mean_input_tokens"},
		{"d.jsonl", mooncake + `{"timestamp": 0, "input_length": "x", "output_length": 5, "hash_ids": [0, 1]}`, "d.jsonl:2: column input_length"},
		{"d.jsonl", mooncake + `{"timestamp": 0, "input_length": 600, "hash_ids": [0, 1]}`, "d.jsonl:2: column output_length"},
		{"d.jsonl", mooncake + `{"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": []}`, "d.jsonl:2: column hash_ids"},
		{"d.jsonl", mooncake + `{"user": 1}`, "d.jsonl:2: column 1"},
		{"e.csv", "user,time,tokens\nme,now,5\n", "e.csv:1: column 1: header"},
		{"e.csv", "", "e.csv:1: column 1: the file is empty"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Read(dir)
		var wrong *Error
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.where) {
			t.Errorf("%q: %v, want %s", c.text, err, c.where)
		}
	}
	if _, err := Read(t.TempDir()); err == nil || !strings.Contains(err.Error(), "known format") {
		t.Errorf("an empty directory: %v", err)
	}
}

// What is no usage is passed over, what has another name is not looked at.
func TestOtherFiles(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.csv": "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,48,10", "README.md": "a trace", "b.csv": "date,model,edit_format,test_cases\n1,2,3,4\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Read(dir)
	if err != nil || len(s.Files) != 1 || s.Files[0].Rows != 1 || len(s.Bases()) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// Each tactic wastes what it should, where it should, and leaves the work alone.
func TestInjection(t *testing.T) {
	b := pick(t, "jobs × prefixes")
	for _, tactic := range Tactics() {
		if b.Lacks(tactic) != "" || tactic == TopUp {
			continue
		}
		e := &Episode{Person: 2, Tactic: tactic, Times: 2, From: 5, To: 6}
		requests, wasted := b.Inject(e, 9)
		p := Person{Requests: requests}
		b.count(&p)
		for week, before := range b.People[2].Tokens {
			want, got := before, p.Tokens[week]
			if week >= 5 && week <= 6 {
				want = 2 * before
				if math.Abs(wasted[week-5]-before) > 1 {
					t.Errorf("%s: %.0f wasted in week %d, want %.0f", tactic, wasted[week-5], week, before)
				}
			}
			if math.Abs(got-want) > .01*want { // tokens are whole
				t.Errorf("%s: %.0f tokens in week %d, want %.0f", tactic, got, week, want)
			}
		}
		if !slices.IsSortedFunc(requests, func(a, b Request) int { return int(a.At - b.At) }) {
			t.Errorf("%s: out of order", tactic)
		}
		again, _ := b.Inject(e, 9)
		if diff := cmp.Diff(requests, again, cmp.AllowUnexported(Request{})); diff != "" {
			t.Errorf("%s: the same seed injects something else: %s", tactic, diff)
		}
	}
	if len(b.People[2].Requests) != 64 {
		t.Errorf("the work itself has %d requests now", len(b.People[2].Requests))
	}
}

func TestTactics(t *testing.T) {
	b := pick(t, "jobs × prefixes")
	extra := func(tactic Tactic) (work, more []Request) {
		all, _ := b.Inject(&Episode{Person: 1, Tactic: tactic, Times: 4, From: 4, To: 4}, 3)
		for _, r := range all {
			switch {
			case r.Wasted:
				more = append(more, r)
			case b.Week(r.At) == 4:
				work = append(work, r)
			}
		}
		return work, more
	}
	hours := map[int64]bool{}
	_, more := extra(RoundTheClock)
	for _, r := range more {
		hours[b.local(r.At)/window.Hour] = true
	}
	if len(hours) < 100 {
		t.Errorf("around the clock in %d hours", len(hours))
	}
	pairs := map[[2]uint64]bool{}
	_, more = extra(Duplicates)
	for _, r := range more {
		pairs[[2]uint64{r.Prompt, r.Target}] = true
	}
	if len(pairs) != 4 || len(more) < 8 {
		t.Errorf("%d repeats of %d prompts", len(more), len(pairs))
	}
	_, more = extra(EndSurge)
	for _, r := range more {
		if day := (b.local(r.At) - b.Start) / window.Day % 7; day != 6 {
			t.Errorf("a surge on day %d", day)
		}
	}
	work, more := extra(ContextBloat)
	before := b.People[1].Requests
	if len(more) != 0 || len(work) == 0 {
		t.Fatalf("bloat makes %d requests of %d", len(more), len(work))
	}
	for _, r := range work {
		i := slices.IndexFunc(before, func(x Request) bool { return x.At == r.At })
		if r.Context <= before[i].Context || r.Output != before[i].Output {
			t.Errorf("bloat makes %+v of %+v", r, before[i])
		}
	}
}

// Who can reach the target with what they would waste at most stops just above it;
// the others do not begin.
func TestTopUp(t *testing.T) {
	b := pick(t, "jobs × sizes")
	target := float64(b.Target)
	reached, left := 0, 0
	for i := range b.People {
		e := &Episode{Person: i, Tactic: TopUp, Times: 1.5, From: 0, To: b.Weeks - 1}
		requests, _ := b.Inject(e, 1)
		p := Person{Requests: requests}
		b.count(&p)
		for week, before := range b.People[i].Tokens {
			after := p.Tokens[week]
			switch {
			case before == 0 || before >= 1.03*target || before*1.5 < 1.03*target:
				left++
				if after != before {
					t.Errorf("%.0f tokens become %.0f, target %.0f", before, after, target)
				}
			default:
				reached++
				if after < target || after > 1.1*target {
					t.Errorf("%.0f tokens become %.0f, target %.0f", before, after, target)
				}
			}
		}
	}
	if reached == 0 || left == 0 {
		t.Errorf("%d weeks topped up, %d not", reached, left)
	}
}

func TestWhatATraceLacks(t *testing.T) {
	with, without := pick(t, "jobs × prefixes"), pick(t, "jobs × sizes")
	if with.Lacks(Duplicates) != "" || without.Lacks(Duplicates) == "" || with.Lacks(Timer) != "" || with.Lacks(CheapLoop) == "" {
		t.Error("a tactic is shown by what the trace does not have")
	}
}

// Events have what is known and nothing else.
func TestStamp(t *testing.T) {
	for _, name := range []string{"jobs × sizes", "jobs × prefixes", "clients"} {
		b := pick(t, name)
		s, err := NewStamper(b)
		if err != nil {
			t.Fatal(err)
		}
		subjects := map[string]bool{}
		for i := range b.People {
			r := &b.People[i].Requests[0]
			e, key, err := s.Stamp(i, 0, r)
			if err != nil {
				t.Fatal(err)
			}
			subjects[e.Subject] = true
			u := e.Usage
			if u.CacheReadTokens != nil != b.Prefixed || u.H64 != nil != b.Prefixed || u.NewTurnTokens != nil != b.Prefixed {
				t.Errorf("%s: %v: what the trace lacks is there, or the other way round", name, u)
			}
			if r.Context == Unknown != (u.InputUncachedTokens == nil) || u.GetInputUncachedTokens()+u.GetCacheReadTokens() != max(0, r.Context) {
				t.Errorf("%s: context %d is %v", name, r.Context, u)
			}
			if e.TimeMs != r.At || e.Team != b.People[i].Group || e.Conversation != "" || !e.CountsAlone || len(key) == 0 || u.CostNanos != nil || u.SideEffects != nil {
				t.Errorf("%s: %v", name, e)
			}
		}
		if len(subjects) != len(b.People) {
			t.Errorf("%s: %d subjects of %d", name, len(subjects), len(b.People))
		}
		if _, err := b.Declare(); err != nil {
			t.Error(err)
		}
	}
}
