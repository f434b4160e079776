// Command faultdemo is the demo with faults: see docs/demo.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/goodhartlabs/goodhart/services/faults"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "faultdemo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	cfg := faults.Default()
	f := flag.NewFlagSet("faultdemo", flag.ExitOnError)
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "makes the company and the schedule")
	f.StringVar(&cfg.Bin, "bin", ".bin", "`directory` of goodhart and chserve")
	f.StringVar(&cfg.Library, "library", ".cache/chdb/package/libchdb.so", "`file` libchdb.so")
	f.StringVar(&cfg.Deploy, "deploy", "deploy", "`directory` deploy of the repository")
	f.StringVar(&cfg.Dir, "dir", ".goodhart/faults", "`directory` of all state")
	f.BoolVar(&cfg.Keep, "keep", false, "leave all state")
	f.IntVar(&cfg.People, "people", cfg.People, "people in the company")
	f.IntVar(&cfg.Days, "days", cfg.Days, "days of event time")
	f.IntVar(&cfg.Events, "events", cfg.Events, "about how many records to send")
	f.IntVar(&cfg.Rate, "rate", cfg.Rate, "records a second at most")
	f.IntVar(&cfg.Rounds, "rounds", cfg.Rounds, "how often each role is killed, 1 or 2")
	f.DurationVar(&cfg.Freeze, "freeze", cfg.Freeze, "how long a process is stopped; 0: none is")
	cluster := f.Bool("cluster", false, "use the Apache Kafka of the `cluster.sh run` that runs this, instead of goodhart broker")
	_ = f.Parse(args) // ExitOnError
	if *cluster {
		cfg.Cluster = &faults.Cluster{Brokers: strings.Split(os.Getenv("KAFKA_BROKERS"), ","), Dir: os.Getenv("KAFKA_DIR")}
	}
	report, err := faults.Run(ctx, cfg)
	if err != nil {
		return err
	}
	where := "goodhart broker"
	if cfg.Cluster != nil {
		where = "Apache Kafka, three nodes"
	}
	fmt.Printf("demo: the database equals the truth after %d faults (seed %d, %s, %.0f s)\n", report.Faults, cfg.Seed, where, report.Took.Seconds())
	return nil
}
