package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// checkBroker asks whether the brokers answer, and what they are.
func checkBroker(ctx context.Context, b *bench) ([]Finding, error) {
	versions, err := b.adm.ApiVersions(ctx)
	if err != nil {
		return []Finding{{
			Status: Fail, Found: "no broker answers at " + strings.Join(b.cfg.Kafka.Brokers, ", ") + ": " + oneLine(err), Want: "a broker",
			Do: "start the broker, or mend kafka.brokers and the login",
		}}, nil
	}
	var found []Finding
	oldest, guesses := "", map[string]bool{}
	for _, v := range versions.Sorted() {
		if v.Err != nil {
			found = append(found, Finding{
				Status: Fail, Found: fmt.Sprintf("broker %d does not answer: %s", v.NodeID, oneLine(v.Err)), Want: "every broker that the cluster names",
				Do: "start it, or mend the way from here to it: its advertised listener",
			})
			continue
		}
		guesses[v.VersionGuess()] = true
		if key := lacks(v); key != "" && oldest == "" {
			oldest = fmt.Sprintf("broker %d (%s) does not speak the %s of Apache Kafka 4.0", v.NodeID, v.VersionGuess(), key)
		}
	}
	if oldest != "" {
		found = append(found, Finding{
			Status: Warn, Found: oldest, Want: "Apache Kafka 4.0 or newer, or compatible",
			Do: "upgrade the brokers: older ones may commit a zombie's transaction",
		})
	}
	if len(found) > 0 {
		return found, nil
	}
	return []Finding{fine("%s with what is needed of Apache Kafka 4.0%s", plural(len(versions), "broker answers", "brokers answer"), guessed(guesses))}, nil
}

// guessed lists the versions where the answers tell one release.
func guessed(guesses map[string]bool) string {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(guesses)), func(g string) bool { return !strings.HasPrefix(g, "v") })
	if len(names) == 0 {
		return ""
	}
	return " (version " + strings.Join(names, ", ") + ")"
}

// lacks names a request that the pipeline rests on and that the broker knows in
// an older form than Apache Kafka 4.0.
func lacks(v kadm.BrokerApiVersions) string {
	wanted := kversion.V4_0_0()
	for _, key := range []kmsg.Key{
		kmsg.Produce, kmsg.Fetch, kmsg.OffsetCommit, kmsg.OffsetFetch, kmsg.InitProducerID, kmsg.EndTxn, kmsg.TxnOffsetCommit,
	} {
		want, _ := wanted.LookupMaxKeyVersion(key.Int16())
		if have, ok := v.KeyMaxVersion(key.Int16()); !ok || have < want {
			return key.Name()
		}
	}
	return ""
}

// checkBrokerSettings looks at what keeps commits and transactions safe.
func checkBrokerSettings(ctx context.Context, b *bench) ([]Finding, error) {
	brokers, err := b.adm.ListBrokers(ctx)
	if err != nil {
		return nil, fmt.Errorf("list brokers: %w", err)
	}
	internal, err := internalCopies(ctx, b, len(brokers))
	if err != nil {
		return nil, err
	}
	found := internal
	settings, err := b.brokerSettings(ctx, brokers)
	if err != nil {
		return found, err
	}
	copies := int64(min(3, len(brokers)))
	for _, w := range []struct {
		key    string
		atmost bool
		want   int64
		status Status
		do     string
	}{
		{"transaction.state.log.replication.factor", false, copies, Fail, "set it in the brokers' configuration before the topic is made"},
		{"transaction.state.log.min.isr", false, max(1, copies-1), Fail, "set it in the brokers' configuration"},
		{"offsets.topic.replication.factor", false, copies, Fail, "set it in the brokers' configuration before the topic is made"},
		{"offsets.retention.minutes", false, 24 * 60, Warn, "raise it: a sink that is stopped for longer loses its place"},
		{"transaction.max.timeout.ms", false, (15 * time.Second).Milliseconds(), Fail, "raise it: the folds' transactions last up to 15 s"},
		{"group.max.session.timeout.ms", false, (45 * time.Second).Milliseconds(), Fail, "raise it: the sink's session lasts 45 s"},
		{"group.min.session.timeout.ms", true, (45 * time.Second).Milliseconds(), Fail, "lower it: the sink's session lasts 45 s"},
	} {
		for _, node := range slices.Sorted(maps.Keys(settings)) {
			have, err := strconv.ParseInt(settings[node][w.key], 10, 64)
			side, good := "at least", have >= w.want
			if w.atmost {
				side, good = "at most", have <= w.want
			}
			if err != nil || good { // the embedded broker does not tell all
				continue
			}
			found = append(found, Finding{
				Status: w.status, Found: fmt.Sprintf("broker %d: %s=%d", node, w.key, have), Want: fmt.Sprintf("%s %d", side, w.want), Do: w.do,
			})
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	if len(brokers) == 1 {
		return []Finding{fine("one broker: nothing is replicated, all else as wanted")}, nil
	}
	return []Finding{fine("%d brokers: commits and transactions are replicated, limits as wanted", len(brokers))}, nil
}

// internalCopies looks at how often the broker's own topics are there.
func internalCopies(ctx context.Context, b *bench, brokers int) ([]Finding, error) {
	topics, err := b.adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var found []Finding
	for _, name := range []string{"__transaction_state", "__consumer_offsets"} {
		t, ok := topics[name]
		if !ok || len(t.Partitions) == 0 {
			continue
		}
		if have, want := t.Partitions.NumReplicas(), min(3, brokers); have < want {
			found = append(found, Finding{
				Status: Fail, Found: fmt.Sprintf("%s has %s on %d brokers", name, plural(have, "replica", "replicas"), brokers), Want: fmt.Sprintf("%d", want),
				Do: "raise the replicas with kafka-reassign-partitions: the loss of one broker would stop every commit",
			})
		}
	}
	return found, nil
}

// brokerSettings are the settings of each broker, by name.
func (b *bench) brokerSettings(ctx context.Context, brokers kadm.BrokerDetails) (map[int32]map[string]string, error) {
	described, err := b.adm.DescribeBrokerConfigs(ctx, nodes(brokers)...)
	if err != nil {
		return nil, fmt.Errorf("describe brokers: %w", err)
	}
	all := map[int32]map[string]string{}
	for _, d := range described {
		if d.Err != nil {
			return nil, fmt.Errorf("describe broker %s: %w", d.Name, d.Err)
		}
		node, err := strconv.ParseInt(d.Name, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("describe brokers: node %q", d.Name)
		}
		all[int32(node)] = settingsOf(d)
	}
	return all, nil
}

func nodes(brokers kadm.BrokerDetails) []int32 {
	ids := make([]int32, 0, len(brokers))
	for _, br := range brokers {
		ids = append(ids, br.NodeID)
	}
	return ids
}

func settingsOf(d kadm.ResourceConfig) map[string]string {
	values := map[string]string{}
	for _, c := range d.Configs {
		values[c.Key] = c.MaybeValue()
	}
	return values
}
