package kschema

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// configPrefix begins the keys of configurations in the meta topic; the tenant
// follows.
var configPrefix = []byte("config|")

// Configs returns the configuration event that each tenant published last. The
// meta topic keeps them for ever: events.v1 forgets, and is too long to search.
func Configs(ctx context.Context, cl *kgo.Client) (map[string]*goodhartv1.Event, error) {
	configs := map[string]*goodhartv1.Event{}
	err := eachConfig(ctx, cl, func(tenant string, event *goodhartv1.Event) { configs[tenant] = event })
	return configs, err
}

// ConfigHistory returns every configuration event of a tenant, in order.
func ConfigHistory(ctx context.Context, cl *kgo.Client, tenant string) ([]*goodhartv1.Event, error) {
	var history []*goodhartv1.Event
	err := eachConfig(ctx, cl, func(of string, event *goodhartv1.Event) {
		if of == tenant {
			history = append(history, event)
		}
	})
	return history, err
}

func eachConfig(ctx context.Context, cl *kgo.Client, take func(tenant string, event *goodhartv1.Event)) error {
	return scan(ctx, cl, kgo.ReadCommitted(), func(rec *kgo.Record) error {
		tenant, ok := bytes.CutPrefix(rec.Key, configPrefix)
		if !ok {
			return nil
		}
		event := &goodhartv1.Event{}
		if err := event.UnmarshalVT(rec.Value); err != nil {
			return fmt.Errorf("decode configuration of %s at offset %d: %w", tenant, rec.Offset, err)
		}
		take(string(tenant), event)
		return nil
	})
}

// ConfigRecords returns the records that publish a configuration: the event in
// its partition of events.v1, of which there are so many, and its copy in the
// meta topic. They belong into one transaction.
func ConfigRecords(event *goodhartv1.Event, partitions int32) ([]*kgo.Record, error) {
	value, err := event.MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("encode configuration of %s: %w", event.Tenant, err)
	}
	key := []byte(event.Tenant)
	return []*kgo.Record{
		{Topic: schemas.TopicEvents, Partition: schemas.Partition(key, partitions), Key: key, Value: value},
		{Topic: schemas.TopicMeta, Key: slices.Concat(configPrefix, key), Value: value},
	}, nil
}

// republish makes the configurations in force the first records of an events.v1
// that has none: a new generation begins with them. The ledger knows them by
// their ids.
func republish(ctx context.Context, cl *kgo.Client, opt Options, fresh bool) ([]string, error) {
	configs, err := Configs(ctx, cl)
	if errors.Is(err, ErrNoMeta) { // a dry run of the first migration
		return nil, nil
	}
	if err != nil || len(configs) == 0 {
		return nil, err
	}
	var ends kadm.ListedOffsets
	if !fresh { // what was made just now has no leaders to ask
		if ends, err = endOffsets(ctx, cl, schemas.TopicEvents); err != nil {
			return nil, err
		}
	}
	var done []string
	for _, tenant := range slices.Sorted(maps.Keys(configs)) {
		records, err := ConfigRecords(configs[tenant], opt.Counts.Events)
		if err != nil {
			return done, err
		}
		if end, _ := ends.Lookup(schemas.TopicEvents, records[0].Partition); end.Offset > 0 {
			continue
		}
		done = append(done, fmt.Sprintf("publish configuration %d of %s in %s", configs[tenant].GetConfig().GetVersion(), tenant, schemas.TopicEvents))
		if opt.DryRun {
			continue
		}
		if err := cl.ProduceSync(ctx, records[0]).FirstErr(); err != nil {
			return done, fmt.Errorf("publish configuration of %s: %w", tenant, err)
		}
	}
	return done, nil
}
