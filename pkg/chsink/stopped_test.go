package chsink

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The environment of a test binary that is to be a sink: its brokers and the
// address of its database.
const (
	childBrokers  = "CHSINK_TEST_BROKERS"
	childDatabase = "CHSINK_TEST_DATABASE"
)

func TestMain(m *testing.M) {
	if brokers := os.Getenv(childBrokers); brokers != "" {
		if err := runChild(strings.Split(brokers, ","), os.Getenv(childDatabase)); err != nil {
			slog.Error("child", "error", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runChild is a sink of one insert at a time, until its input ends.
func runChild(brokers []string, addr string) error {
	conn, err := connect(addr, "core")
	if err != nil {
		return err
	}
	cfg := testConfig(brokers, conn, "core", "child")
	cfg.Client = append(cfg.Client, kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return heartless{conn}, err
	}))
	cfg.Inserts, cfg.RecommitAfter = 1, time.Second
	cfg.backoff.most = time.Minute
	cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	s, err := New(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = bufio.NewReader(os.Stdin).ReadString(0)
		cancel()
	}()
	return s.Run(ctx)
}

// heartless sends no heartbeat, so that no answer to one tells the child that it
// was replaced before it acts.
type heartless struct{ net.Conn }

func (c heartless) Write(request []byte) (int, error) {
	if asks(request, kmsg.Heartbeat) {
		return len(request), nil
	}
	return c.Conn.Write(request)
}

// asks says whether what goes over the wire begins a request of the kind.
func asks(request []byte, kind kmsg.Key) bool {
	return len(request) > 6 && int16(binary.BigEndian.Uint16(request[4:])) == kind.Int16()
}

// child is a sink in a process of its own.
type child struct {
	bed *bed
	cmd *exec.Cmd

	mu  sync.Mutex
	log strings.Builder
}

func (b *bed) startChild(database string) *child {
	b.tb.Helper()
	self, err := os.Executable()
	if err != nil {
		b.tb.Fatal(err)
	}
	c := &child{bed: b, cmd: exec.Command(self)}
	c.cmd.Env = append(os.Environ(), childBrokers+"="+strings.Join(b.kafka.Addrs, ","), childDatabase+"="+database)
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		b.tb.Fatal(err)
	}
	if _, err := c.cmd.StdinPipe(); err != nil { // the child ends with this process
		b.tb.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		b.tb.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			c.mu.Lock()
			c.log.WriteString(lines.Text() + "\n")
			c.mu.Unlock()
		}
	}()
	b.tb.Cleanup(func() {
		_ = c.cmd.Process.Kill()
		<-read
		_ = c.cmd.Wait()
		if b.tb.Failed() {
			b.tb.Logf("the child said:\n%s", c.said())
		}
	})
	return c
}

func (c *child) said() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.String()
}

func (c *child) signal(s syscall.Signal) {
	c.bed.tb.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.bed.tb.Fatal(err)
	}
}

// A process is stopped between its intent and its insert, for so long that the
// group gives its partitions away, and wakes when its successor has stored
// everything and the server has forgotten the tokens. It must notice before it
// inserts: the intent is old, and to commit it again is refused.
func TestStoppedBetweenIntentAndInsert(t *testing.T) {
	each(t, 2, func(b *bed) {
		t := b.tb
		p, addr := b.proxy()
		p.rule(always(loseLate))
		c := b.startChild(addr)
		b.produce(0, month(0, "ann"), month(1, "ben"))
		// The insert of one partition hangs, that of the other waits for its turn
		// with a durable intent.
		b.until("the hanging insert", func() bool { return len(p.inserts()) == 1 })
		b.produce(1, month(0, "cem"), month(1, "dan"))
		b.until("the other intent", func() bool {
			_, metadata := b.committed(1)
			got, err := parseProgress(metadata)
			return err == nil && got.pending != nil
		})
		c.signal(syscall.SIGSTOP)
		stopped := time.Now()
		if _, err := kadm.NewClient(b.client).LeaveGroup(t.Context(), kadm.LeaveGroup("sink").InstanceIDs("child")); err != nil {
			t.Fatal(err)
		}
		s := b.start(b.config("successor"))
		b.untilStored(exact(4, 0))
		b.untilDone(0, 2)
		b.untilDone(1, 2)
		b.forget()
		b.until("the intents to be old", func() bool { return time.Since(stopped) > 1200*time.Millisecond })

		p.rule(always(pass))
		close(p.gate) // the hanging insert ends as the child wakes
		c.signal(syscall.SIGCONT)
		// The first refusal makes the client join again, which takes the other
		// partition away before its intent is asked for, or after.
		b.until("the child to be refused, or to insert", func() bool {
			said := c.said()
			one, other := refused(said, 0), refused(said, 1)
			return one && other || (one || other) && b.isMember("child") || len(p.inserts()) > 1
		})
		if diff := cmp.Diff(exact(4, 0), b.totals()); diff != "" {
			t.Error(diff)
		}
		for _, i := range p.inserts()[1:] {
			t.Errorf("the child inserted %s after its successor had", i.token)
		}
		s.stop()
	})
}

// isMember says whether the group has a member of that instance id.
func (b *bed) isMember(instance string) bool {
	b.tb.Helper()
	return slices.ContainsFunc(b.members(), func(m kadm.DescribedGroupMember) bool {
		return m.InstanceID != nil && *m.InstanceID == instance
	})
}

// refused says whether the log tells that the intent of a partition was refused.
func refused(log string, partition int) bool {
	for line := range strings.Lines(log) {
		if strings.Contains(line, fmt.Sprintf("partition=%d", partition)) && strings.Contains(line, "commit intent") {
			return true
		}
	}
	return false
}

// An intent is as old as the question, not as the answer: a process stopped in
// between would take it for fresh.
func TestIntentAgesFromItsQuestion(t *testing.T) {
	b := newBed(t, 1)
	var asked atomic.Int64
	b.kafka.Fake.ControlKey(kmsg.OffsetCommit.Int16(), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.Fake.KeepControl()
		if asked.Add(1) == 1 {
			b.moved.Store(int64(2 * time.Minute))
		}
		return nil, nil, false
	})
	cfg := b.config("a")
	p := b.through(&cfg)
	before := make(chan int64, 1)
	p.rule(func(int, sent) fate {
		select {
		case before <- asked.Load():
		default:
		}
		return pass
	})
	s := b.start(cfg)
	b.produce(0, month(0, "ann"))
	b.untilDone(0, 1)
	s.stop()
	if got := <-before; got != 2 {
		t.Errorf("%d commits before the insert, want 2: the answer to the first took two minutes", got)
	}
}
