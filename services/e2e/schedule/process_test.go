package schedule

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/clickhouse"
	"github.com/goodhartlabs/goodhart/services/collector"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/probe"
	"github.com/goodhartlabs/goodhart/services/processor"
	"github.com/goodhartlabs/goodhart/services/sink"
)

// Roles.
const (
	collectorRole = "collector"
	processorRole = "processor"
	sinkRole      = "sink"
)

// process is a role that runs in goroutines of its own, on a line of its own.
type process struct {
	name   string
	line   *line
	tel    *probe.Telemetry
	cancel context.CancelFunc
	killed bool
	ended  chan struct{}
	err    error // once it has ended
}

// crew is the processes of one role. What happens to them happens one after the
// other, while traffic goes on.
type crew struct {
	w      *world
	role   string
	living []*process
	all    []*process
	acts   chan act
	done   chan struct{} // closed when the acts are over
}

func (w *world) hire(role string) *crew {
	c := &crew{w: w, role: role, acts: make(chan act, 64), done: make(chan struct{})}
	c.start(role + "-0")
	go func() {
		defer close(c.done)
		for a := range c.acts {
			c.perform(a)
		}
	}()
	return c
}

// start runs the role under a name. The name outlives the process: whoever runs
// under it again is the same member of its group.
func (c *crew) start(name string) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{
		name: name, cancel: cancel, ended: make(chan struct{}),
		line: &line{network: &c.w.network, sever: func(key int16) severance { return c.w.severs(c.role, key) }},
		tel:  probe.New(c.w.log.With("process", name)),
	}
	c.all, c.living = append(c.all, p), append(c.living, p)
	go func() {
		defer close(p.ended)
		p.err = c.w.run(ctx, c.role, p)
	}()
}

func (w *world) run(ctx context.Context, role string, p *process) error {
	brokers := kafka.Config{Brokers: w.addrs, Extra: []kgo.Opt{kgo.Dialer(p.line.dial), kgo.DisableClientMetrics()}}
	switch role {
	case collectorRole:
		cfg := collector.Default()
		cfg.ID, cfg.Kafka, cfg.Clock = p.name, brokers, collector.ClockHeader
		cfg.Listen = collector.Listen{HTTP: collectorAddr, Open: p.line.listen}
		cfg.Keys, cfg.People = w.files.keys, w.files.people
		cfg.Keyring = map[string]string{w.plan.org.Tenant: strings.Repeat("5a", 32)}
		cfg.TickInterval = w.plan.tickInterval
		return collector.Run(ctx, cfg, p.tel)
	case processorRole:
		cfg := processor.Default()
		cfg.Instance, cfg.Kafka = p.name, brokers
		cfg.Interval, cfg.SnapshotPeriod = w.plan.interval, w.plan.snapshotPeriod
		cfg.MergeMemory, cfg.SpillDir = 4<<10, w.files.spill // spills
		cfg.Rules.OutOfOrderness = outOfOrderness
		return processor.Run(ctx, cfg, p.tel)
	default:
		cfg := sink.Default()
		cfg.Instance, cfg.Kafka = p.name, brokers
		cfg.ClickHouse = clickhouse.Config{
			DSN:  "http://default@" + engineAddr + "/default",
			Dial: func(ctx context.Context, addr string) (net.Conn, error) { return p.line.dial(ctx, "tcp", addr) },
		}
		cfg.MaxAge, cfg.MaxRows, cfg.WatchEvery = w.plan.maxAge, w.plan.maxRows, time.Hour
		return sink.Run(ctx, cfg, p.tel)
	}
}

// kill ends a process as kill -9 would: nothing that it still does gets out.
func (c *crew) kill(p *process) {
	c.bury(p)
	p.killed = true
	p.line.kill()
	p.cancel()
}

// stop ends it as SIGTERM would, and waits.
func (c *crew) stop(p *process) {
	c.bury(p)
	p.cancel()
	<-p.ended
}

func (c *crew) bury(p *process) {
	c.w.struck.more(reaction+stoppedPartitions, p.sum("goodhart_fold_stopped", ""))
	c.living = slices.DeleteFunc(c.living, func(q *process) bool { return q == p })
}

// fresh is a name that nobody had.
func (c *crew) fresh() string { return fmt.Sprintf("%s-%d", c.role, len(c.all)) }

// perform does what an act says.
func (c *crew) perform(a act) {
	p := c.living[a.who%len(c.living)]
	verb, _, _ := strings.Cut(a.kind, ":")
	c.w.log.Info("act", "kind", a.kind, "who", p.name)
	switch verb {
	case "kill", "absent":
		c.kill(p)
		time.Sleep(a.pause)
		c.start(p.name)
	case "replace":
		c.stable()
		c.kill(p)
		c.start(c.fresh())
	case "join":
		if len(c.living) > 2 {
			return
		}
		c.start(c.fresh())
	case "leave":
		if len(c.living) < 2 {
			c.start(c.fresh())
		}
		time.Sleep(a.pause)
		c.stop(p)
	case "stall":
		thaw := p.line.freeze()
		time.Sleep(a.pause)
		thaw()
	}
	c.w.struck.add(a.kind)
}

// stable waits until nobody joins or leaves the role's groups. A process that is
// killed for good must be a member then: kfake never ends the session of one that
// was killed while it waited to join, and its group waits for it for ever.
func (c *crew) stable() {
	groups := []string{schemas.GroupLedger, schemas.GroupSubject, schemas.GroupTenant}
	if c.role == sinkRole {
		groups = []string{schemas.GroupSink}
	}
	_ = c.w.await("the groups are stable", func() (bool, error) {
		described, err := kadm.NewClient(c.w.client).DescribeGroups(c.w.t.Context(), groups...)
		ok := err == nil
		for _, g := range described {
			ok = ok && g.State == "Stable" && len(g.Members) >= len(c.living)
		}
		return ok, err
	}) // if it is in vain, the schedule will say so
}

// mend restarts the processes that have given a partition up, as an operator
// does who has found out why.
func (c *crew) mend() {
	for _, p := range slices.Clone(c.living) {
		if p.sum("goodhart_fold_stopped", "") > 0 {
			c.stop(p)
			c.start(p.name)
		}
	}
}

// restart stops what lives, or has ended, and starts it again.
func (c *crew) restart() {
	for _, p := range slices.Clone(c.living) {
		c.stop(p)
		c.start(p.name)
	}
}

// rest ends the acts, when all that were asked for are done.
func (c *crew) rest() {
	close(c.acts)
	<-c.done
}

// complaints are what processes did that none may do: end by themselves.
func (c *crew) complaints() []error {
	var errs []error
	for _, p := range c.all {
		select {
		case <-p.ended:
			if !p.killed && p.err != nil {
				errs = append(errs, fmt.Errorf("%s ended: %w", p.name, p.err))
			}
		default:
		}
	}
	return errs
}

// sum adds up a counter or a gauge of all processes, living and dead; with want
// only where a label has that value.
func (c *crew) sum(metric, want string) (total int64) {
	for _, p := range c.all {
		total += p.sum(metric, want)
	}
	return total
}

func (p *process) sum(metric, want string) (total int64) {
	families, err := p.tel.Metrics.Gather()
	if err != nil {
		panic(err) // a metric registered twice
	}
	for _, f := range families {
		if f.GetName() != metric {
			continue
		}
		for _, m := range f.GetMetric() {
			matches := want == ""
			for _, l := range m.GetLabel() {
				matches = matches || l.GetValue() == want
			}
			if matches {
				total += int64(m.GetCounter().GetValue() + m.GetGauge().GetValue())
			}
		}
	}
	return total
}
