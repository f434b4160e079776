package features

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/evaluate/organisation"
)

// whole makes the test play whole organisations, as committed, of these seeds:
//
//	go test ./services/e2e/features -run Features -seeds 100,101 -timeout 4h -v
var whole = flag.String("seeds", "", "play the whole organisations of these seeds, comma-separated")

// cut is how much of an organisation is played: the first people and weeks.
type cut struct{ people, weeks int }

func TestFeaturesAreEqualBothWays(t *testing.T) {
	if testing.Short() {
		t.Skip("a month of a company, one request after the other")
	}
	seeds, config := []uint64{100, 101}, organisation.Default()
	part := cut{people: 40, weeks: 4}
	if *whole == "" {
		config.People, config.Weeks, config.AnnouncedWeek = 200, 26, 18 // the smallest there is; the gamers come later
	} else {
		part, seeds = cut{config.People, config.Weeks}, nil
		for s := range strings.SplitSeq(*whole, ",") {
			seed, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			seeds = append(seeds, seed)
		}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel() // it mostly waits for acknowledgements
			straight := straight(t, open(t, seed, config), part)
			sent := send(t, open(t, seed, config), part)
			compare(t, straight, sent)
		})
	}
}

func open(t *testing.T, seed uint64, config organisation.Config) *organisation.Organisation {
	t.Helper()
	o, err := organisation.New(seed, config)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// play yields the records of a part of an organisation: those of the first people,
// of all services, and of those whose agents have agents, who are few.
func play(o *organisation.Organisation, part cut) func(yield func(*organisation.Record) bool) {
	others := map[string]bool{}
	for _, p := range o.People[part.people:] {
		others[p.Subject] = !p.Looks().Has(organisation.AgentOperator)
	}
	until := end(o, part)
	return func(yield func(*organisation.Record) bool) {
		for r := range o.Records() {
			if r.Event.TimeMs >= until || !others[r.Event.Subject] && !yield(r) {
				return
			}
		}
	}
}

// statement is a feature about a subject without its stamps.
type statement struct {
	kind    goodhartv1.FeatureKind
	subject string
	feature *goodhartv1.Feature
	bytes   string
}

func state(t *testing.T, value []byte) (statement, bool) {
	t.Helper()
	f := &goodhartv1.Feature{}
	if err := f.UnmarshalVT(value); err != nil {
		t.Fatal(err)
	}
	switch f.Kind {
	case goodhartv1.FeatureKind_FEATURE_KIND_PANE, goodhartv1.FeatureKind_FEATURE_KIND_WEEK, goodhartv1.FeatureKind_FEATURE_KIND_GUARD:
	default:
		return statement{}, false
	}
	f.W, f.P, f.Seq = 0, 0, 0
	raw, err := f.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return statement{kind: f.Kind, subject: f.Subject, feature: f, bytes: string(raw)}, true
}

// at is what a statement is about.
func (s *statement) at() int64 {
	switch {
	case s.feature.Week != nil:
		return s.feature.Week.WeekStartMs
	case s.feature.Guard != nil:
		return s.feature.Guard.PaneStartMs
	}
	return s.feature.PaneStartMs
}

func order(a, b statement) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.subject, b.subject), cmp.Compare(a.at(), b.at()), cmp.Compare(a.bytes, b.bytes))
}

// compare holds two lists of statements against each other, byte for byte.
func compare(t *testing.T, straight, sent []statement) {
	t.Helper()
	slices.SortStableFunc(straight, order)
	slices.SortStableFunc(sent, order)
	count := map[string]int{}
	known := map[string]int{} // weeks in which what needs content, place or order is known
	for _, s := range straight {
		count[s.kind.String()]++
		if k := s.feature.Week; k != nil {
			for what, n := range map[string]bool{
				"repository": k.Repository != "", "children": k.ChildSessions > 0, "gaps of sequence": k.SequenceGaps > 0, "pairs": k.PairRequests > 0,
				"repeats": len(k.Repeats) > 0, "new turns": k.PromptRequests > 0, "dense turns": k.DenseTurns > 0, "effects": k.SideEffects > 0,
				"credit": len(k.Credits) > 0, "errors": k.Errors > 0, "cache turns": k.CacheTurns > 0, "two models": len(k.Models) > 1,
			} {
				if n {
					known[what]++
				}
			}
		}
	}
	t.Logf("%v; weeks with: %v", count, known)
	for _, what := range []string{
		"repository", "children", "gaps of sequence", "pairs", "repeats", "new turns", "dense turns", "effects", "credit", "errors", "cache turns", "two models",
	} {
		if known[what] == 0 {
			t.Errorf("no week with %s: have %v", what, slices.Sorted(maps.Keys(known)))
		}
	}
	if len(straight) != len(sent) {
		t.Errorf("%d statements straight, %d sent", len(straight), len(sent))
	}
	different := 0
	for i := range min(len(straight), len(sent)) {
		if a, b := straight[i], sent[i]; a.bytes != b.bytes {
			if different++; different <= 3 {
				t.Errorf("(-straight +sent)\n%s", gocmp.Diff(a.feature, b.feature, protocmp.Transform()))
			}
		}
	}
	if different > 0 {
		t.Errorf("%d of %d statements differ", different, len(straight))
	}
}
