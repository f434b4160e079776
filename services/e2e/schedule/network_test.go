package schedule

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// latency is how long a message is on its way. There must be some: whoever is
// refused and asks again at once would keep the bubble's clock from moving on.
const latency = time.Millisecond

// line is the network of one process. A cut line loses what is in flight and
// lets nothing through again, as if the process had been killed; a frozen one
// holds everything back until it thaws, as if it had been stopped.
type line struct {
	network *kfake.VirtualNetwork
	// sever decides about a request to a broker, by its key.
	sever func(key int16) severance

	mu     sync.Mutex
	cut    bool
	thawed chan struct{} // closed when a frozen line thaws; nil before the first freeze
	conns  map[*conn]struct{}
}

// severance says when the connection of a request breaks.
type severance int

const (
	never       severance = iota
	beforehand            // the request is not sent
	withoutWord           // it is sent, and its answer lost
	// with a false word: it is sent, takes effect, and is answered with
	// UNKNOWN_SERVER_ERROR; for EndTxn alone.
	falseWord
)

func (l *line) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	l.mu.Lock()
	cut, thawed := l.cut, l.thawed
	l.mu.Unlock()
	if cut {
		return nil, net.ErrClosed
	}
	if thawed != nil {
		select {
		case <-thawed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	inner, err := l.network.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return l.adopt(inner)
}

func (l *line) adopt(inner net.Conn) (net.Conn, error) {
	c := &conn{Conn: inner, line: l, closed: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		_ = inner.Close()
		return nil, net.ErrClosed
	}
	if l.conns == nil {
		l.conns = map[*conn]struct{}{}
	}
	l.conns[c] = struct{}{}
	return c, nil
}

// listen opens a listener whose connections end with the line.
func (l *line) listen(network, address string) (net.Listener, error) {
	inner, err := l.network.Listen(network, address)
	return &listener{inner, l}, err
}

func (l *line) kill() {
	l.mu.Lock()
	l.cut = true
	conns := l.conns
	l.conns = nil
	l.mu.Unlock()
	for c := range conns {
		_ = c.Close()
	}
}

// freeze returns what thaws the line.
func (l *line) freeze() (thaw func()) {
	thawed := make(chan struct{})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.thawed = thawed
	return func() { close(thawed) }
}

// conn is a connection of a line.
type conn struct {
	net.Conn
	line *line
	// deaf connections break at the next answer.
	deaf atomic.Bool
	// denied is the correlation id of the request whose answer is falsified; 0
	// for none.
	denied atomic.Uint32
	once   sync.Once
	closed chan struct{}
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.deaf.Load() {
		_ = c.Close()
	}
	if werr := c.wait(); werr != nil {
		return 0, werr
	}
	// An answer is written at once, too: its size, correlation id, an empty set of
	// tags, throttle time, error code.
	if id := c.denied.Load(); id != 0 && n > 14 && binary.BigEndian.Uint32(b[4:]) == id {
		c.denied.Store(0)
		binary.BigEndian.PutUint16(b[13:], ^uint16(0))
	}
	return n, err
}

func (c *conn) Write(b []byte) (int, error) {
	time.Sleep(latency)
	if err := c.wait(); err != nil {
		return 0, err
	}
	if c.line.sever == nil || len(b) < 12 {
		return c.Conn.Write(b)
	}
	// A Kafka request is written at once: its size, key, version, correlation id.
	switch c.line.sever(int16(binary.BigEndian.Uint16(b[4:]))) {
	case beforehand:
		_ = c.Close()
		return 0, net.ErrClosed
	case withoutWord:
		c.deaf.Store(true)
	case falseWord:
		c.denied.Store(binary.BigEndian.Uint32(b[8:]))
	case never:
	}
	return c.Conn.Write(b)
}

// wait holds the caller while the line is frozen.
func (c *conn) wait() error {
	c.line.mu.Lock()
	thawed := c.line.thawed
	c.line.mu.Unlock()
	if thawed == nil {
		select {
		case <-c.closed:
			return net.ErrClosed
		default:
			return nil
		}
	}
	select {
	case <-c.closed:
		return net.ErrClosed
	case <-thawed:
		return nil
	}
}

func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.line.mu.Lock()
		delete(c.line.conns, c)
		c.line.mu.Unlock()
	})
	return c.Conn.Close()
}

type listener struct {
	net.Listener
	line *line
}

func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.line.adopt(inner)
}
