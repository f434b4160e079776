package source_test

import (
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/source/cloudevents"
	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// corpus is a directory of bodies that real tools sent. They are not part of
// the repository: go test ./source -corpus DIR.
var corpus = flag.String("corpus", "", "directory of captured bodies")

func TestCorpus(t *testing.T) {
	if *corpus == "" {
		t.Skip("no -corpus")
	}
	read := func(name string) []byte {
		raw, err := os.ReadFile(filepath.Join(*corpus, name))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	cloudEvents := func(contentType string) func(string, []byte) ([]event.Draft, []event.Rejection, error) {
		return func(_ string, body []byte) ([]event.Draft, []event.Rejection, error) {
			return cloudevents.Decode(http.Header{"Content-Type": {contentType}}, body)
		}
	}
	for name, c := range map[string]struct {
		decode func(string, []byte) ([]event.Draft, []event.Rejection, error)
		want   string
	}{
		"02-claude-code-metrics-v2.1.158.otlp.json": {otlp.DecodeMetrics, "5 of claude-code"},
		"05-gemini-cli-logs-wire.otlp.json":         {otlp.DecodeLogs, "unknown_record"},
		"12-cloudevents-batch.json":                 {cloudEvents("application/cloudevents-batch+json; charset=UTF-8"), "[0] malformed_record data_base64, [1] unknown_type type"},
		"openmeter-cloudevents-single.json":         {cloudEvents("application/cloudevents+json"), "unknown_type type"},
		"otlp-proto-example-logs.json":              {otlp.DecodeLogs, "not_ai_telemetry"},
		"otlp-proto-example-events.json":            {otlp.DecodeLogs, "not_ai_telemetry"},
		"otlp-proto-example-trace.json":             {otlp.DecodeTraces, "not_ai_telemetry"},
		"otlp-proto-example-metrics.json":           {otlp.DecodeMetrics, "not_ai_telemetry, not_ai_telemetry, not_ai_telemetry, not_ai_telemetry"},
	} {
		drafts, rejected, err := c.decode(otlp.JSON, read(name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var faults []string
		for _, r := range rejected {
			faults = append(faults, strings.Join(strings.Fields(indexed(r.Path)+" "+r.Reason+" "+r.Field), " "))
		}
		got := strings.Join(faults, ", ")
		if len(drafts) > 0 {
			got = fmt.Sprint(len(drafts), " of ", drafts[0].Event.Source, got)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	realCounters(t, read("02-claude-code-metrics-v2.1.158.otlp.json"))
}

// indexed is the path of an event in a batch; those of OTLP are long.
func indexed(path string) string {
	if strings.HasPrefix(path, "[") {
		return path
	}
	return ""
}

// realCounters adds up the points of one real session.
func realCounters(t *testing.T, body []byte) {
	t.Helper()
	drafts, _, err := otlp.DecodeMetrics(otlp.JSON, body)
	if err != nil {
		t.Fatal(err)
	}
	var got [5]int64
	conversations := map[string]bool{}
	for i := range drafts {
		if _, rej := stamper().Stamp(&drafts[i], credential(), now); rej != nil {
			t.Fatal(rej)
		}
		e := drafts[i].Event
		conversations[e.Conversation] = true
		for j, n := range []int64{
			e.Usage.GetInputUncachedTokens(), e.Usage.GetOutputTokens(), e.Usage.GetCacheReadTokens(), e.Usage.GetCacheWriteTokens(),
			e.Usage.GetReportedCostNanos(),
		} {
			got[j] += n
		}
		if e.Usage.Granularity != goodhartv1.Granularity_GRANULARITY_DELTA || e.Usage.Model != "claude-sonnet-4-6" {
			t.Errorf("point %v", e.Usage)
		}
	}
	if diff := cmp.Diff([5]int64{3, 13, 0, 27113, 101_877_750}, got); diff != "" || len(conversations) != 1 {
		t.Errorf("sums %s, %d conversations", diff, len(conversations))
	}
}
