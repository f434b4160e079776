package truth

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/services/simulate/org"
	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
)

var start = time.Date(2026, 9, 7, 0, 0, 0, 0, time.UTC) // a Monday

func member(id, team string) *org.Person {
	return &org.Person{
		ID: id, Known: true, SignedIn: true, ListsEmail: true, To: 70,
		Memberships: []org.Membership{{Team: team, From: start.AddDate(-1, 0, 0)}},
	}
}

func text(write func(*bytes.Buffer)) string {
	var b bytes.Buffer
	write(&b)
	return b.String()
}

// A team that delivers twice what the other does with as many tokens, each half
// of the usage: 4/3 and 2/3 of the company.
func TestEfficiencyIsThatOfTheCompanyAtTheSameUsage(t *testing.T) {
	truth := New(start.AddDate(0, 0, 70).UnixMilli())
	for week := range 6 {
		at := start.AddDate(0, 0, 7*week).UnixMilli()
		truth.Add(&traffic.Step{Index: 24 * 7 * week, Start: at, End: at + traffic.Hour, Begun: []traffic.Work{
			{Person: member("p1", "search"), Outcomes: 4, Usual: 2},
			{Person: member("p2", "web"), Outcomes: 2, Usual: 2},
		}})
	}
	lines := bytes.Split([]byte(text(truth.story.printEfficiency)), []byte("\n"))
	got := string(lines[len(lines)-3]) + "\n" + string(lines[len(lines)-2])
	if diff := cmp.Diff("2026-10-19\tsearch\t133.3\n2026-10-19\tweb\t66.7", got); diff != "" {
		t.Error(diff)
	}
}

func TestWasteIsCountedOnceAndGamersAreKnownByARequest(t *testing.T) {
	truth := New(start.AddDate(0, 0, 70).UnixMilli())
	gamer, honest, clock := member("p1", "search"), member("p2", "web"), start.Add(30*time.Hour).UnixMilli()
	gamer.Tactic, gamer.Onset = org.Timer, 3
	honest.Look, honest.LookFrom = org.Launch, 1
	gone := &org.Service{ID: "bot", Team: "web", Key: "svc-bot"}
	logs := func(p *org.Person) *traffic.Session {
		return &traffic.Session{ID: p.ID, Person: p, Logs: true, Spans: true, Conversation: true}
	}
	call := func(out, wasted int64) *traffic.Call {
		return &traffic.Call{End: clock - 1, Model: "claude-sonnet-4-5-20250929", Input: 10, CacheRead: 80, Output: out, Wasted: wasted}
	}
	twice, played := call(10, 60), logs(gamer)
	truth.Add(&traffic.Step{Index: 29, Start: clock - traffic.Hour, End: clock, Requests: []*traffic.Request{
		{Signal: traffic.Logs, Items: []traffic.Item{{Session: played, Call: twice}, {Session: logs(honest), Call: call(20, 0)}}},
		{Signal: traffic.Spans, Items: []traffic.Item{{Session: played, Call: twice}}},
		{Signal: traffic.Logs, Again: true, Items: []traffic.Item{{Session: played, Call: twice}}},
		{Signal: traffic.GenAI, Items: []traffic.Item{{Session: &traffic.Session{ID: "s", Service: gone, Team: "web", Spans: true, Runaway: true}, Call: call(5, 0)}}},
	}})
	if diff := cmp.Diff("2026-09-07\t210\t60\n", text(truth.story.printExcess)); diff != "" {
		t.Error(diff)
	}
	want := "runaway\tservice\t\tR1\t2026-09-08\t1788847199999\t5\t80\n" +
		"timer\tgamer\t\tS5\t2026-09-10\t1788847199999\t10\t80\n" +
		"launch\thonest\tweb\t\t2026-09-08\t1788847199999\t20\t80\n"
	if diff := cmp.Diff(want, text(truth.story.printCast)); diff != "" {
		t.Error(diff)
	}
}
