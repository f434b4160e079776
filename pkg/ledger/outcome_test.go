package ledger

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// outcomeEvent reads "pr_merged P sha=p reverts=a,b bot at=3d final=5d by=p_bob
// observational": a kind, an object ("-" for none) and what else is known.
func outcomeEvent(t *testing.T, text string) *goodhartv1.Event {
	t.Helper()
	words := strings.Fields(text)
	kind, ok := goodhartv1.OutcomeKind_value["OUTCOME_KIND_"+strings.ToUpper(words[0])]
	if !ok {
		t.Fatalf("no outcome kind %q", words[0])
	}
	oc := &goodhartv1.Outcome{Kind: goodhartv1.OutcomeKind(kind)}
	if words[1] != "-" {
		oc.Object = words[1]
	}
	ev := &goodhartv1.Event{
		Kind: goodhartv1.EventKind_EVENT_KIND_OUTCOME, Tenant: "acme", Source: "github",
		Signal: goodhartv1.Signal_SIGNAL_WEBHOOK, Subject: "p_ada", Team: "core", Role: "dev",
		Repository: "repo", Outcome: oc,
	}
	for _, word := range words[2:] {
		name, arg, _ := strings.Cut(word, "=")
		switch name {
		case "sha":
			oc.MergeSha = arg
		case "reverts":
			oc.Reverts = strings.Split(arg, ",")
		case "bot":
			yes := true
			oc.IsBot = &yes
		case "self":
			yes := true
			oc.SelfMerged = &yes
		case "approvals":
			n, err := strconv.ParseUint(arg, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			oc.IndependentApprovals = new(uint32(n))
		case "ai":
			oc.EvidenceOfAi = new(arg == "found")
		case "closes":
			oc.Closes = strings.Split(arg, ",")
		case "at":
			ev.TimeMs = t0 + days(t, arg)
		case "final":
			ms := t0 + days(t, arg)
			oc.FinalisesAtMs = &ms
		case "by":
			ev.Subject = arg
		case "observational":
			ev.Accounting = goodhartv1.Accounting_ACCOUNTING_OBSERVATIONAL
		default:
			t.Fatalf("unknown word %q", word)
		}
	}
	return ev
}

func days(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseFloat(strings.TrimSuffix(s, "d"), 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(n * float64(dayLen))
}

// story folds lines of "3d pr_merged P ..." (record time, then an event or
// "tick") and returns the transitions as "3d merged P".
func story(t *testing.T, r *rig, script string) []string {
	t.Helper()
	for i, line := range strings.Split(strings.TrimSpace(script), "\n") {
		when, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		ms := t0 + days(t, when)
		if rest == "tick" {
			r.tick(ms)
			continue
		}
		ev := outcomeEvent(t, rest)
		ev.EventId = id16(i, line)
		r.send(ms, ev)
	}
	var got []string
	for _, f := range r.facts {
		if f.Kind != kindTransition {
			continue
		}
		kind := strings.ToLower(strings.TrimPrefix(f.Transition.Kind.String(), "TRANSITION_KIND_"))
		at := strconv.FormatFloat(float64(f.Transition.TimeMs-t0)/float64(dayLen), 'g', 6, 64)
		got = append(got, fmt.Sprintf("%sd %s %s", at, kind, f.Transition.Object))
	}
	return got
}

func TestOutcomeStories(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"merged and final", `
			0d pr_merged P sha=p
			13d tick
			15d tick`, "0d merged P, 14d finalised P"},
		{"the source says when it is final", `
			0d pr_merged P final=3d
			4d tick`, "0d merged P, 3d finalised P"},
		{"absurd finalisation is bounded by the object's life", `
			0d pr_merged P final=4000d
			200d tick`, "0d merged P, 90d finalised P"},
		{"reverted before", `
			0d pr_merged P sha=p
			3d pr_reverted R reverts=P
			30d tick`, "0d merged P, 3d reverted_provisional P"},
		{"reverted before, by sha", `
			0d pr_merged P sha=p
			3d commit_landed C sha=c reverts=p
			30d tick`, "0d merged P, 3d reverted_provisional P"},
		{"reverted after", `
			0d pr_merged P
			20d tick
			21d pr_reverted R reverts=P`, "0d merged P, 14d finalised P, 21d reverted_final P"},
		{"revert in the gap between event time and watermark", `
			0d pr_merged P
			14.0001d pr_reverted R reverts=P`, "0d merged P, 14d finalised P, 14.0001d reverted_final P"},
		{"late revert of a final credit", `
			0d pr_merged P
			15d tick
			16d pr_reverted R reverts=P at=13d`, "0d merged P, 14d finalised P, 13d reverted_final P"},
		{"revert before its merge", `
			1d pr_reverted R reverts=P
			2d pr_merged P at=0d
			30d tick`, "0d merged P, 1d reverted_provisional P"},
		{"revert by sha before its merge", `
			1d commit_landed C sha=c reverts=p
			2d pr_merged P sha=p at=0d
			30d tick`, "0d merged P, 1d reverted_provisional P"},
		{"revert by object and by sha before the merge", `
			1d pr_reverted R reverts=P
			1d commit_landed C sha=c reverts=p
			2d pr_merged P sha=p at=0d
			3d pr_reverted R2 reverts=R
			4d pr_reverted R3 reverts=C
			30d tick`, "0d merged P, 1d reverted_provisional P, 4d restored P, 18d finalised P"},
		{"merge that arrives after revert and finalisation", `
			20d pr_reverted R reverts=P
			21d pr_merged P at=0d`, "0d merged P, 14d finalised P, 20d reverted_final P"},
		{"revert of a revert", `
			0d pr_merged P sha=p
			3d pr_merged R sha=r reverts=P
			5d pr_merged R2 sha=r2 reverts=R
			30d tick`, "0d merged P, 3d reverted_provisional P, 5d restored P, 19d finalised P"},
		{"revert of a revert of a revert", `
			0d pr_merged P
			3d pr_merged R reverts=P
			5d pr_merged R2 reverts=R
			6d pr_merged R3 reverts=R2
			30d tick`, "0d merged P, 3d reverted_provisional P, 5d restored P, 6d reverted_provisional P"},
		{"revert of a revert, announced the wrong way round", `
			1d pr_merged R2 reverts=R
			2d pr_merged R reverts=P
			3d pr_merged P at=0d
			30d tick`, "0d merged P, 14d finalised P"},
		{"one revert announced as pull request, as revert and as commit", `
			0d pr_merged P sha=p
			3d pr_merged R sha=r reverts=P
			3d pr_reverted R reverts=P
			3d commit_landed C sha=r reverts=p
			5d pr_merged R2 reverts=R
			30d tick`, "0d merged P, 3d reverted_provisional P, 5d restored P, 19d finalised P"},
		{"two reverts, one of them reverted", `
			0d pr_merged P
			1d pr_merged R reverts=P
			2d pr_merged Q reverts=P
			3d pr_merged R2 reverts=R
			30d tick`, "0d merged P, 1d reverted_provisional P"},
		{"reverted without a reverter", `
			0d pr_merged P
			2d pr_reverted P
			3d pr_merged P
			30d tick`, "0d merged P, 2d reverted_provisional P"},
		{"a merge counts once", `
			0d pr_merged P sha=p
			1d pr_merged P sha=p
			2d pr_merged P`, "0d merged P"},
		{"the merge commit earns nothing more", `
			0d pr_merged P sha=p
			0d commit_landed C sha=p
			0d commit_landed C`, "0d merged P"},
		{"the merge commit comes first", `
			0d commit_landed C sha=p
			1d pr_merged P sha=p
			2d pr_reverted R reverts=P`, "0d merged C, 2d reverted_provisional C"},
		{"a commit of its own", `
			0d commit_landed C sha=c`, "0d merged C"},
		{"a commit without an object", `
			0d commit_landed - sha=c
			1d commit_landed -`, ""},
		{"an anonymous revert", `
			0d pr_merged P
			1d pr_reverted - reverts=P`, "0d merged P, 1d reverted_provisional P"},
		{
			"a credit that turns out to be a revert", `
			0d pr_merged P
			1d pr_merged R
			2d pr_reverted R reverts=P`,
			"0d merged P, 1d merged R, 2d reverted_provisional P, 2d reverted_provisional R",
		},
		{"a bot", `
			0d pr_merged P bot
			1d pr_merged P`, ""},
		{"merged alone", `
			0d pr_merged P self`, "0d merged P"},
		{"what never counts", `
			0d pr_merged P observational
			1d pr_merged Q
			2d pr_reverted R reverts=Q observational`, "1d merged Q"},
		{"ticket reopened and done again", `
			0d ticket_done T
			2d ticket_reopened T
			3d ticket_done T
			30d tick`, "0d merged T, 2d reverted_provisional T, 3d restored T, 17d finalised T"},
		{"ticket reopened by name", `
			0d ticket_done T
			2d ticket_reopened T reverts=T
			3d ticket_done T`, "0d merged T, 2d reverted_provisional T, 3d restored T"},
		{"an older reopening does not cancel", `
			0d issue_reopened I
			2d issue_closed I at=1d
			30d tick`, "1d merged I, 15d finalised I"},
		{"a reopening that arrives first", `
			2d issue_reopened I
			3d issue_closed I at=1d
			30d tick`, "1d merged I, 2d reverted_provisional I"},
		{"deployment failed after success", `
			0d deployment_succeeded D
			1d deployment_failed D`, "0d merged D, 1d reverted_provisional D"},
		{"deployment rolled back", `
			0d deployment_succeeded D
			1d deployment_succeeded E reverts=D`, "0d merged D, 1d reverted_provisional D"},
		{"other kinds change nothing", `
			0d pr_opened P
			1d pr_closed_unmerged P
			1d review_submitted P
			1d ci_completed P`, ""},
		{"objects that revert each other come to rest", `
			0d pr_merged P
			1d pr_reverted A reverts=B
			2d pr_reverted B reverts=C
			3d pr_reverted C reverts=A,P
			4d pr_reverted P reverts=A`, "0d merged P, 3d reverted_provisional P"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(story(t, newRig(t), c.script), ", ")
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// A transition carries the object's author and day, whoever caused it.
func TestTransitionFields(t *testing.T) {
	r := newRig(t)
	story(t, r, `
		0.5d pr_merged P by=p_ada
		3.5d pr_reverted R reverts=P by=p_bob
		4d pr_merged R2 reverts=R by=p_eve
		30d tick`)
	got := r.take(kindTransition)
	var ids []string
	var net [3]int32
	for i, f := range got {
		tr := f.Transition
		if tr.Subject != "p_ada" || tr.Team != "core" || tr.Role != "dev" || tr.ObjectDayMs != t0 {
			t.Errorf("transition %d: %v", i, tr)
		}
		if byTimer := tr.Kind == goodhartv1.TransitionKind_TRANSITION_KIND_FINALISED; byTimer != (f.Event == nil) {
			t.Errorf("transition %d: event %v", i, f.Event)
		}
		net[0] += tr.ProvisionalDelta
		net[1] += tr.FinalDelta
		net[2] += tr.RevertedDelta
		ids = append(ids, string(tr.TransitionId))
	}
	if net != [3]int32{0, 1, 0} {
		t.Errorf("provisional, final, reverted: %v", net)
	}
	slices.Sort(ids)
	if n := len(slices.Compact(ids)); n != 4 || len(ids[0]) != 16 {
		t.Errorf("%d distinct transition ids of %d bytes", n, len(ids[0]))
	}
}

// What a score needs to know of an object goes with each of its transitions, also
// after the object was saved and loaded.
func TestTransitionsSayWhatScoresNeed(t *testing.T) {
	r := newRig(t)
	story(t, r, `
		0d pr_merged P closes=T,U ai=found
		0d ticket_done T closes=X ai=none
		0d pr_merged A self
		0d pr_merged B self approvals=1
		1d tick`)
	for i := range r.fold.shards {
		for name, o := range r.fold.shards[i].objects {
			r.fold.shards[i].objects[name] = decodeObject(o.encode())
		}
	}
	r.tick(t0 + 30*dayLen)
	type need struct {
		object, ticket string
		linked         *bool
		unreviewed     bool
	}
	var got []need
	for _, f := range r.take(kindTransition) {
		tr := f.Transition
		got = append(got, need{tr.Object, tr.Ticket, tr.Linked, tr.Unreviewed})
	}
	slices.SortStableFunc(got, func(a, b need) int { return strings.Compare(a.object, b.object) })
	want := []need{
		{"A", "", nil, true},
		{"A", "", nil, true},
		{"B", "", nil, false},
		{"B", "", nil, false},
		{"P", "T", new(true), false},
		{"P", "T", new(true), false},
		{"T", "T", new(false), false},
		{"T", "T", new(false), false},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(need{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestObjectExpires(t *testing.T) {
	r := newRig(t)
	got := story(t, r, `
		0d pr_merged P sha=p
		80d ci_completed P
		100d tick
		101d pr_reverted R reverts=P`)
	if want := []string{"0d merged P", "14d finalised P"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	r.tick(t0 + 300*dayLen)
	if st := r.fold.Stats(); st.ObjectNames != 0 || st.Timers != 0 {
		t.Errorf("objects left: %+v", st)
	}
}

// When a revert is forgotten before what it reverted, that stays reverted.
func TestExpiredReverterStands(t *testing.T) {
	r := newRig(t)
	got := story(t, r, `
		0d pr_merged P
		1d pr_merged R reverts=P
		60d pr_reverted P2 reverts=P
		61d pr_merged Q reverts=P2
		100d tick
		101d pr_merged R9 reverts=R
		102d pr_merged P`)
	if want := []string{"0d merged P", "1d reverted_provisional P"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
