package probe

import (
	"context"
	"fmt"
	"strconv"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/goodhartlabs/goodhart/pkg/tracing"
)

// defaultRatio is the share of events that are followed: one in a thousand.
const defaultRatio = 0.001

// OpenTracer returns the tracer that OpenTelemetry's standard environment
// variables ask for, nil if they ask for none: tracing is on when
// OTEL_TRACES_EXPORTER is otlp or an OTLP endpoint is named. The exporter
// speaks http/protobuf and reads its own OTEL_EXPORTER_OTLP_ variables.
func OpenTracer(ctx context.Context, role string, getenv func(string) (string, bool)) (*tracing.Tracer, error) {
	get := func(name string) string {
		v, _ := getenv(name)
		return v
	}
	on, err := exports(get)
	if !on || err != nil {
		return nil, err
	}
	ratio, err := ratio(get("OTEL_TRACES_SAMPLER"), get("OTEL_TRACES_SAMPLER_ARG"))
	if err != nil {
		return nil, err
	}
	of, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("goodhart-"+role), semconv.ServiceNamespace("goodhart")),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describe this process for traces: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("open the exporter of traces: %w", err)
	}
	return tracing.New(sdktrace.NewBatchSpanProcessor(exporter), ratio, of), nil
}

// exports says whether the environment asks for an exporter, and refuses one
// that there is not.
func exports(get func(string) string) (bool, error) {
	if get("OTEL_SDK_DISABLED") == "true" {
		return false, nil
	}
	switch name := get("OTEL_TRACES_EXPORTER"); name {
	case "none":
		return false, nil
	case "otlp":
	case "":
		if get("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
			return false, nil
		}
	default:
		return false, fmt.Errorf("OTEL_TRACES_EXPORTER: %q is not one of otlp, none", name)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if v := get(name); v != "" && v != "http/protobuf" {
			return false, fmt.Errorf("%s: %q is not http/protobuf", name, v)
		}
	}
	return true, nil
}

// ratio is the share that the environment's sampler follows. What a parent
// decides has no meaning here, since an event's trace begins at the collector.
func ratio(sampler, arg string) (float64, error) {
	switch sampler {
	case "always_on", "parentbased_always_on":
		return 1, nil
	case "always_off", "parentbased_always_off":
		return 0, nil
	case "", "traceidratio", "parentbased_traceidratio":
	default:
		return 0, fmt.Errorf("OTEL_TRACES_SAMPLER: %q is not one of always_on, always_off, traceidratio, or these after parentbased_", sampler)
	}
	if arg == "" {
		return defaultRatio, nil
	}
	r, err := strconv.ParseFloat(arg, 64)
	if err != nil || !(r >= 0 && r <= 1) {
		return 0, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: %q is not a number from 0 to 1", arg)
	}
	return r, nil
}
