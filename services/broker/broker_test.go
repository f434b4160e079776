package broker

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/goodhartlabs/goodhart/services/probe"
)

// TestMain turns the test binary into a broker when a test asks for a process
// that it can kill.
func TestMain(m *testing.M) {
	data, listen := os.Getenv("BROKER_DATA"), os.Getenv("BROKER_LISTEN")
	if data == "" {
		os.Exit(m.Run())
	}
	tel := probe.New(slog.New(slog.NewTextHandler(os.Stdout, nil)))
	if err := Run(context.Background(), Config{Listen: listen, Data: data, SyncWrites: true}, tel); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process is a broker in a process of its own.
type process struct {
	cmd    *exec.Cmd
	undone bool
}

func start(t *testing.T, data, listen string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BROKER_DATA="+data, "BROKER_LISTEN="+listen)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: cmd}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		p.undone = p.undone || strings.Contains(lines.Text(), "in the middle of a commit")
		if strings.Contains(lines.Text(), "broker listens") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return p
		}
	}
	t.Fatalf("the broker did not come up: %v", cmd.Wait())
	return nil
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().String()
}

const width = 12

// write runs transactions, each over all partitions, until the context ends or
// the broker is gone. It returns the last that was acknowledged, and the last
// begun.
func write(ctx context.Context, listen string, from int) (acked, begun int, err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(listen), kgo.TransactionalID("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RecordRetries(1), kgo.RetryTimeout(200*time.Millisecond), kgo.RequestRetries(1))
	if err != nil {
		return 0, 0, err
	}
	defer cl.Close()
	acked = from - 1
	for n := from; ctx.Err() == nil; n++ {
		begun = n
		if err := cl.BeginTransaction(); err != nil {
			return acked, begun, err
		}
		for p := range int32(width) {
			cl.Produce(ctx, &kgo.Record{Topic: "t", Partition: p, Value: []byte(strconv.Itoa(n))}, nil)
		}
		if err := cl.Flush(ctx); err != nil {
			return acked, begun, err
		}
		if err := cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
			return acked, begun, err
		}
		acked = n
	}
	return acked, begun, nil
}

// A kill in the middle of a commit leaves each transaction on every partition or
// on none, and those that were acknowledged on every one.
func TestKilledCommitIsAllOrNothing(t *testing.T) {
	data, listen := t.TempDir(), freeAddress(t)
	random := rand.New(rand.NewPCG(11, 5))
	rounds := 25
	if testing.Short() {
		rounds = 6
	}
	next, undone := 1, 0
	acked := map[int]bool{}
	for round := range rounds {
		p := start(t, data, listen)
		if p.undone {
			undone++
		}
		if round == 0 {
			create(t, listen)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		kill := time.AfterFunc(time.Duration(40+random.IntN(160))*time.Millisecond, func() {
			_ = p.cmd.Process.Kill()
			cancel()
		})
		last, begun, _ := write(ctx, listen, next)
		kill.Stop()
		cancel()
		p.kill()
		for n := next; n <= last; n++ {
			acked[n] = true
		}
		next = begun + 1
	}
	p := start(t, data, listen)
	defer p.kill()
	seen := readAll(t, listen)
	for n, partitions := range seen {
		if partitions != width {
			t.Errorf("transaction %d is on %d of %d partitions", n, partitions, width)
		}
	}
	for n := range acked {
		if seen[n] == 0 {
			t.Errorf("transaction %d was acknowledged and is gone", n)
		}
	}
	t.Logf("%d transactions, %d acknowledged, %d commits undone by %d kills", len(seen), len(acked), undone, rounds)
}

func create(t *testing.T, listen string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(listen))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), width, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
}

// readAll counts on how many partitions each transaction is committed.
func readAll(t *testing.T, listen string) map[int]int {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(listen), kgo.ConsumeTopics("t"),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListCommittedOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	seen, at := map[int]int{}, map[int32]int64{}
	for {
		done := true
		ends.Each(func(o kadm.ListedOffset) { done = done && at[o.Partition] >= o.Offset })
		if done || ctx.Err() != nil { // behind an aborted tail no record comes any more
			return seen
		}
		for _, rec := range cl.PollFetches(ctx).Records() {
			at[rec.Partition] = rec.Offset + 1
			if n, err := strconv.Atoi(string(rec.Value)); err == nil && !rec.Attrs.IsControl() {
				seen[n]++
			}
		}
	}
}

// A commit that is refused writes nothing; a kill later must not take it for one
// that was interrupted, and undo what was acknowledged since.
func TestRefusedCommitUndoesNothing(t *testing.T) {
	data, listen := t.TempDir(), freeAddress(t)
	p := start(t, data, listen)
	create(t, listen)
	cl, err := kgo.NewClient(kgo.SeedBrokers(listen), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	put := func(n int) {
		t.Helper()
		for range n {
			if err := cl.ProduceSync(t.Context(), kgo.StringRecord("1")).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(10)
	end := kmsg.NewPtrEndTxnRequest()
	end.TransactionalID, end.ProducerID, end.Commit = "fenced", 424242, true
	if resp, err := end.RequestWith(t.Context(), cl); err != nil || resp.ErrorCode == 0 {
		t.Fatalf("the commit of an unknown producer: %v, %v", resp, err)
	}
	put(100)
	p.kill()
	p = start(t, data, listen)
	defer p.kill()
	if got := readAll(t, listen)[1]; got != 110 || p.undone {
		t.Errorf("%d of 110 acknowledged records are left, undone %v", got, p.undone)
	}
}

func TestOneProcessPerDirectory(t *testing.T) {
	data := t.TempDir()
	p := start(t, data, freeAddress(t))
	defer p.kill()
	err := Run(t.Context(), Config{Listen: freeAddress(t), Data: data}, probe.New(slog.New(slog.DiscardHandler)))
	if err == nil || !strings.Contains(err.Error(), "is in use by another broker") {
		t.Errorf("second broker: %v", err)
	}
}

func TestConfigValidate(t *testing.T) {
	f := func(c Config, want string) {
		t.Helper()
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate(%+v) = %v, want %q", c, err, want)
		}
	}
	f(Config{Listen: "0.0.0.0:9092", Data: "d"}, "not a loopback address")
	f(Config{Listen: "127.0.0.1:0", Data: "d"}, "not a port")
	f(Config{Listen: "nonsense", Data: "d"}, "listen")
	f(Config{Listen: "127.0.0.1:9092"}, "data: a directory is needed")
	if err := Default().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
}
