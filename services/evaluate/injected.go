package evaluate

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/evaluate/folds"
	"github.com/goodhartlabs/goodhart/services/evaluate/traces"
)

// times are how many times the tokens of their work injected people use.
var times = []float64{1.25, 1.5, 2, 4}

// apart is how many runs share the people of a trace: those of the others go
// untouched beside them.
const apart = 3

// injected is what became of a trace with episodes, or of the untouched one if
// Times is 0: the judged weeks and alerts are in Run.
type injected struct {
	Base  string
	Times float64
	Run   *run
	// Readings of every person, week and code.
	Readings map[reading]signal.Measure
	// Names of people, as the trace spells them.
	Names []string
}

// reading is where a measure was taken.
type reading struct {
	Person, Week int
	Code         string
}

// injectAll plays every base untouched, and with every tactic at every intensity.
func injectAll(ctx context.Context, cfg *Config, bases []*traces.Base) ([]*injected, error) {
	dir, err := injectedCache(ctx, cfg, bases)
	if err != nil {
		return nil, err
	}
	type job struct {
		base     *traces.Base
		times    float64
		episodes []traces.Episode
	}
	var jobs []job
	for _, b := range bases {
		jobs = append(jobs, job{base: b})
		for _, t := range times {
			for _, episodes := range plan(b, t) {
				jobs = append(jobs, job{b, t, episodes})
			}
		}
	}
	out := make([]*injected, len(jobs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cfg.Parallel)
	for i, j := range jobs {
		path := ""
		if dir != "" {
			path = filepath.Join(dir, fmt.Sprintf("%04d.gob.gz", i))
		}
		group.Go(func() (err error) {
			out[i], err = kept(path, func() (*injected, error) {
				defer cfg.tell("traces "+j.base.Name, uint64(i))()
				return inject(ctx, j.base, j.times, j.episodes, uint64(i))
			})
			return err
		})
	}
	return out, group.Wait()
}

// injectedCache is the directory for these traces and this behaviour; empty for none.
func injectedCache(ctx context.Context, cfg *Config, bases []*traces.Base) (string, error) {
	if cfg.Cache == "" {
		return "", nil
	}
	now, err := behaviour(ctx, true)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(bases); err != nil {
		return "", fmt.Errorf("name traces: %w", err)
	}
	dir := filepath.Join(cfg.Cache, "traces-"+hex.EncodeToString(h.Sum(nil)[:8])+"-"+now)
	return dir, makeDir(dir)
}

// plan spreads the episodes of one intensity over runs: everybody who can games once
// in each tactic that the trace can show, and a third of them in a run.
func plan(b *traces.Base, times float64) [][]traces.Episode {
	var tactics []traces.Tactic
	for _, t := range traces.Tactics() {
		if b.Lacks(t) == "" {
			tactics = append(tactics, t)
		}
	}
	runs := make([][]traces.Episode, apart*len(tactics))
	n := 0
	for i := range b.People {
		onset, ok := b.Onset(i)
		if !ok {
			continue
		}
		for k := range tactics {
			at := n%apart + apart*k
			runs[at] = append(runs[at], traces.Episode{
				Person: i, Tactic: tactics[(n/apart+k)%len(tactics)], Times: times, From: onset, To: b.Weeks - 1,
			})
		}
		n++
	}
	return slices.DeleteFunc(runs, func(e []traces.Episode) bool { return len(e) == 0 })
}

// inject plays a trace with some episodes.
func inject(ctx context.Context, b *traces.Base, times float64, episodes []traces.Episode, seed uint64) (*injected, error) {
	x := &injected{
		Base: b.Name, Times: times, Readings: map[reading]signal.Measure{},
		Run: &run{Scenario: b.Name, Seed: seed, Weeks: b.Weeks, Announced: traces.TargetWeek, Alerts: map[string][]alert{}},
	}
	requests := make([][]traces.Request, len(b.People))
	tokens := make([][]float64, len(b.People))
	for i := range b.People {
		requests[i], tokens[i] = b.People[i].Requests, slices.Clone(b.People[i].Tokens)
		x.Names = append(x.Names, b.People[i].ID)
	}
	gamed := map[[2]int]bool{}
	for i := range episodes {
		e := &episodes[i]
		with, wasted := b.Inject(e, seed)
		requests[e.Person] = with
		for k, w := range wasted {
			tokens[e.Person][e.From+k] += w
			gamed[[2]int{e.Person, e.From + k}] = w > 0
		}
		x.Run.Episodes = append(x.Run.Episodes, episode{
			Person: e.Person, Tactic: string(e.Tactic), Intensity: e.Times, From: e.From, To: e.To, Wasted: wasted,
		})
	}
	groups := map[string]int{}
	for i := range b.People {
		groups[b.People[i].Group]++
	}
	for i := range b.People {
		p := person{Role: b.People[i].Group, Size: groups[b.People[i].Group]}
		for week, asked := range b.People[i].Asked {
			if asked > 0 {
				x.Run.Judged = append(x.Run.Judged, judgedWeek{int32(i), int32(week), gamed[[2]int{i, week}]})
				if !gamed[[2]int{i, week}] {
					p.Honest++
				}
			}
		}
		x.Run.People = append(x.Run.People, p)
	}
	fired, err := x.play(ctx, b, requests)
	if err != nil {
		return nil, fmt.Errorf("inject into %s: %w", b.Name, err)
	}
	rules := baselines{
		tokens: tokens, announced: min(traces.TargetWeek, b.Weeks), leaders: (len(b.People)*leaderboard + 999) / 1000, fired: fired,
	}
	for i := range x.Run.People {
		rules.roles = append(rules.roles, x.Run.People[i].Role)
	}
	rules.cheap(func(rule string, statistic func(person, week int) float64, above float64) {
		x.Run.join(rule, len(b.People), func(i, w int) bool { return statistic(i, w) > above }, func(i, w int) alert {
			return alert{Person: i, From: w, To: w}
		})
	})
	return x, nil
}

// play sends the requests of everybody through the folds, and returns the weeks in
// which mechanisms crossed their thresholds.
func (x *injected) play(ctx context.Context, b *traces.Base, requests [][]traces.Request) (map[[2]int]float64, error) {
	stamper, err := traces.NewStamper(b)
	if err != nil {
		return nil, err
	}
	type turn struct{ person, n int }
	var turns []turn
	for i := range requests {
		for n := range requests[i] {
			turns = append(turns, turn{i, n})
		}
	}
	slices.SortStableFunc(turns, func(p, q turn) int {
		return cmp.Compare(requests[p.person][p.n].At, requests[q.person][q.n].At)
	})
	kinds := newKinds()
	persons, fired := map[string]int{}, map[[2]int]float64{}
	week := func(ms int64) int { return int((window.WeekStart(ms) - b.Start) / window.Week) }
	pipe := folds.New(func(topic string, body []byte) error {
		if topic != schemas.TopicSelf {
			return nil
		}
		var r struct {
			Subject, Code, Status string
			OpenedAt              int64 `json:"opened_at"`
		}
		if err := json.Unmarshal(body, &r); err != nil {
			return fmt.Errorf("read signal: %w", err)
		}
		if who, ok := persons[r.Subject]; ok && r.Status == string(signal.Opened) {
			rule, at := kinds.raised(r.Code, r.OpenedAt)
			x.Run.Alerts[rule] = append(x.Run.Alerts[rule], alert{Person: who, Code: r.Code, From: week(at), To: week(at)})
		}
		return nil
	})
	pipe.Whole = true
	pipe.Tenant.Observe(tenant.Observer{Week: func(in *signal.Input, _ *signal.State, result *signal.Result) {
		if result != nil {
			return
		}
		in.Observe = func(subject, code string, r *signal.Reading) {
			at := reading{persons[subject], week(in.WeekStart), code}
			if _, ok := persons[subject]; !ok || b.People[at.Person].Asked[min(at.Week, b.Weeks-1)] == 0 {
				return
			}
			x.Readings[at] = r.Measure
			kinds.crossed(fired, [2]int{at.Person, at.Week}, code, r)
		}
	}})
	config, err := b.Declare()
	if err != nil {
		return nil, err
	}
	if err := pipe.Push(config, []byte(traces.Tenant)); err != nil {
		return nil, err
	}
	for i, t := range turns {
		if i%4096 == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		e, key, err := stamper.Stamp(t.person, t.n, &requests[t.person][t.n])
		if err != nil {
			return nil, err
		}
		persons[e.Subject] = t.person
		if err := pipe.Push(e, key); err != nil {
			return nil, err
		}
		x.Run.Events++
	}
	return fired, pipe.Finish(traces.Tenant, b.Start+int64(b.Weeks+2)*window.Week)
}
