// Package broker is the embedded Kafka broker: kfake with a data directory, one
// node that speaks the real protocol. It suits one machine and is not
// replicated; point the other roles at Apache Kafka for anything else.
//
// Durability: with SyncWrites every acknowledged batch is on disk before its
// acknowledgement, so that kill -9 and power loss keep what was accepted.
package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/goodhartlabs/goodhart/services/probe"
)

// Config of the embedded broker.
type Config struct {
	// Listen is host:port; the host must be a loopback address, since the broker
	// asks nobody for a password.
	Listen string `yaml:"listen"`
	// Data is the directory of the logs.
	Data string `yaml:"data"`
	// SyncWrites makes acknowledged batches survive a power loss.
	SyncWrites bool `yaml:"sync_writes"`
	// Admin is the address of /metrics, /healthz, /readyz; empty for none.
	Admin string `yaml:"admin"`
}

// Default listens on Kafka's usual port and keeps its logs under .goodhart.
func Default() Config {
	return Config{Listen: "127.0.0.1:9092", Data: ".goodhart/broker", SyncWrites: true, Admin: "127.0.0.1:9460"}
}

// Validate reports every problem, each with its key.
func (c Config) Validate() error {
	var errs []error
	if _, err := c.port(); err != nil {
		errs = append(errs, err)
	}
	if c.Data == "" {
		errs = append(errs, errors.New("data: a directory is needed"))
	}
	return errors.Join(errs...)
}

func (c Config) port() (int, error) {
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return 0, fmt.Errorf("listen: %w", err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return 0, fmt.Errorf("listen: %q is not a loopback address", host)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 1 || n > 65535 {
		return 0, fmt.Errorf("listen: %q is not a port in 1..65535", port)
	}
	return n, nil
}

// Run serves until ctx ends, then writes out what it holds. The data directory
// belongs to one process: a second one gets an error.
func Run(ctx context.Context, cfg Config, tel *probe.Telemetry) error {
	tel.NotReady("broker", "starting")
	tel.WatchDisk(cfg.Data)
	if err := os.MkdirAll(cfg.Data, 0o750); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	unlock, err := lock(cfg.Data)
	if err != nil {
		return err
	}
	defer unlock()
	port, err := cfg.port()
	if err != nil {
		return err
	}
	commits := &journal{dir: cfg.Data}
	undone, err := commits.recover()
	if err != nil {
		return err
	}
	if undone {
		tel.Log.Warn("the last process ended in the middle of a commit; the transaction is undone")
	}
	if err := cutTornBatches(cfg.Data); err != nil {
		return err
	}
	clean, err := takeCleanMark(cfg.Data)
	if err != nil {
		return fmt.Errorf("read the mark of an orderly stop: %w", err)
	}
	m := newMetrics(tel.Metrics, cfg.Data)
	cluster, door, err := open(cfg, port, m)
	if err != nil {
		return err
	}
	commits.watch(cluster, m.request)
	if !clean {
		err = abortLeftovers(ctx, cfg.Listen, door)
	}
	if err == nil {
		door.unlock()
		tel.Log.Info("broker listens", "address", cfg.Listen, "data", cfg.Data)
		tel.Ready("broker")
		<-ctx.Done()
	}
	cluster.Close()
	if err != nil {
		return err
	}
	if err := os.WriteFile(cleanMark(cfg.Data), nil, 0o600); err != nil {
		return fmt.Errorf("mark an orderly stop: %w", err)
	}
	return nil
}

// open starts kfake behind a gate that is still closed.
func open(cfg Config, port int, m *metrics) (*kfake.Cluster, *gate, error) {
	var door *gate
	opts := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.Ports(port),
		kfake.DataDir(cfg.Data),
		kfake.ClusterID("goodhart"),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			var err error
			door, err = newGate(network, address, m.count)
			return door, err
		}),
	}
	if cfg.SyncWrites {
		opts = append(opts, kfake.SyncWrites())
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("start broker on %s: %w", cfg.Listen, err)
	}
	return cluster, door, nil
}

// lock takes the data directory for this process, until it ends.
func lock(dir string) (func(), error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("data directory %s is in use by another broker: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}
