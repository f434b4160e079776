// Package kschema creates goodhart's Kafka topics and checks that everybody
// counts the same partitions.
//
// Partition numbers carry meaning here (a key's state lives in one of them), so
// counts are fixed when the topics are created and recorded in the meta topic.
// Services partition by that record, not by the broker's word, and refuse to
// run when the two disagree. Safe for concurrent use by several processes: the
// first meta record wins. The meta topic also keeps what each tenant has
// configured, beyond the retention of events.v1.
package kschema

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// ErrNoMeta means that the cluster has no meta record: `goodhart migrate` has
// not run.
var ErrNoMeta = errors.New("kafka: no partition counts in " + schemas.TopicMeta + ": run goodhart migrate")

// ErrContradicted means that the broker's partition counts are not those on
// record: somebody changed a topic.
var ErrContradicted = errors.New("partition counts are not those on record")

// Counts is how many partitions the topics of a stage get.
type Counts struct {
	// Events is for events.v1, at least 1.
	Events int32 `yaml:"events"`
	// Facts is for facts.v1, at least 1.
	Facts int32 `yaml:"facts"`
	// Features is for features.v1 and what the tenant fold writes, at least 1.
	Features int32 `yaml:"features"`
	// Dead is for dead.v1, at least 1.
	Dead int32 `yaml:"dead"`
}

// DefaultCounts suits one machine.
func DefaultCounts() Counts { return Counts{Events: 8, Facts: 8, Features: 4, Dead: 1} }

// Validate reports every count out of range.
func (c Counts) Validate() error {
	var errs []error
	check := func(key string, n int32) {
		if n < 1 || n > 1024 {
			errs = append(errs, fmt.Errorf("partitions.%s: %d is not in 1..1024", key, n))
		}
	}
	check("events", c.Events)
	check("facts", c.Facts)
	check("features", c.Features)
	check("dead", c.Dead)
	return errors.Join(errs...)
}

func (c Counts) of(stage schemas.Stage) int32 {
	switch stage {
	case schemas.StageEvents:
		return c.Events
	case schemas.StageFacts:
		return c.Facts
	case schemas.StageFeatures:
		return c.Features
	case schemas.StageDead:
		return c.Dead
	case schemas.StageMeta:
		return 1
	default:
		panic("kschema: unknown stage")
	}
}

// Layout is the partition count of each topic, as recorded in the meta topic.
type Layout struct {
	Generation uint32
	partitions map[string]int32
}

// Partitions returns the count of a topic of goodhart; it panics on any other. One
// that is newer than the record, such as it can only be of a single partition, has
// one.
func (l Layout) Partitions(topic string) int32 {
	if n, ok := l.partitions[topic]; ok {
		return n
	}
	for _, t := range schemas.Topics() {
		if t.Name == topic && t.Stage == schemas.StageMeta {
			return 1
		}
	}
	panic("kschema: " + topic + " is not in the layout")
}

// Options says how topics are created.
type Options struct {
	Counts Counts
	// Replication is the replication factor, -1 for the broker's default.
	Replication int16
	// DryRun reports what would be done and does nothing.
	DryRun bool
}

// Migrate creates the topics that are missing, records the counts if no record
// exists, and publishes the configuration in force of each tenant whose partition
// of events.v1 is empty. It returns a line per thing it did. Running it again
// changes nothing; asking for other counts than the recorded ones is an error.
func Migrate(ctx context.Context, cl *kgo.Client, opt Options) ([]string, error) {
	adm := kadm.NewClient(cl)
	recorded, err := Read(ctx, cl)
	if err != nil && !errors.Is(err, ErrNoMeta) {
		return nil, err
	}
	var done []string
	fresh := false // events.v1 is new
	for _, t := range schemas.Topics() {
		want := opt.Counts.of(t.Stage)
		if have, ok := recorded.partitions[t.Name]; ok && have != want {
			return done, fmt.Errorf("topic %s has %d partitions on record and %d in the configuration: partition counts change only with a new generation", t.Name, have, want)
		}
		created, err := create(ctx, adm, t, want, opt)
		if err != nil {
			return done, err
		}
		if created {
			done = append(done, fmt.Sprintf("create topic %s with %d partitions", t.Name, want))
			fresh = fresh || t.Name == schemas.TopicEvents
		}
	}
	if recorded.partitions == nil {
		done = append(done, "record partition counts in "+schemas.TopicMeta)
		if !opt.DryRun {
			if err := record(ctx, cl, opt.Counts); err != nil {
				return done, err
			}
		}
	}
	again, err := republish(ctx, cl, opt, fresh)
	return append(done, again...), err
}

// create reports whether it created the topic, or would have in a dry run. It
// asks the broker to create instead of listing topics first: clients cache
// metadata.
func create(ctx context.Context, adm *kadm.Client, t schemas.Topic, partitions int32, opt Options) (bool, error) {
	configs := map[string]*string{}
	for key, value := range Settings(t) {
		configs[key] = &value
	}
	request := adm.CreateTopics
	if opt.DryRun {
		request = adm.ValidateCreateTopics
	}
	answers, err := request(ctx, partitions, opt.Replication, configs, t.Name)
	if err == nil {
		err = answers.Error()
	}
	switch {
	case errors.Is(err, kerr.TopicAlreadyExists):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("create topic %s: %w", t.Name, err)
	default:
		return true, nil
	}
}

// Settings are the settings that a topic is created with.
func Settings(t schemas.Topic) map[string]string {
	settings := map[string]string{"cleanup.policy": cleanup(t), "retention.ms": "-1"}
	if t.Retention > 0 {
		settings["retention.ms"] = strconv.FormatInt(t.Retention.Milliseconds(), 10)
	}
	if t.LogAppendTime {
		settings["message.timestamp.type"] = "LogAppendTime"
	}
	if t.Compact {
		// A snapshot of minutes ago is dead weight for the next restore.
		settings["segment.ms"] = strconv.FormatInt((10 * time.Minute).Milliseconds(), 10)
		settings["min.cleanable.dirty.ratio"] = "0.2"
	}
	return settings
}

func cleanup(t schemas.Topic) string {
	switch {
	case t.Compact && t.Retention > 0:
		return "compact,delete"
	case t.Compact:
		return "compact"
	default:
		return "delete"
	}
}

var metaKey = []byte("meta")

func record(ctx context.Context, cl *kgo.Client, counts Counts) error {
	meta := &goodhartv1.Meta{Generation: 1}
	for _, t := range schemas.Topics() {
		meta.Topics = append(meta.Topics, &goodhartv1.TopicPartitions{Topic: t.Name, Partitions: counts.of(t.Stage)})
	}
	value, err := meta.MarshalVT()
	if err != nil {
		return fmt.Errorf("encode meta: %w", err)
	}
	rec := &kgo.Record{Topic: schemas.TopicMeta, Key: metaKey, Value: value}
	if err := cl.ProduceSync(ctx, rec).FirstErr(); err != nil {
		return fmt.Errorf("record partition counts: %w", err)
	}
	return nil
}

// Read returns the recorded layout, or ErrNoMeta.
func Read(ctx context.Context, cl *kgo.Client) (Layout, error) {
	// The first record of a generation wins, so that two migrations at once agree.
	var meta *goodhartv1.Meta
	err := scan(ctx, cl, kgo.ReadUncommitted(), func(rec *kgo.Record) error {
		if !bytes.Equal(rec.Key, metaKey) {
			return nil
		}
		var m goodhartv1.Meta
		if err := m.UnmarshalVT(rec.Value); err != nil {
			return fmt.Errorf("decode meta at offset %d: %w", rec.Offset, err)
		}
		if meta == nil || m.Generation > meta.Generation {
			meta = &m
		}
		return nil
	})
	if err != nil {
		return Layout{}, err
	}
	if meta == nil {
		return Layout{}, ErrNoMeta
	}
	layout := Layout{Generation: meta.Generation, partitions: map[string]int32{}}
	for _, t := range meta.Topics {
		layout.partitions[t.Topic] = t.Partitions
	}
	return layout, nil
}

// scan calls apply with the records of the meta topic, up to its end of now: for
// committed ones it waits until transactions that are open have ended. ErrNoMeta
// means that there is no topic, or nothing in it.
func scan(ctx context.Context, cl *kgo.Client, which kgo.IsolationLevel, apply func(*kgo.Record) error) error {
	ends, err := endOffsets(ctx, cl, schemas.TopicMeta)
	if err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
		return err
	}
	end, ok := ends.Lookup(schemas.TopicMeta, 0)
	if !ok || err != nil || end.Offset == 0 {
		return ErrNoMeta
	}
	reader, err := kgo.NewClient(append(cl.Opts(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		schemas.TopicMeta: {0: kgo.NewOffset().AtStart()},
	}), kgo.FetchIsolationLevel(which), kgo.KeepControlRecords())...) // the last offset may be a control record's
	if err != nil {
		return fmt.Errorf("open reader: %w", err)
	}
	defer reader.Close()
	for next := int64(0); next < end.Offset; {
		fetches := reader.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read %s: %w", schemas.TopicMeta, err)
		}
		for _, rec := range fetches.Records() {
			if next = rec.Offset + 1; rec.Attrs.IsControl() {
				continue
			}
			if err := apply(rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// endOffsets lists where the partitions of a topic end. One between leaders, as
// all are that were made just now, is asked again for a minute where the client
// has given up.
func endOffsets(ctx context.Context, cl *kgo.Client, topic string) (kadm.ListedOffsets, error) {
	policy := backoff.NewExponentialBackOff(backoff.WithInitialInterval(50*time.Millisecond), backoff.WithMaxInterval(time.Second),
		backoff.WithMaxElapsedTime(time.Minute))
	return backoff.RetryWithData(func() (kadm.ListedOffsets, error) {
		ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topic)
		if err == nil {
			err = ends.Error()
		}
		if err == nil {
			return ends, nil
		}
		absent := errors.Is(err, kerr.UnknownTopicOrPartition)
		err = fmt.Errorf("list offsets of %s: %w", topic, err)
		if absent || !kerr.IsRetriable(err) {
			err = backoff.Permanent(err)
		}
		return ends, err
	}, backoff.WithContext(policy, ctx))
}

// Load reads the layout and checks it against the broker. Every difference is
// in the error.
func Load(ctx context.Context, cl *kgo.Client) (Layout, error) {
	layout, err := Read(ctx, cl)
	if err != nil {
		return Layout{}, err
	}
	topics, err := kadm.NewClient(cl).ListTopics(ctx, slices.Sorted(maps.Keys(layout.partitions))...)
	if err != nil {
		return Layout{}, fmt.Errorf("list topics: %w", err)
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(layout.partitions)) {
		// A topic between leaders has no partitions to count, nor has one that this
		// broker has not heard of yet.
		if err := topics[name].Err; err != nil {
			return layout, fmt.Errorf("topic %s: %w", name, err)
		}
		want, have := layout.partitions[name], int32(len(topics[name].Partitions))
		if have != want {
			errs = append(errs, fmt.Errorf("topic %s has %d partitions on the broker and %d on record: restore the topic, or migrate to a new generation", name, have, want))
		}
	}
	if len(errs) > 0 {
		return layout, fmt.Errorf("%w: %w", ErrContradicted, errors.Join(errs...))
	}
	return layout, nil
}

// Await is Load, tried again until a broker answers and `goodhart migrate` has
// run; wait is told of each failure and of the pause after it. Only a layout
// that contradicts the broker, or the end of ctx, is an error.
func Await(ctx context.Context, cl *kgo.Client, wait func(err error, pause time.Duration)) (Layout, error) {
	policy := backoff.NewExponentialBackOff(backoff.WithMaxInterval(5*time.Second), backoff.WithMaxElapsedTime(0))
	return backoff.RetryNotifyWithData(func() (Layout, error) {
		attempt, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		layout, err := Load(attempt, cl)
		if errors.Is(err, ErrContradicted) {
			return layout, backoff.Permanent(err)
		}
		return layout, err
	}, backoff.WithContext(policy, ctx), wait)
}
