package simulate

import (
	"context"
	"fmt"

	"github.com/goodhartlabs/goodhart/services/probe"
)

// Run runs the phase that cfg names.
func Run(ctx context.Context, cfg Config, _ *probe.Telemetry) error {
	if err := cfg.Validate(); err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	if cfg.Phase == PhaseSend {
		return Send(ctx, cfg)
	}
	return Plan(ctx, cfg)
}
