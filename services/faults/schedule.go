package faults

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// action is what a fault does.
type action string

const (
	// kill is kill -9 and, after a pause, a start.
	kill action = "kill -9"
	// freeze is SIGSTOP until the group has given the process up, then SIGCONT.
	freeze action = "freeze"
	// strand leaves intents that have grown old: the database stops, a sink is
	// killed while its inserts fail, and both are started when the intents are of
	// an age at which they must be compared with the tables. Its victim is the sink.
	strand action = "strand"
)

// fault is something that happens to a part of the pipeline.
type fault struct {
	// at is the share of all records that is acknowledged when it strikes.
	at     float64
	action action
	victim string
	// pause is how long the victim stays dead.
	pause time.Duration
}

func (f fault) String() string { return fmt.Sprintf("%s %s", f.action, f.victim) }

// maxPause is as long as a supervisor may take to notice.
const maxPause = 1500 * time.Millisecond

// schedule lists the faults of a run, in their order. Each role is killed once a
// round and the broker, or a node of the cluster, once; between the rounds lies
// the time in which one process is frozen, a sink is stranded, and others are
// killed meanwhile. Which of two processes, the order and the moments follow from
// the seed; odd seeds freeze a processor, even ones a sink.
func schedule(cfg Config) []fault {
	rng := rand.New(rand.NewPCG(cfg.Seed, 0x676f6f6468617274))
	var all []fault
	if cfg.Rounds == 1 {
		all = slices.Concat(round(rng, cfg, 0, .06, .55), between(rng, cfg, .60, .94))
	} else {
		all = slices.Concat(round(rng, cfg, 0, .06, .29), between(rng, cfg, .32, .60), round(rng, cfg, 1, .74, .94))
	}
	slices.SortStableFunc(all, func(a, b fault) int { return cmp.Compare(a.at, b.at) })
	return all
}

// round kills each role once, in some order, at moments between two shares.
func round(rng *rand.Rand, cfg Config, number int, from, to float64) []fault {
	// The first round takes one of two, the second the other.
	first := 1 + int(cfg.Seed%2)
	n := first
	if number == 1 {
		n = 3 - first
	}
	victims := []string{collector, numbered(processor, n), numbered(sink, n), chserve}
	if number == int(cfg.Seed/2)%cfg.Rounds {
		victims = append(victims, anyBroker(rng, cfg))
	}
	rng.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	return spread(rng, victims, from, to)
}

func anyBroker(rng *rand.Rand, cfg Config) string {
	if cfg.Cluster == nil {
		return broker
	}
	return numbered(broker, 1+rng.IntN(nodes))
}

// spread makes a kill of each victim, at some moment of its part of the time.
func spread(rng *rand.Rand, victims []string, from, to float64) []fault {
	width := (to - from) / float64(len(victims))
	var out []fault
	for i, victim := range victims {
		out = append(out, fault{
			at: from + width*(float64(i)+.8*rng.Float64()), action: kill, victim: victim,
			pause: time.Duration(rng.Int64N(int64(maxPause))),
		})
	}
	return out
}

// between freezes one process and strands a sink, and kills the collector and a
// processor while that lasts.
func between(rng *rand.Rand, cfg Config, from, to float64) []fault {
	n := 1 + rng.IntN(2)
	frozen, killed, stranded := numbered(processor, n), numbered(processor, 3-n), numbered(sink, n)
	if cfg.Seed%2 == 0 {
		frozen, stranded = numbered(sink, n), numbered(sink, 3-n)
	}
	later := from + .2*(to-from)
	all := spread(rng, []string{collector, killed}, later+.1*(to-from), to)
	all = append(all, fault{at: later, action: strand, victim: stranded})
	if cfg.Freeze > 0 {
		all = append(all, fault{at: from, action: freeze, victim: frozen})
	}
	return all
}
