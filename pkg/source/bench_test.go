package source_test

import (
	"syscall"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
)

const batch = 500

// cpuClock measures the processor time of the process, which a busy machine
// does not inflate as it does the time that passes.
type cpuClock syscall.Rusage

func startCPU(b *testing.B) cpuClock {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return cpuClock(u)
}

// report adds the processor time per event, garbage collection included.
func (c cpuClock) report(b *testing.B) {
	b.Helper()
	now := startCPU(b)
	spent := now.Utime.Nano() - c.Utime.Nano() + now.Stime.Nano() - c.Stime.Nano()
	b.ReportMetric(float64(spent)/float64(b.N*batch), "cpu-ns/event")
}

func claudeLogs(b *testing.B, record func(int) attrs) plog.Logs {
	b.Helper()
	records := make([]attrs, batch)
	for i := range records {
		records[i] = record(i)
	}
	return logs(b, claudeResource(), records...)
}

// run decodes and stamps a body; the time per event is the one to look at.
func run(b *testing.B, contentType string, body []byte) {
	b.Helper()
	s, cred := stamper(), credential()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	cpu := startCPU(b)
	for b.Loop() {
		drafts, rejected, err := otlp.DecodeLogs(contentType, body)
		if err != nil || len(rejected) > 0 || len(drafts) != batch {
			b.Fatal(err, rejected)
		}
		for i := range drafts {
			if _, rej := s.Stamp(&drafts[i], cred, now); rej != nil {
				b.Fatal(rej)
			}
		}
	}
	cpu.report(b)
}

func BenchmarkClaudeRequestProtobuf(b *testing.B) {
	run(b, otlp.Protobuf, marshal(b, claudeLogs(b, claudeRequest)))
}

func BenchmarkClaudeActivityProtobuf(b *testing.B) {
	run(b, otlp.Protobuf, marshal(b, claudeLogs(b, toolResult)))
}

func BenchmarkClaudeRequestJSON(b *testing.B) {
	body, err := (&plog.JSONMarshaler{}).MarshalLogs(claudeLogs(b, claudeRequest))
	if err != nil {
		b.Fatal(err)
	}
	run(b, otlp.JSON, body)
}

// What pdata alone costs.
func BenchmarkUnmarshalOnly(b *testing.B) {
	body := marshal(b, claudeLogs(b, claudeRequest))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	cpu := startCPU(b)
	for b.Loop() {
		if _, err := (&plog.ProtoUnmarshaler{}).UnmarshalLogs(body); err != nil {
			b.Fatal(err)
		}
	}
	cpu.report(b)
}

// What stamping alone costs, on drafts that were stamped before.
func BenchmarkStampOnly(b *testing.B) {
	drafts, _, err := otlp.DecodeLogs(otlp.Protobuf, marshal(b, claudeLogs(b, claudeRequest)))
	if err != nil {
		b.Fatal(err)
	}
	s, cred := stamper(), credential()
	var d event.Draft
	b.ReportAllocs()
	cpu := startCPU(b)
	for b.Loop() {
		for i := range drafts {
			d = drafts[i]
			if _, rej := s.Stamp(&d, cred, now); rej != nil {
				b.Fatal(rej)
			}
		}
	}
	cpu.report(b)
}
