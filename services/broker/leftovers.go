package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// gate is a listener that lets only connections from this process in until it is
// opened; others wait in the kernel's queue.
type gate struct {
	net.Listener
	counted func(net.Conn) net.Conn // around every connection from outside
	inside  chan net.Conn
	open    chan struct{}
	once    sync.Once
}

func newGate(network, address string, counted func(net.Conn) net.Conn) (*gate, error) {
	ln, err := (&net.ListenConfig{}).Listen(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return &gate{Listener: ln, counted: counted, inside: make(chan net.Conn), open: make(chan struct{})}, nil
}

// Accept returns the next connection that may come in.
func (g *gate) Accept() (net.Conn, error) {
	select {
	case conn := <-g.inside:
		return conn, nil
	case <-g.open:
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		return g.counted(conn), nil
	}
}

// Close ends the listener, opened or not.
func (g *gate) Close() error {
	g.unlock()
	return g.Listener.Close()
}

func (g *gate) unlock() { g.once.Do(func() { close(g.open) }) }

// dial connects from this process.
func (g *gate) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case g.inside <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// cleanMark is a file that stands in the data directory while no process has
// written since an orderly stop.
func cleanMark(dir string) string { return filepath.Join(dir, "clean") }

// takeCleanMark removes the mark and reports whether it was there.
func takeCleanMark(dir string) (bool, error) {
	err := os.Remove(cleanMark(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// abortLeftovers makes the aborts of a crash last. kfake treats a transaction
// that is open when it loads its logs as aborted, but writes no marker: the next
// commit of the same producer would, after another restart, count for the old
// records too. So every producer's leftovers get the marker they lack, before
// anybody else is let in. A marker without a transaction has no effect.
func abortLeftovers(ctx context.Context, broker string, g *gate) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.Dialer(g.dial))
	if err != nil {
		return fmt.Errorf("open client: %w", err)
	}
	defer cl.Close()
	adm := kadm.NewClient(cl)
	producers, err := adm.DescribeTransactions(ctx)
	if err != nil {
		return fmt.Errorf("describe transactions: %w", err)
	}
	topics, err := adm.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	var markers []kadm.TxnMarkers
	for _, producer := range producers {
		if producer.Err != nil {
			return fmt.Errorf("describe transaction %s: %w", producer.TxnID, producer.Err)
		}
		markers = append(markers, kadm.TxnMarkers{
			ProducerID:    producer.ProducerID,
			ProducerEpoch: producer.ProducerEpoch,
			Topics:        topics.TopicsSet(),
		})
	}
	if len(markers) == 0 {
		return nil
	}
	answers, err := adm.WriteTxnMarkers(ctx, markers...)
	answers.EachPartition(func(p kadm.TxnMarkersPartitionResponse) { err = errors.Join(err, p.Err) })
	if err != nil {
		return fmt.Errorf("abort what a crash left open: %w", err)
	}
	return nil
}
