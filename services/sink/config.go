package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/clickhouse"
	"github.com/goodhartlabs/goodhart/services/kafka"
)

// Config of a sink.
type Config struct {
	// Instance names this process in the consumer group; it must stay the same
	// over restarts and differ between sinks.
	Instance   string            `yaml:"instance"`
	Kafka      kafka.Config      `yaml:"kafka"`
	ClickHouse clickhouse.Config `yaml:"clickhouse"`
	// Topics are those to store here: all by default.
	Topics []string `yaml:"topics"`
	// From says where to begin partitions whose committed offsets are gone
	// although rows of them are stored: start, stored or end; empty refuses.
	From string `yaml:"from"`
	// MaxRows, MaxBytes and MaxAge seal a batch, whichever comes first.
	MaxRows  int           `yaml:"max_rows"`
	MaxBytes int           `yaml:"max_bytes"`
	MaxAge   time.Duration `yaml:"max_age"`
	// Inserts is how many run at once.
	Inserts int `yaml:"inserts"`
	// CheckAfter is the age from which a range that was begun is compared with its
	// tables before it is sent again.
	CheckAfter time.Duration `yaml:"check_after"`
	// RecommitAfter is the age from which an intent is committed again before it
	// is acted on, which fails for a sink that was replaced.
	RecommitAfter time.Duration `yaml:"recommit_after"`
	// Admin is the address of /metrics, /healthz, /readyz; empty for none.
	Admin string `yaml:"admin"`
	// WatchEvery is how often the server is asked for what only it knows, for
	// tests; 15 s if zero.
	WatchEvery time.Duration `yaml:"-"`
}

// Default stores everything, beside a broker and a ClickHouse on this machine.
func Default() Config {
	return Config{
		Instance:   "sink",
		Kafka:      kafka.Config{Brokers: []string{"127.0.0.1:9092"}},
		ClickHouse: clickhouse.Config{DSN: "http://default@127.0.0.1:8123/default"},
		Topics: []string{
			schemas.TopicFacts, schemas.TopicScores, schemas.TopicSignals,
			schemas.TopicKPI, schemas.TopicSelf, schemas.TopicDead,
		},
		MaxRows:  100_000,
		MaxBytes: 32 << 20,
		MaxAge:   time.Second,
		Inserts:  2,

		CheckAfter:    5 * time.Minute,
		RecommitAfter: time.Minute,

		Admin: "127.0.0.1:9463",
	}
}

// Validate reports every problem, each with its key.
func (c Config) Validate() error {
	errs := []error{c.Kafka.Validate(), c.ClickHouse.Validate()}
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(c.Instance == "", "instance: must not be empty")
	bad(len(c.Topics) == 0, "topics: none")
	for _, t := range c.Topics {
		_, known := openers()[t]
		bad(!known, "topics: %q has no table", t)
	}
	bad(c.From != "" && c.From != "start" && c.From != "stored" && c.From != "end", "from: %q is not one of start, stored, end", c.From)
	bad(c.MaxRows < 1 || c.MaxRows > 1_000_000, "max_rows: %d is not in 1..1000000", c.MaxRows)
	bad(c.MaxBytes < 1<<20 || c.MaxBytes > 1<<30, "max_bytes: %d is not in 1 MiB..1 GiB", c.MaxBytes)
	bad(c.MaxAge < 10*time.Millisecond || c.MaxAge > time.Minute, "max_age: %s is not in 10ms..1m", c.MaxAge)
	bad(c.Inserts < 1 || c.Inserts > 64, "inserts: %d is not in 1..64", c.Inserts)
	bad(c.CheckAfter < time.Second || c.CheckAfter > 7*time.Minute, "check_after: %s is not in 1s..7m", c.CheckAfter)
	bad(c.RecommitAfter < time.Second || c.RecommitAfter > c.CheckAfter, "recommit_after: %s is not in 1s..%s, the value of check_after", c.RecommitAfter, c.CheckAfter)
	return errors.Join(errs...)
}

// opener makes a topic's decoder; facts is the partition count of facts.v1.
type opener struct {
	tables []chsink.Table
	open   func(o chsink.Origin, facts int32) chsink.Decoder
}

func openers() map[string]opener {
	return map[string]opener{
		schemas.TopicFacts: {
			tables: []chsink.Table{tableUsage, tableActivity, tableOutcomes, tableTicks, tableTallies, tableConfig},
			open:   func(o chsink.Origin, n int32) chsink.Decoder { return newFacts(o, n) },
		},
		schemas.TopicScores: {
			tables: []chsink.Table{tableScores, tableGroupSize},
			open:   func(o chsink.Origin, _ int32) chsink.Decoder { return newScores(o) },
		},
		schemas.TopicSignals: {
			tables: []chsink.Table{tableSignals, tableEvidence},
			open:   func(o chsink.Origin, _ int32) chsink.Decoder { return newSignals(o) },
		},
		schemas.TopicSelf: {
			tables: []chsink.Table{tableSelf, tablePersonal},
			open:   func(o chsink.Origin, _ int32) chsink.Decoder { return newSelf(o) },
		},
		schemas.TopicKPI: {
			tables: []chsink.Table{tableKPI},
			open:   func(o chsink.Origin, _ int32) chsink.Decoder { return newKPI(o) },
		},
		schemas.TopicDead: {
			tables: []chsink.Table{tableDead},
			open:   func(o chsink.Origin, _ int32) chsink.Decoder { return newDead(o) },
		},
	}
}

// suspect is the reason column of core.suspect_months.
const suspect = "an insert older than the server's memory of tokens was found in the table: its rollups may have missed it, or counted it twice"

// marker records suspect months in the database.
type marker func(ctx context.Context, table string, months []uint32) error
