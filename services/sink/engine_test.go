package sink

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// engine makes ClickHouse's own Kafka engine store the topic's usage facts in
// core.usage, the same columns from the same bytes, with two consumers.
func (b *bed) engine(topic string) {
	b.tb.Helper()
	for _, sql := range []string{
		fmt.Sprintf(`CREATE TABLE core.engine_queue (w Int64, p UInt32, observational Bool, late Bool, accepted_ms Int64, event %s)
			ENGINE = Kafka SETTINGS kafka_broker_list = '%s', kafka_topic_list = '%s', kafka_group_name = 'engine-%s', kafka_num_consumers = 2,
			kafka_thread_per_consumer = 1, kafka_max_block_size = %d, kafka_poll_max_batch_size = %d, kafka_flush_interval_ms = 1000,
			kafka_format = 'ProtobufSingle', format_schema_source = 'string', format_schema_message_name = 'Fact', format_schema = '%s'`,
			tupleOf(&goodhartv1.Event{}), strings.Join(b.cfg.Kafka.Brokers, ","), topic, topic, benchRows, benchRows,
			`syntax = "proto3"; message Fact { int64 w = 1; uint32 p = 2; bool observational = 5; bool late = 6; int64 accepted_ms = 7; Event event = 10; } `+
				messageText(&goodhartv1.Event{})+messageText(&goodhartv1.Usage{})),
		"CREATE MATERIALIZED VIEW core.engine_view TO core.usage AS SELECT " + strings.Join(engineColumns(), ", ") + " FROM core.engine_queue",
	} {
		b.exec(sql)
	}
}

func (b *bed) stopEngine() {
	b.tb.Helper()
	b.exec("DROP TABLE core.engine_view SYNC")
	b.exec("DROP TABLE core.engine_queue SYNC")
}

// ClickHouse, reading the same bytes with a decoder of its own, comes to the same
// rows: every column of usage, many values.
func TestEngineReadsTheSame(t *testing.T) {
	b := newBed(t)
	values := benchFacts(t, 2000)
	values[7] = bytesOf(t, usageFact()) // with every optional field
	b.produce(schemas.TopicFacts, 0, values...)
	rows := func() []string {
		b.until("usage", uint64(len(values)))
		return b.query("SELECT * EXCEPT (stored_at, k_topic) FROM core.usage ORDER BY k_offset")
	}
	b.engine(schemas.TopicFacts)
	want := rows()
	b.stopEngine()
	b.exec("TRUNCATE TABLE core.usage")
	b.cfg.Topics = []string{schemas.TopicFacts}
	b.start()
	got := rows()
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("row %d:\n%s\nthe engine has\n%s", i, got[i], want[i])
		}
	}
}

// engineFields are the fields of a message that the engine reads: all but the
// other payloads, and the cost at constant price, of which there is no column.
func engineFields(m protoreflect.ProtoMessage) []protoreflect.FieldDescriptor {
	list := m.ProtoReflect().Descriptor().Fields()
	var out []protoreflect.FieldDescriptor
	for i := range list.Len() {
		if f := list.Get(i); f.Name() != "base_cost_nanos" && (f.Kind() != protoreflect.MessageKind || f.Name() == "usage") {
			out = append(out, f)
		}
	}
	return out
}

// messageText is a message's schema, its enums as the numbers they are.
func messageText(m protoreflect.ProtoMessage) string {
	var s strings.Builder
	fmt.Fprintf(&s, "message %s { ", m.ProtoReflect().Descriptor().Name())
	for _, f := range engineFields(m) {
		kind := f.Kind().String()
		switch {
		case f.Kind() == protoreflect.EnumKind:
			kind = "int32"
		case f.Kind() == protoreflect.MessageKind:
			kind = string(f.Message().Name())
		}
		switch {
		case f.IsList():
			kind = "repeated " + kind
		case f.HasOptionalKeyword():
			kind = "optional " + kind
		}
		fmt.Fprintf(&s, "%s %s = %d; ", kind, f.Name(), f.Number())
	}
	return s.String() + "} "
}

// tupleOf is the type of a message's column.
func tupleOf(m protoreflect.ProtoMessage) string {
	var fields []string
	for _, f := range engineFields(m) {
		var typ string
		switch f.Kind() {
		case protoreflect.MessageKind:
			typ = tupleOf(&goodhartv1.Usage{})
		case protoreflect.StringKind, protoreflect.BytesKind:
			typ = "String"
		case protoreflect.BoolKind:
			typ = "Bool"
		case protoreflect.Int64Kind:
			typ = "Int64"
		case protoreflect.Uint32Kind:
			typ = "UInt32"
		case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
			typ = "UInt64"
		default:
			typ = "Int32"
		}
		switch {
		case f.IsList():
			typ = "Array(" + typ + ")"
		case f.HasOptionalKeyword():
			typ = "Nullable(" + typ + ")"
		}
		fields = append(fields, string(f.Name())+" "+typ)
	}
	return "Tuple(" + strings.Join(fields, ", ") + ")"
}

// engineColumns are the expressions of core.usage's columns.
func engineColumns() []string {
	out := []string{
		"fromUnixTimestamp64Milli(w, 'UTC') AS w", "toUInt16(p) AS p", "observational", "late",
		"fromUnixTimestamp64Milli(accepted_ms, 'UTC') AS accepted_at",
		"fromUnixTimestamp64Milli(event.time_ms, 'UTC') AS event_time", "fromUnixTimestamp64Milli(event.received_ms, 'UTC') AS received_at",
		"toInt16(event.tz_offset_min) AS tz_offset_min", "toUInt16(event.schema_version) AS schema_version",
		"event.usage.provider_name AS provider",
		"concat(_topic, '@engine') AS k_topic", "toUInt16(_partition) AS k_partition", "_offset AS k_offset",
		"arrayMap(q -> " + wordOf(names(goodhartv1.Quality_name, "QUALITY_"), "q") + ", event.quality) AS quality",
	}
	for name, words := range map[string][]string{
		"signal": names(goodhartv1.Signal_name, "SIGNAL_"), "accounting": names(goodhartv1.Accounting_name, "ACCOUNTING_"),
		"identity_type":   names(goodhartv1.IdentityType_name, "IDENTITY_TYPE_"),
		"identity_method": names(goodhartv1.IdentityMethod_name, "IDENTITY_METHOD_"),
		"transport":       names(goodhartv1.Transport_name, "TRANSPORT_"),
	} {
		out = append(out, wordOf(words, "event."+name)+" AS "+name)
	}
	for name, words := range map[string][]string{
		"cost_basis": names(goodhartv1.CostBasis_name, "COST_BASIS_"), "status": names(goodhartv1.Status_name, "STATUS_"),
		"granularity": names(goodhartv1.Granularity_name, "GRANULARITY_"),
	} {
		out = append(out, wordOf(words, "event.usage."+name)+" AS "+name)
	}
	plain := map[protoreflect.Name]bool{}
	for _, name := range []protoreflect.Name{
		"kind", "time_ms", "received_ms", "tz_offset_min", "schema_version", "counts_alone", "quality", "usage", "provider_name",
		"signal", "accounting", "identity_type", "identity_method", "transport", "cost_basis", "status", "granularity",
	} {
		plain[name] = true
	}
	for _, f := range engineFields(&goodhartv1.Event{}) {
		if !plain[f.Name()] {
			out = append(out, fmt.Sprintf("event.%s AS %s", f.Name(), f.Name()))
		}
	}
	for _, f := range engineFields(&goodhartv1.Usage{}) {
		if !plain[f.Name()] {
			out = append(out, fmt.Sprintf("event.usage.%s AS %s", f.Name(), f.Name()))
		}
	}
	return out
}

func wordOf(words []string, number string) string {
	return "['" + strings.Join(words, "', '") + "'][" + number + " + 1]"
}
