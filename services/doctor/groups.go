package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/schemas"
)

// group is a consumer group and who runs it.
type group struct {
	name, role string
	// topic is what lag means most of all; the sink reads more.
	topics []string
	// receiver is set for the group of an alerter's receiver.
	receiver bool
}

func groups() []group {
	return []group{
		{name: schemas.GroupLedger, role: "processor", topics: []string{schemas.TopicEvents}},
		{name: schemas.GroupSubject, role: "processor", topics: []string{schemas.TopicFacts}},
		{name: schemas.GroupTenant, role: "processor", topics: []string{schemas.TopicFeatures}},
		{name: schemas.GroupSink, role: "sink", topics: []string{
			schemas.TopicFacts, schemas.TopicScores, schemas.TopicSignals, schemas.TopicKPI, schemas.TopicSelf, schemas.TopicDead,
		}},
	}
}

// receivers are the groups of alerters that the brokers know: each receiver names
// its own.
func (b *bench) receivers(ctx context.Context) ([]group, error) {
	listed, err := b.adm.ListGroups(ctx)
	var found []group
	for _, name := range listed.Groups() {
		if strings.HasPrefix(name, schemas.GroupAlerter+".") {
			found = append(found, group{name: name, role: "alerter", topics: []string{schemas.TopicSignals}, receiver: true})
		}
	}
	if err != nil {
		return found, fmt.Errorf("list groups: %w", err)
	}
	return found, nil
}

// checkGroups asks whether each group has members, and how far it is behind.
func checkGroups(ctx context.Context, b *bench) ([]Finding, error) {
	receivers, unlisted := b.receivers(ctx)
	all := append(groups(), receivers...)
	names := make([]string, 0, len(all))
	for _, g := range all {
		names = append(names, g.name)
	}
	described, err := b.adm.DescribeGroups(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("describe groups: %w", err)
	}
	found := make([]Finding, 0, len(names))
	for _, g := range all {
		f, err := b.group(ctx, g, described[g.name])
		if err != nil {
			return found, err
		}
		found = append(found, f)
	}
	return found, unlisted
}

func (b *bench) group(ctx context.Context, g group, d kadm.DescribedGroup) (Finding, error) {
	if d.Err != nil && !errors.Is(d.Err, kerr.GroupIDNotFound) {
		return Finding{}, fmt.Errorf("group %s: %w", g.name, d.Err)
	}
	records, from, err := b.behind(ctx, g)
	if err != nil {
		return Finding{}, fmt.Errorf("group %s: %w", g.name, err)
	}
	waiting, err := b.oldest(ctx, from)
	if err != nil {
		return Finding{}, fmt.Errorf("group %s: %w", g.name, err)
	}
	found := fmt.Sprintf("%s: %s, %s, %s behind", g.name, strings.ToLower(cmp.Or(d.State, "unknown to the brokers")),
		plural(len(d.Members), "member", "members"), plural(int(records), "record", "records"))
	if waiting > 0 {
		found += fmt.Sprintf(", the oldest waits for %v", waiting.Round(time.Second/10))
	}
	switch {
	case len(d.Members) == 0:
		do := fmt.Sprintf("start goodhart %s; if it runs, its log says why it does not join", g.role)
		if g.receiver {
			do += "; if the receiver is gone for good, delete the group"
		}
		return Finding{Status: Fail, Found: found, Want: "a member", Do: do, Page: page(g.role)}, nil
	case g.receiver: // quiet hours hold what they should
		f := judged(min(Warn, b.cfg.Limits.Lag.above(waiting)), found, fmt.Sprintf("no notice waits longer than %v, but for quiet hours", b.cfg.Limits.Lag.Warn),
			"look at goodhart_alerter_overdue_seconds: while it grows the receiver takes nothing, and the alerter's log says why")
		f.Page = page(g.role)
		return f, nil
	default:
		f := judged(b.cfg.Limits.Lag.above(waiting), found, fmt.Sprintf("no record waits longer than %v", b.cfg.Limits.Lag.Warn),
			fmt.Sprintf("look at the log and the metrics of goodhart %s: it stands still, or it needs more processes", g.role))
		f.Page = page(g.role)
		return f, nil
	}
}

func page(role string) string { return "docs/" + role + ".md" }

// behind is how many records a group has not committed, and where the first of
// them lie in the partitions that have some.
func (b *bench) behind(ctx context.Context, g group) (int64, map[string]map[int32]kgo.Offset, error) {
	committed, err := b.adm.FetchOffsets(ctx, g.name)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return 0, nil, err
	}
	starts, err := b.adm.ListStartOffsets(ctx, g.topics...)
	if err != nil {
		return 0, nil, err
	}
	ends, err := b.adm.ListCommittedOffsets(ctx, g.topics...)
	if err != nil {
		return 0, nil, err
	}
	if err := ends.Error(); err != nil {
		return 0, nil, err
	}
	records := int64(0)
	from := map[string]map[int32]kgo.Offset{}
	ends.Each(func(end kadm.ListedOffset) {
		next := int64(0)
		if start, ok := starts.Lookup(end.Topic, end.Partition); ok {
			next = start.Offset
		}
		if at, ok := committed.Lookup(end.Topic, end.Partition); ok {
			next = max(next, at.At)
		}
		if next >= end.Offset {
			return
		}
		records += end.Offset - next
		if from[end.Topic] == nil {
			from[end.Topic] = map[int32]kgo.Offset{}
		}
		from[end.Topic][end.Partition] = kgo.NewOffset().At(next)
	})
	return records, from, nil
}

// glance is how long oldest waits for partitions that may hold nothing but
// markers of transactions.
const glance = time.Second

// oldest is how long the oldest of the first records at some offsets has waited.
func (b *bench) oldest(ctx context.Context, from map[string]map[int32]kgo.Offset) (time.Duration, error) {
	if len(from) == 0 {
		return 0, nil
	}
	cl, err := kgo.NewClient(append(b.cfg.Kafka.Options(), kgo.ConsumePartitions(from), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxPartitionBytes(1<<16), kgo.KeepControlRecords())...)
	if err != nil {
		return 0, fmt.Errorf("open reader: %w", err)
	}
	defer cl.Close()
	missing := map[place]bool{}
	for topic, partitions := range from {
		for p := range partitions {
			missing[place{topic, p}] = true
		}
	}
	ctx, cancel := context.WithTimeout(ctx, glance)
	defer cancel()
	now, oldest := time.Now(), time.Duration(0)
	for len(missing) > 0 && ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			at := place{r.Topic, r.Partition}
			if missing[at] && !r.Attrs.IsControl() {
				delete(missing, at)
				oldest = max(oldest, now.Sub(r.Timestamp))
			}
		})
	}
	return oldest, nil
}

// place is a topic-partition.
type place struct {
	topic     string
	partition int32
}
