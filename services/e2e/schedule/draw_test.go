package schedule

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/simulate/org"
	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
)

// plan is a schedule: everything that a seed decides.
type plan struct {
	seed  uint64
	start time.Time
	org   *org.Org
	steps []*traffic.Step
	// junk is how many records that are no events of ours get into events.v1,
	// by step.
	junk []int

	brokers int
	// aged brokers know no transactions of the second version: the client adds
	// partitions and offsets to a transaction itself.
	aged           bool
	counts         kschema.Counts
	interval       time.Duration // of transactions
	snapshotPeriod time.Duration
	maxAge         time.Duration // of the sink's batches
	maxRows        int
	tickInterval   time.Duration

	faults []fault
	cuts   []cut
	stores map[int]storing // by number of the insert
	acts   [][]act         // by step
	pauses []time.Duration // after each step
}

// fault fails a request of a kind with an error, the nth that fits.
type fault struct {
	name  string
	key   kmsg.Key
	err   *kerr.Error
	topic string
	group string
	nth   int
}

func (f fault) kind() string {
	return strings.ToLower(fmt.Sprintf("%s:%s", f.name, f.err.Message))
}

// cut breaks the connection of the nth request of a kind that a role sends.
type cut struct {
	role string
	key  kmsg.Key
	when severance
	nth  int
}

func (c cut) kind() string {
	how := map[severance]string{beforehand: "unsent", withoutWord: "unanswered", falseWord: "denied"}
	return fmt.Sprintf("cut:%s:%s", strings.ToLower(c.key.Name()), how[c.when])
}

// ways are those in which such a request can go wrong.
func (c cut) ways() []severance {
	if c.key == kmsg.EndTxn {
		return []severance{beforehand, withoutWord, falseWord}
	}
	return []severance{beforehand, withoutWord}
}

// storing is what becomes of an insert.
type storing string

const (
	stored     storing = ""
	lost       storing = "insert:lost"       // the connection breaks before the server reads it
	unanswered storing = "insert:unanswered" // the server stores it, the answer is lost
	late       storing = "insert:late"       // the connection breaks; the server reads it some time afterwards
	refused    storing = "insert:refused"    // the server answers with an error that passes
)

var waysToStore = []storing{lost, unanswered, late, refused}

// act is something that happens to processes or brokers.
type act struct {
	kind string
	// after is the number of requests of the step before it.
	after int
	who   int
	pause time.Duration
}

// Kinds of acts.
const (
	killCollector = "kill:collector"
	killProcessor = "kill:processor"
	killSink      = "kill:sink"
	// replaceProcessor kills one and starts another one under another name, which
	// has to wait until the group gives the dead one up.
	replaceProcessor = "replace:processor"
	replaceSink      = "replace:sink"
	joinProcessor    = "join:processor"
	joinSink         = "join:sink"
	leaveProcessor   = "leave:processor"
	leaveSink        = "leave:sink"
	stallProcessor   = "stall:processor"
	stallSink        = "stall:sink"
	// absentSink kills a sink and starts it again when its intents are old.
	absentSink       = "absent:sink"
	moveLeaders      = "move:leaders"
	moveCoordinators = "move:coordinators"
)

// drawable are the acts that a seed may draw.
var drawable = []string{
	killCollector, killProcessor, killProcessor, killSink, killSink, replaceProcessor, replaceSink, joinProcessor, joinSink,
	leaveProcessor, leaveSink, stallProcessor, stallSink, absentSink, moveLeaders, moveCoordinators,
}

// kindOfFault says which requests may fail how. None of these errors may cost or
// double a record.
type kindOfFault struct {
	name string
	key  kmsg.Key
	// reach is about how many such requests a schedule sees.
	reach  int
	aged   bool     // with aged brokers alone
	topics []string // selects one of them
	groups []string
	errs   []*kerr.Error
}

var (
	folded      = []string{schemas.TopicFacts, schemas.TopicFeatures, schemas.TopicScores, schemas.TopicLedgerState, schemas.TopicSubjectState, schemas.TopicTenantState}
	consumed    = []string{schemas.TopicEvents, schemas.TopicFacts, schemas.TopicFeatures}
	foldGroups  = []string{schemas.GroupLedger, schemas.GroupSubject, schemas.GroupTenant}
	everyGroup  = append([]string{schemas.GroupSink}, foldGroups...)
	kindsFaults = []kindOfFault{
		{name: "produce.events", key: kmsg.Produce, reach: 30, topics: []string{schemas.TopicEvents}, errs: []*kerr.Error{
			kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.UnknownServerError, kerr.MessageTooLarge,
		}},
		{name: "produce.folds", key: kmsg.Produce, reach: 6, topics: folded, errs: []*kerr.Error{
			kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.RequestTimedOut, kerr.NotEnoughReplicasAfterAppend, kerr.UnknownServerError, kerr.MessageTooLarge,
			kerr.KafkaStorageError, kerr.InvalidProducerEpoch,
		}},
		{name: "produce.dead", key: kmsg.Produce, reach: 2, topics: []string{schemas.TopicDead}, errs: []*kerr.Error{
			kerr.NotLeaderForPartition, kerr.RequestTimedOut, kerr.UnknownServerError,
		}},
		{name: "end_txn", key: kmsg.EndTxn, reach: 25, errs: []*kerr.Error{
			kerr.UnknownServerError, kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.ConcurrentTransactions, kerr.CoordinatorLoadInProgress, kerr.InvalidProducerEpoch,
		}},
		{name: "txn_offset_commit", key: kmsg.TxnOffsetCommit, reach: 10, groups: foldGroups, errs: []*kerr.Error{
			kerr.ConcurrentTransactions, kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.RequestTimedOut, kerr.CoordinatorLoadInProgress, kerr.UnknownServerError,
		}},
		{name: "add_offsets_to_txn", aged: true, key: kmsg.AddOffsetsToTxn, reach: 20, errs: []*kerr.Error{
			kerr.ConcurrentTransactions, kerr.NotCoordinator, kerr.UnknownServerError,
		}},
		{name: "add_partitions_to_txn", aged: true, key: kmsg.AddPartitionsToTxn, reach: 20, errs: []*kerr.Error{
			kerr.ConcurrentTransactions, kerr.NotCoordinator, kerr.UnknownServerError,
		}},
		{name: "init_producer_id", key: kmsg.InitProducerID, reach: 4, errs: []*kerr.Error{
			kerr.ConcurrentTransactions, kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress,
		}},
		{name: "fetch", key: kmsg.Fetch, reach: 40, topics: consumed, errs: []*kerr.Error{
			kerr.NotLeaderForPartition, kerr.UnknownServerError, kerr.KafkaStorageError, kerr.ReplicaNotAvailable, kerr.UnknownLeaderEpoch,
		}},
		{name: "offset_commit", key: kmsg.OffsetCommit, reach: 15, groups: []string{schemas.GroupSink}, errs: []*kerr.Error{
			kerr.UnknownServerError, kerr.RequestTimedOut, kerr.CoordinatorNotAvailable, kerr.NotCoordinator, kerr.RebalanceInProgress, kerr.UnknownMemberID, kerr.IllegalGeneration,
		}},
		{name: "offset_fetch", key: kmsg.OffsetFetch, reach: 6, groups: everyGroup, errs: []*kerr.Error{
			kerr.CoordinatorLoadInProgress, kerr.NotCoordinator, kerr.UnstableOffsetCommit,
		}},
		{name: "join_group", key: kmsg.JoinGroup, reach: 3, groups: everyGroup, errs: []*kerr.Error{
			kerr.UnknownMemberID, kerr.CoordinatorNotAvailable, kerr.RebalanceInProgress,
		}},
		{name: "sync_group", key: kmsg.SyncGroup, reach: 3, groups: everyGroup, errs: []*kerr.Error{
			kerr.RebalanceInProgress, kerr.UnknownMemberID, kerr.IllegalGeneration,
		}},
		{name: "heartbeat", key: kmsg.Heartbeat, reach: 8, groups: everyGroup, errs: []*kerr.Error{
			kerr.RebalanceInProgress, kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.NotCoordinator,
		}},
		{name: "list_offsets", key: kmsg.ListOffsets, reach: 10, errs: []*kerr.Error{kerr.NotLeaderForPartition, kerr.UnknownServerError}},
		{name: "find_coordinator", key: kmsg.FindCoordinator, reach: 8, errs: []*kerr.Error{kerr.CoordinatorNotAvailable}},
		{name: "metadata", key: kmsg.Metadata, reach: 20, topics: consumed, errs: []*kerr.Error{kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition}},
	}

	kindsCuts = []cut{
		{role: collectorRole, key: kmsg.Produce, nth: 30},
		{role: processorRole, key: kmsg.Produce, nth: 40},
		{role: processorRole, key: kmsg.EndTxn, nth: 25},
		{role: processorRole, key: kmsg.TxnOffsetCommit, nth: 25},
		{role: processorRole, key: kmsg.AddOffsetsToTxn, nth: 25},
		{role: processorRole, key: kmsg.InitProducerID, nth: 4},
		{role: processorRole, key: kmsg.Fetch, nth: 60},
		{role: processorRole, key: kmsg.JoinGroup, nth: 6},
		{role: processorRole, key: kmsg.Heartbeat, nth: 10},
		{role: processorRole, key: kmsg.OffsetFetch, nth: 6},
		{role: sinkRole, key: kmsg.OffsetCommit, nth: 12},
		{role: sinkRole, key: kmsg.Fetch, nth: 40},
		{role: sinkRole, key: kmsg.JoinGroup, nth: 2},
		{role: sinkRole, key: kmsg.OffsetFetch, nth: 2},
	}
)

// draw returns the schedule of a seed. It depends on nothing else but the start.
func draw(seed uint64, start time.Time) *plan {
	rng := rand.New(rand.NewPCG(seed, 0x5ced))
	p := &plan{
		seed: seed, start: start, org: company(seed, rng, start),
		brokers:        []int{1, 1, 3}[rng.IntN(3)],
		aged:           rng.IntN(4) == 0,
		counts:         kschema.Counts{Events: 1 + rng.Int32N(3), Facts: 1 + rng.Int32N(3)/2, Features: 1 + rng.Int32N(2), Dead: 1},
		interval:       []time.Duration{20 * time.Millisecond, 250 * time.Millisecond, time.Second}[rng.IntN(3)],
		snapshotPeriod: []time.Duration{time.Second, 5 * time.Second, time.Minute}[rng.IntN(3)],
		maxAge:         []time.Duration{time.Second, 5 * time.Second, 10 * time.Second}[rng.IntN(3)],
		maxRows:        []int{200, 100_000}[rng.IntN(2)],
		tickInterval:   []time.Duration{5 * time.Second, 30 * time.Second}[rng.IntN(2)],
		stores:         map[int]storing{},
	}
	p.steps = newHours(rng, p.org, start, 4+rng.IntN(2)).steps
	for range 4 + rng.IntN(4) {
		k := kindsFaults[rng.IntN(len(kindsFaults))]
		if k.aged && !p.aged {
			continue
		}
		f := fault{name: k.name, key: k.key, err: k.errs[rng.IntN(len(k.errs))], nth: rng.IntN(k.reach)}
		if len(k.topics) > 0 {
			f.topic = k.topics[rng.IntN(len(k.topics))]
		}
		if len(k.groups) > 0 {
			f.group = k.groups[rng.IntN(len(k.groups))]
		}
		p.faults = append(p.faults, f)
	}
	for range 2 + rng.IntN(3) {
		c := kindsCuts[rng.IntN(len(kindsCuts))]
		ways := c.ways()
		c.when, c.nth = ways[rng.IntN(len(ways))], rng.IntN(c.nth)
		p.cuts = append(p.cuts, c)
	}
	for range 1 + rng.IntN(3) {
		p.stores[rng.IntN(9)] = waysToStore[rng.IntN(len(waysToStore))]
	}
	p.acts = make([][]act, len(p.steps))
	for range 2 + rng.IntN(3) {
		step := rng.IntN(len(p.steps))
		a := act{kind: drawable[rng.IntN(len(drawable))], after: rng.IntN(1 + len(p.steps[step].Requests)), who: rng.IntN(8)}
		a.pause = time.Duration(rng.Int64N(int64(5 * time.Second)))
		switch a.kind {
		case stallProcessor, stallSink: // sometimes past the session timeout
			a.pause = []time.Duration{5 * time.Second, 20 * time.Second, 70 * time.Second}[rng.IntN(3)]
		case absentSink:
			a.pause = 6 * time.Minute
		}
		p.acts[step] = append(p.acts[step], a)
	}
	for range p.steps {
		p.junk = append(p.junk, max(0, rng.IntN(4)-2))
		p.pauses = append(p.pauses, []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second}[rng.IntN(3)])
	}
	return p
}

// describe lists what the seed drew, a line each.
func (p *plan) describe() string {
	var b strings.Builder
	requests := 0
	for _, s := range p.steps {
		requests += len(s.Requests)
	}
	fmt.Fprintf(&b, "seed %d: %d requests in %d hours; %d brokers (aged: %v), partitions %+v, transactions of %v, snapshots in %v, batches of %v or %d rows\n",
		p.seed, requests, len(p.steps), p.brokers, p.aged, p.counts, p.interval, p.snapshotPeriod, p.maxAge, p.maxRows)
	for _, f := range p.faults {
		fmt.Fprintf(&b, "  request %d: %s %s%s\n", f.nth, f.kind(), f.topic, f.group)
	}
	for _, c := range p.cuts {
		fmt.Fprintf(&b, "  request %d of a %s: %s\n", c.nth, c.role, c.kind())
	}
	for n := range 64 {
		if s := p.stores[n]; s != stored {
			fmt.Fprintf(&b, "  insert %d: %s\n", n, s)
		}
	}
	for i, acts := range p.acts {
		for _, a := range acts {
			fmt.Fprintf(&b, "  hour %d, after request %d: %s (%d), %v\n", i, a.after, a.kind, a.who, a.pause)
		}
	}
	return b.String()
}
