package schemas

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

var update = flag.Bool("update", false, "write new golden files beside the old ones")

// message is what the generated types offer.
type message interface {
	proto.Message
	MarshalVT() ([]byte, error)
	UnmarshalVT([]byte) error
	UnmarshalVTUnsafe([]byte) error
}

// messages are the values of the protobuf topics and what snapshots hold.
func messages() map[string]message {
	return map[string]message{
		"Event":          &goodhartv1.Event{},
		"Fact":           &goodhartv1.Fact{},
		"Feature":        &goodhartv1.Feature{},
		"DeadLetter":     &goodhartv1.DeadLetter{},
		"Meta":           &goodhartv1.Meta{},
		"SnapshotHeader": &goodhartv1.SnapshotHeader{},
		"SnapshotChunk":  &goodhartv1.SnapshotChunk{},
		"LedgerHeader":   &goodhartv1.LedgerHeader{},
		"LedgerShard":    &goodhartv1.LedgerShard{},
		"SubjectShard":   &goodhartv1.SubjectShard{},
	}
}

// examples are the messages whose bytes are golden: of each type one with every
// field set ("full"), and records as the services write them.
func examples() map[string]message {
	all := map[string]message{}
	for name, m := range messages() {
		fill(m.ProtoReflect())
		all[name+".full"] = m
	}
	usage := exampleEvent(goodhartv1.EventKind_EVENT_KIND_USAGE)
	outcome := exampleEvent(goodhartv1.EventKind_EVENT_KIND_OUTCOME)
	all["Event.usage"] = usage
	all["Event.activity"] = exampleEvent(goodhartv1.EventKind_EVENT_KIND_ACTIVITY)
	all["Event.outcome"] = outcome
	all["Event.config"] = exampleEvent(goodhartv1.EventKind_EVENT_KIND_CONFIG)
	all["Event.tick"] = exampleEvent(goodhartv1.EventKind_EVENT_KIND_TICK)
	all["Fact.watermark"] = &goodhartv1.Fact{W: exampleTime, P: 3, Seq: 17, Kind: goodhartv1.FactKind_FACT_KIND_WATERMARK}
	all["Fact.usage"] = &goodhartv1.Fact{
		W: exampleTime, P: 3, Seq: 18, Kind: goodhartv1.FactKind_FACT_KIND_USAGE, AcceptedMs: exampleTime + 40, Event: usage,
	}
	all["Fact.transition"] = &goodhartv1.Fact{
		W: exampleTime, P: 3, Seq: 19, Kind: goodhartv1.FactKind_FACT_KIND_TRANSITION, AcceptedMs: exampleTime + 40, Event: outcome,
		Transition: &goodhartv1.Transition{
			Kind:    goodhartv1.TransitionKind_TRANSITION_KIND_MERGED,
			Outcome: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, Tenant: "acme", Object: exampleHash('a'),
			Subject: "p_" + exampleHash('b'), Team: "platform", ObjectDayMs: 1_772_409_600_000, TimeMs: exampleTime,
			TransitionId: []byte("0123456789abcdef"), ProvisionalDelta: 1,
		},
	}
	all["Fact.tally"] = &goodhartv1.Fact{
		W: exampleTime, P: 3, Seq: 20, Kind: goodhartv1.FactKind_FACT_KIND_TALLY,
		Tally: &goodhartv1.Tally{Tenant: "acme", Source: "claude-code", HourMs: 1_772_445_600_000, Accepted: 12, Duplicate: 2, Held: -1},
	}
	all["Feature.pane"] = &goodhartv1.Feature{
		W: exampleTime, P: 1, Seq: 5, Kind: goodhartv1.FeatureKind_FEATURE_KIND_PANE, Tenant: "acme",
		Subject: "p_" + exampleHash('b'), PaneStartMs: 1_772_447_400_000,
		Cells: []*goodhartv1.Cell{{Team: "platform", Model: "claude-sonnet-4-5", Tool: "claude-code", Requests: 2, OutputTokens: 512, CostNanos: 31_225_800}},
	}
	all["Feature.week"] = &goodhartv1.Feature{
		W: exampleTime, P: 1, Seq: 6, Kind: goodhartv1.FeatureKind_FEATURE_KIND_WEEK, Tenant: "acme", Subject: "p_" + exampleHash('b'),
		Week: &goodhartv1.Week{
			WeekStartMs: 1_771_804_800_000, Team: "platform", Requests: 40, OutputTokens: 51_200, ContextRequests: 40, ContextLnSum: 92_103_404,
			DayRequests: []int64{8, 9, 7, 10, 6, 0, 0},
			Baselines: []*goodhartv1.Baseline{{
				Statistic: goodhartv1.Statistic_STATISTIC_CONTEXT, Median: 2_302_585, Mad: 120_000, Weeks: 10,
			}},
		},
	}
	all["DeadLetter.collector"] = &goodhartv1.DeadLetter{
		Stage: goodhartv1.Stage_STAGE_COLLECTOR, Tenant: "acme", Source: "claude-code", Reason: "bad_time",
		Field: "resourceLogs[0].scopeLogs[0].logRecords[3]", TimeMs: exampleTime, SizeBytes: 431, Shape: "timeUnixNano:int",
	}
	all["Meta.first"] = &goodhartv1.Meta{
		Generation: 1, Topics: []*goodhartv1.TopicPartitions{{Topic: TopicEvents, Partitions: 8}, {Topic: TopicFacts, Partitions: 8}},
	}
	return all
}

const exampleTime = 1_772_447_425_000 // 2026-03-02 10:30:25 UTC

func exampleHash(c byte) string { return strings.Repeat(string(c), 32) }

func exampleEvent(kind goodhartv1.EventKind) *goodhartv1.Event {
	n := func(x int64) *int64 { return &x }
	ev := &goodhartv1.Event{
		Kind: kind, Tenant: "acme", Source: "claude-code", Signal: goodhartv1.Signal_SIGNAL_LOG,
		EventId: []byte("0123456789abcdef"), TimeMs: exampleTime, ReceivedMs: exampleTime + 30,
		Conversation: exampleHash('c'), Accounting: goodhartv1.Accounting_ACCOUNTING_BILLABLE,
		Subject: "p_" + exampleHash('b'), Team: "platform", Tool: "claude-code", ToolVersion: "2.1.220",
		Quality: []goodhartv1.Quality{goodhartv1.Quality_QUALITY_STRING_NUMBERS}, SchemaVersion: 1,
	}
	switch kind {
	case goodhartv1.EventKind_EVENT_KIND_USAGE:
		ev.RequestKey = []byte("fedcba9876543210")
		ev.Usage = &goodhartv1.Usage{
			Model: "claude-sonnet-4-5", InputUncachedTokens: n(12), CacheReadTokens: n(48_211), OutputTokens: n(0),
			CostNanos: n(14_499_300), CostBasis: goodhartv1.CostBasis_COST_BASIS_ESTIMATED, PriceVersion: "2026-10-01",
			Granularity: goodhartv1.Granularity_GRANULARITY_REQUEST, Status: goodhartv1.Status_STATUS_OK,
		}
	case goodhartv1.EventKind_EVENT_KIND_ACTIVITY:
		ev.Activity = &goodhartv1.Activity{
			Name: "tool_result", Numbers: []*goodhartv1.Number{{Key: "duration_ms", Value: 12.5}},
			Labels: []*goodhartv1.Label{{Key: "tool_name", Value: "Bash"}},
		}
	case goodhartv1.EventKind_EVENT_KIND_OUTCOME:
		ev.Source, ev.Signal = "cloudevent", goodhartv1.Signal_SIGNAL_CLOUDEVENT
		ev.Outcome = &goodhartv1.Outcome{
			Kind: goodhartv1.OutcomeKind_OUTCOME_KIND_PR_MERGED, Object: exampleHash('a'), MergeSha: exampleHash('d'), Additions: n(40),
		}
	case goodhartv1.EventKind_EVENT_KIND_CONFIG:
		ev.Config = &goodhartv1.Config{Version: 7, Document: []byte(`{"teams":{}}`)}
	case goodhartv1.EventKind_EVENT_KIND_TICK:
		ev = &goodhartv1.Event{
			Kind: kind, TimeMs: exampleTime, ReceivedMs: exampleTime,
			Tick: &goodhartv1.Tick{Collector: "c-1", Sequence: 42, Rejected: []*goodhartv1.Rejected{
				{Tenant: "acme", Source: "claude-code", HourMs: 1_772_445_600_000, Reason: "bad_time", Records: 2},
			}},
		}
	default:
	}
	return ev
}

// fill sets every field to a value made of its number, so that a new field adds
// bytes and changes none.
func fill(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		switch {
		case field.IsList() && field.Message() != nil:
			fill(m.Mutable(field).List().AppendMutable().Message())
		case field.IsList():
			m.Mutable(field).List().Append(scalar(field))
		case field.Message() != nil:
			fill(m.Mutable(field).Message())
		default:
			m.Set(field, scalar(field))
		}
	}
}

func scalar(field protoreflect.FieldDescriptor) protoreflect.Value {
	n := int64(field.Number())
	switch field.Kind() {
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(fmt.Sprint("text", n))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{0, byte(n), 0xff})
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(float64(n) / 2)
	case protoreflect.Int32Kind, protoreflect.Sint32Kind:
		return protoreflect.ValueOfInt32(-int32(n))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(uint32(n) << 20)
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(uint64(n) << 40)
	default:
		return protoreflect.ValueOfInt64(n << 40)
	}
}

const goldenDir = "testdata/golden"

// A file Type.example.N.raw holds the bytes of an example as version N of the
// schema wrote them, and the file .hex the same for people. Files are added,
// never changed: what was written once must stay readable.
func goldenFile(name string, n int) string {
	return filepath.Join(goldenDir, fmt.Sprintf("%s.%d.raw", name, n))
}

// newestGolden returns the number of the newest file of an example, 0 if there
// is none.
func newestGolden(name string) int {
	n := 0
	for {
		if _, err := os.Stat(goldenFile(name, n+1)); err != nil {
			return n
		}
		n++
	}
}

// Today's code writes the newest golden bytes.
func TestGoldenEncoding(t *testing.T) {
	for name, m := range examples() {
		got, err := m.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		std, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil || !bytes.Equal(std, got) {
			t.Errorf("%s: the generated encoder differs from protobuf's own (%v)", name, err)
		}
		n := newestGolden(name)
		want, err := os.ReadFile(goldenFile(name, n))
		if err == nil && bytes.Equal(got, want) {
			continue
		}
		if !*update {
			t.Errorf("%s: the encoding has changed. If only fields were added, run go test -run Golden -update", name)
			continue
		}
		writeGolden(t, goldenFile(name, n+1), got)
	}
}

func writeGolden(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(goldenDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{
		file:                                    b,
		strings.TrimSuffix(file, "raw") + "hex": []byte(hex.Dump(b)),
	} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Everything that was ever written is still read in full: no field has become
// unknown, and writing it again gives the same bytes.
func TestGoldenFilesStillDecode(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(goldenDir, "*.raw"))
	if err != nil || len(files) < len(examples()) {
		t.Fatalf("%d golden files (%v)", len(files), err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(filepath.Base(file), ".")
		for _, decode := range []func(message, []byte) error{
			func(m message, b []byte) error { return m.UnmarshalVT(b) },
			func(m message, b []byte) error { return m.UnmarshalVTUnsafe(bytes.Clone(b)) },
			func(m message, b []byte) error { return proto.Unmarshal(b, m) },
		} {
			m := messages()[name]
			if m == nil {
				t.Fatalf("%s: no type %s", file, name)
			}
			if err := decode(m, raw); err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			if unknown(m.ProtoReflect()) {
				t.Errorf("%s: it has fields that the schema no longer knows", file)
			}
			if again, err := m.MarshalVT(); err != nil || !bytes.Equal(again, raw) {
				t.Errorf("%s: written again it differs (%v)", file, err)
			}
		}
		dump, err := os.ReadFile(strings.TrimSuffix(file, "raw") + "hex")
		if err != nil || string(dump) != hex.Dump(raw) {
			t.Errorf("%s: the .hex file is not its dump (%v)", file, err)
		}
	}
}

func unknown(m protoreflect.Message) bool {
	found := len(m.GetUnknown()) > 0
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			for i := range v.List().Len() {
				found = found || unknown(v.List().Get(i).Message())
			}
		default:
			found = found || unknown(v.Message())
		}
		return !found
	})
	return found
}
