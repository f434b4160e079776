package doctor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/schemas"
)

// checkTopics compares the topics with the partition counts on record.
func checkTopics(ctx context.Context, b *bench) ([]Finding, error) {
	layout, err := b.layout(ctx)
	if errors.Is(err, kschema.ErrNoMeta) {
		return []Finding{{
			Status: Fail, Found: "no partition counts in " + schemas.TopicMeta, Want: "the record that goodhart migrate writes", Do: "run goodhart migrate",
		}}, nil
	}
	if err != nil {
		return nil, err
	}
	topics, err := b.topics(ctx)
	if err != nil {
		return nil, err
	}
	var found []Finding
	partitions := 0
	for _, t := range schemas.Topics() {
		want, have := int(layout.Partitions(t.Name)), len(topics[t.Name].Partitions)
		partitions += have
		switch {
		case have == 0:
			found = append(found, Finding{
				Status: Fail, Found: "topic " + t.Name + " does not exist", Want: fmt.Sprintf("%d partitions", want),
				Do: "if it is new in this version, run goodhart migrate; if it was deleted, its records are gone: migrate to a new generation",
			})
		case have != want:
			found = append(found, Finding{
				Status: Fail, Found: fmt.Sprintf("topic %s has %d partitions", t.Name, have), Want: fmt.Sprintf("%d, as on record", want),
				Do: "stop all services: keys have moved between partitions; restore the topic, or migrate to a new generation", Page: "docs/operations.md",
			})
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	return []Finding{fine("%d topics of generation %d with %d partitions, as on record", len(schemas.Topics()), layout.Generation, partitions)}, nil
}

func (b *bench) topics(ctx context.Context) (kadm.TopicDetails, error) {
	topics, err := b.adm.ListTopics(ctx, topicNames()...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	return topics, nil
}

func topicNames() []string {
	all := schemas.Topics()
	names := make([]string, len(all))
	for i, t := range all {
		names[i] = t.Name
	}
	return names
}

// mostBytes is the largest batch that the pipeline sends: what clients put into
// one before they ask.
const mostBytes = 1_000_012

// checkTopicSettings looks at what could lose or reorder records.
func checkTopicSettings(ctx context.Context, b *bench) ([]Finding, error) {
	brokers, err := b.adm.ListBrokers(ctx)
	if err != nil {
		return nil, fmt.Errorf("list brokers: %w", err)
	}
	topics, err := b.topics(ctx)
	if err != nil {
		return nil, err
	}
	described, err := b.adm.DescribeTopicConfigs(ctx, topicNames()...)
	if err != nil {
		return nil, fmt.Errorf("describe topics: %w", err)
	}
	settings := map[string]map[string]string{}
	for _, d := range described {
		if d.Err == nil { // else the check topics tells
			settings[d.Name] = settingsOf(d)
		}
	}
	var found []Finding
	for _, t := range schemas.Topics() {
		if have, ok := settings[t.Name]; ok {
			found = append(found, compareSettings(t, have)...)
			found = append(found, compareCopies(topics[t.Name], have, len(brokers))...)
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	return []Finding{fine("clean-up, retention, timestamps, sizes and replicas of %d topics as wanted", len(settings))}, nil
}

func compareSettings(t schemas.Topic, have map[string]string) []Finding {
	var found []Finding
	add := func(status Status, key, want, do string) {
		found = append(found, Finding{
			Status: status, Found: fmt.Sprintf("topic %s: %s=%s", t.Name, key, have[key]), Want: want,
			Do: fmt.Sprintf("%s: kafka-configs --alter --topic %s --add-config %s=...", do, t.Name, key),
		})
	}
	for key, want := range kschema.Settings(t) {
		value, told := have[key]
		switch {
		case !told || value == want:
		case key == "retention.ms" && cleanedByTime(t) && atLeast(value, want):
		case key == "retention.ms" && !cleanedByTime(t): // compacted alone: no time matters
		case key == "retention.ms":
			add(Fail, key, "at least "+want, "raise it: records go before they are read again")
		case key == "cleanup.policy":
			add(Fail, key, want, "set it back: another policy drops records, or keeps all of them")
		case key == "message.timestamp.type":
			add(Fail, key, want, "set it: watermarks and the ledger's horizon rest on the broker's clock")
		default:
			add(Warn, key, want, "set it: restores read more than they need")
		}
	}
	if value, told := have["max.message.bytes"]; told && !atLeast(value, strconv.Itoa(mostBytes)) {
		add(Fail, "max.message.bytes", fmt.Sprintf("at least %d", mostBytes), "raise it: the brokers would refuse full batches")
	}
	if value, told := have["retention.bytes"]; told && value != "-1" && value != "" {
		add(Warn, "retention.bytes", "-1", "remove it: under load it cuts the retention short")
	}
	return found
}

func cleanedByTime(t schemas.Topic) bool { return t.Retention > 0 || !t.Compact }

// atLeast compares settings that are numbers; -1 stands for no limit.
func atLeast(have, want string) bool {
	h, err := strconv.ParseInt(have, 10, 64)
	w, err2 := strconv.ParseInt(want, 10, 64)
	return err == nil && err2 == nil && (h == -1 || w != -1 && h >= w)
}

// compareCopies looks at the replicas of a topic on a cluster of several brokers.
func compareCopies(t kadm.TopicDetail, have map[string]string, brokers int) []Finding {
	var found []Finding
	add := func(status Status, what, want, do string) {
		found = append(found, Finding{Status: status, Found: "topic " + t.Topic + ": " + what, Want: want, Do: do})
	}
	if copies, want := t.Partitions.NumReplicas(), min(3, brokers); len(t.Partitions) > 0 && copies < want {
		add(Warn, fmt.Sprintf("%s on %d brokers", plural(copies, "replica", "replicas"), brokers), strconv.Itoa(want), "raise the replicas with kafka-reassign-partitions")
	}
	if brokers >= 3 && !atLeast(have["min.insync.replicas"], "2") {
		add(Warn, "min.insync.replicas="+have["min.insync.replicas"], "2", "set it: an acknowledged record may be on one broker alone")
	}
	var leaderless, behind []string
	for _, p := range t.Partitions.Sorted() {
		switch number := strconv.Itoa(int(p.Partition)); {
		case p.Leader < 0:
			leaderless = append(leaderless, number)
		case len(p.ISR) < len(p.Replicas):
			behind = append(behind, number)
		}
	}
	if len(leaderless) > 0 {
		add(Fail, "no leader of partitions "+strings.Join(leaderless, ", "), "a leader", "start the brokers that hold them")
	}
	if len(behind) > 0 {
		add(Warn, "replicas are behind on partitions "+strings.Join(behind, ", "), "all in sync", "start the brokers that are missing, or wait until they have caught up")
	}
	return found
}
