package ktest

import (
	"context"
	"net"
	"sync"
)

// Line is the network between a client and its brokers, until it is cut: then
// every connection is gone and none comes up again, as if the client's process
// had been killed. The zero value is a working line. Safe for concurrent use.
type Line struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// Dial connects, for kgo.Dialer; a cut line answers net.ErrClosed.
func (l *Line) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut {
		return nil, net.ErrClosed
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err == nil {
		l.conns = append(l.conns, conn)
	}
	return conn, err
}

// Cut ends every connection, in mid-flight, and keeps new ones from coming up.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for _, conn := range l.conns {
		_ = conn.Close()
	}
}
