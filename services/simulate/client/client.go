// Package client is a client of the collector that delivers at least once: it
// sends a request until it is acknowledged, with the same bytes each time, and
// waits longer after each failure. It speaks OTLP/HTTP, OTLP/gRPC and CloudEvents
// over HTTP.
package client

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v4"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// ClockHeader carries the simulated time; its lower-case form is the gRPC
// metadata key.
const ClockHeader = "Goodhart-Clock"

// Config of a Client.
type Config struct {
	// HTTP is the collector's base URL, GRPC the address of its OTLP/gRPC.
	HTTP, GRPC string
	// Secrets maps ids of API keys to secrets.
	Secrets map[string]string
	// Patience is how long a request is tried again.
	Patience time.Duration
	// FirstPause is how long to wait before the second try; 0: 50 ms.
	FirstPause time.Duration
}

// Client is safe for concurrent use.
type Client struct {
	cfg     Config
	http    *http.Client
	conn    *grpc.ClientConn
	logs    plogotlp.GRPCClient
	metrics pmetricotlp.GRPCClient
	traces  ptraceotlp.GRPCClient
	stats   Stats
}

// Stats count what a client did.
type Stats struct {
	// Requests were acknowledged, Retries were not and sent again.
	Requests, Retries atomic.Int64
	// Bytes of bodies, as sent.
	Bytes atomic.Int64
	// Rejected is how many records the answers call refused.
	Rejected atomic.Int64
}

// New returns a client. It connects when it has something to send.
func New(cfg Config) (*Client, error) {
	if cfg.FirstPause == 0 {
		cfg.FirstPause = 50 * time.Millisecond
	}
	conn, err := grpc.NewClient(cfg.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(64<<20)))
	if err != nil {
		return nil, fmt.Errorf("grpc client: %w", err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute}
	return &Client{
		cfg: cfg, conn: conn,
		http:    &http.Client{Transport: transport, Timeout: time.Minute},
		logs:    plogotlp.NewGRPCClient(conn),
		metrics: pmetricotlp.NewGRPCClient(conn),
		traces:  ptraceotlp.NewGRPCClient(conn),
	}, nil
}

// Close closes the connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return c.conn.Close()
}

// Stats returns the counters.
func (c *Client) Stats() *Stats { return &c.stats }

// Message is a request ready to be sent, any number of times.
type Message struct {
	// Key is the id of the API key.
	Key string
	// Clock is the simulated time, ms since the epoch.
	Clock int64

	// Path, Header and Body are for HTTP. Headers are set as they are; a body
	// that is to be compressed is compressed here.
	Path   string
	Header http.Header
	Body   []byte
	// Gzip compresses the body, Chunked sends it without Content-Length.
	Gzip, Chunked bool
	// Tolerant messages may be refused for good: all their records are bad.
	Tolerant bool

	// Logs, Metrics or Traces is for gRPC.
	Logs    *plogotlp.ExportRequest
	Metrics *pmetricotlp.ExportRequest
	Traces  *ptraceotlp.ExportRequest
}

// errRefused marks an answer that a client must not repeat.
var errRefused = errors.New("refused")

// Send delivers a message: it returns nil once the collector has acknowledged
// it, and an error if that is never going to happen or patience is over.
func (c *Client) Send(ctx context.Context, m *Message) error {
	if m.Gzip {
		if err := m.compress(); err != nil {
			return err
		}
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval, pause.MaxElapsedTime = c.cfg.FirstPause, 2*time.Second, c.cfg.Patience
	err := backoff.RetryNotify(func() error {
		err := c.once(ctx, m)
		if errors.Is(err, errRefused) {
			return backoff.Permanent(err)
		}
		return err
	}, backoff.WithContext(pause, ctx), func(error, time.Duration) { c.stats.Retries.Add(1) })
	if errors.Is(err, errRefused) && m.Tolerant {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("send %s: %w", m.name(), err)
	}
	c.stats.Requests.Add(1)
	return nil
}

func (m *Message) name() string {
	if m.Path != "" {
		return m.Path
	}
	return "grpc"
}

func (m *Message) compress() error {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	if _, err := z.Write(m.Body); err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("compress: %w", err)
	}
	m.Body, m.Gzip = b.Bytes(), false
	m.Header = m.Header.Clone()
	m.Header.Set("Content-Encoding", "gzip")
	return nil
}

// once sends a message one time.
func (c *Client) once(ctx context.Context, m *Message) error {
	if m.Path == "" {
		return c.call(ctx, m)
	}
	return c.post(ctx, m)
}

func (c *Client) post(ctx context.Context, m *Message) error {
	var body io.Reader = bytes.NewReader(m.Body)
	if m.Chunked {
		body = io.MultiReader(body) // of unknown length
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.HTTP+m.Path, body)
	if err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	for name, values := range m.Header {
		req.Header[name] = values
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.Secrets[m.Key])
	req.Header.Set(ClockHeader, strconv.FormatInt(m.Clock, 10))
	c.stats.Bytes.Add(int64(len(m.Body)))
	res, err := c.http.Do(req)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	_ = res.Body.Close()
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return c.judge(m, res.StatusCode, res.Header.Get("Content-Type"), answer)
}

// judge decides what an answer means: done, again, or never.
func (c *Client) judge(m *Message, status int, contentType string, answer []byte) error {
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusBadGateway,
		status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return fmt.Errorf("status %d", status)
	case status/100 == 2:
		c.stats.Rejected.Add(rejected(m.Path, contentType, answer))
		return nil
	case status/100 == 5:
		return fmt.Errorf("status %d: %.200s", status, answer)
	default:
		c.stats.Rejected.Add(rejected(m.Path, contentType, answer))
		return fmt.Errorf("%w: status %d: %.300s", errRefused, status, answer)
	}
}
