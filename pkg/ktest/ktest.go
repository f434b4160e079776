// Package ktest is where tests take their Kafka brokers from.
//
// Each runs a test twice, as the subtests kfake and kafka:
//
//	func TestThing(t *testing.T) {
//		ktest.Each(t, func(t *testing.T, c *ktest.Cluster) {
//			client := c.Client(t)
//			…
//		})
//	}
//
// kfake is a broker of the test's own in this process. kafka is the Apache Kafka
// that KAFKA_BROKERS names (a list of host:port, separated by commas), which
// `make test` runs for the time of the tests. It is one cluster for everybody
// while our topics have fixed names, so a test has it to itself, across
// processes, and finds it empty: every topic, group and open transaction that
// was there is removed first. NEVER POINT KAFKA_BROKERS AT A CLUSTER THAT HOLDS
// ANYTHING. Without KAFKA_BROKERS the subtest is skipped, or fails if
// REQUIRE_KAFKA=1; with -short it is skipped.
//
// A test of what only one of the two can do asks for Fake (fault injection
// through Cluster.Fake) or Apache (nodes that are killed and restarted; these
// need KAFKA_DIR, the directory of deploy/kafka/cluster.sh).
//
// Line is the network between one client and its brokers, for tests that kill
// clients in this process.
package ktest

import (
	"os"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Cluster is the brokers of one test. Its methods may be called from several
// goroutines, those that can fail the test only from the test's own.
type Cluster struct {
	// Addrs are host:port of every broker.
	Addrs []string
	// Fake is the broker in this process, for fault injection; nil on Apache
	// Kafka.
	Fake *kfake.Cluster
	// Replication is the replication factor of the cluster's topics: 1 on kfake,
	// 3 on the nodes of `make kafka`, the number of brokers up to 3 in general.
	Replication int16

	dir string // of cluster.sh, empty if unknown
}

// Each runs the test on both brokers. The options are for kfake, which has one
// node unless they say otherwise.
func Each(t *testing.T, run func(t *testing.T, c *Cluster), opts ...kfake.Opt) {
	t.Helper()
	t.Run("kfake", func(t *testing.T) { run(t, Fake(t, opts...)) })
	t.Run("kafka", func(t *testing.T) { run(t, Apache(t)) })
}

// Fake starts a kfake of one node that ends with the test.
func Fake(tb testing.TB, opts ...kfake.Opt) *Cluster {
	tb.Helper()
	fake, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(fake.Close)
	return &Cluster{Addrs: fake.ListenAddrs(), Fake: fake, Replication: 1}
}

// Apache waits until the test has Apache Kafka to itself and returns it empty.
// Without one it skips the test, or fails it if REQUIRE_KAFKA=1.
func Apache(tb testing.TB) *Cluster {
	tb.Helper()
	if testing.Short() {
		tb.Skip("Apache Kafka is not for -short")
	}
	brokers := os.Getenv("KAFKA_BROKERS") //nolint:forbidigo // tests have no main to hand them their environment
	if brokers == "" {
		lack(tb, "no Apache Kafka: run `make kafka` and set KAFKA_BROKERS, or run `make test`")
	}
	exclusive(tb, brokers)
	c := &Cluster{
		Addrs: strings.Split(brokers, ","),
		dir:   os.Getenv("KAFKA_DIR"), //nolint:forbidigo // tests have no main to hand them their environment
	}
	c.Empty(tb)
	return c
}

// lack skips the test for want of something, or fails it if REQUIRE_KAFKA=1.
func lack(tb testing.TB, reason string) {
	tb.Helper()
	if os.Getenv("REQUIRE_KAFKA") == "1" { //nolint:forbidigo // tests have no main to hand them their environment
		tb.Fatal(reason)
	}
	tb.Skip(reason)
}

// Name is kfake or kafka.
func (c *Cluster) Name() string {
	if c.Fake != nil {
		return "kfake"
	}
	return "kafka"
}

// Client returns a client of the cluster that is closed with the test. The
// options come after the cluster's and win over them.
func (c *Cluster) Client(tb testing.TB, opts ...kgo.Opt) *kgo.Client {
	tb.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.Addrs...)}, opts...)...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.Close)
	return client
}
