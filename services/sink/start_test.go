package sink

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/services/probe"
)

// A sink that is stopped while it still waits for Kafka ends well.
func TestStopWhileWaitingForKafka(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	cfg := Default()
	cfg.Kafka.Extra = []kgo.Opt{kgo.Dialer(func(context.Context, string, string) (net.Conn, error) {
		stop()
		return nil, errors.New("no broker")
	})}
	if err := Run(ctx, cfg, probe.New(slog.New(slog.DiscardHandler))); err != nil {
		t.Errorf("stopped, and returned %v", err)
	}
}
