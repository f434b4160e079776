package otlp_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
)

// nested is a logs body whose record has a body of arrays in arrays.
func nested(size int) []byte {
	var reversed []byte
	wrap := func(field byte) {
		head := binary.AppendUvarint([]byte{field<<3 | 2}, uint64(len(reversed)))
		slices.Reverse(head)
		reversed = append(reversed, head...)
	}
	for len(reversed) < size {
		wrap(1) // ArrayValue.values
		wrap(5) // AnyValue.array_value
	}
	for _, field := range []byte{5, 2, 2, 1} { // LogRecord.body up to the request
		wrap(field)
	}
	slices.Reverse(reversed)
	return reversed
}

func TestDeepNestingIsAnError(t *testing.T) {
	if _, _, err := otlp.DecodeLogs(otlp.Protobuf, nested(48<<20)); !errors.Is(err, otlp.ErrMalformed) {
		t.Errorf("48 MiB of nested arrays: %v, want ErrMalformed", err)
	}
	if _, _, err := otlp.DecodeLogs(otlp.Protobuf, nested(1<<19)); err != nil {
		t.Errorf("0.5 MiB of nested arrays: %v, want a rejected record", err)
	}
}

func TestLargeBodiesAreNotDeep(t *testing.T) {
	ld := plog.NewLogs()
	records := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for range 2000 {
		r := records.AppendEmpty()
		r.Body().SetStr("the quick brown fox jumps over the lazy dog, zzzzzzzzzzzzzzzzzz \x0a\x0a\x0a\x0a\x0a\x0a\x0a\x0a")
		r.Attributes().PutStr("text", string(make([]byte, 2000)))
	}
	body, err := (&plog.ProtoMarshaler{}).MarshalLogs(ld)
	if err != nil {
		t.Fatal(err)
	}
	_, rejected, err := otlp.DecodeLogs(otlp.Protobuf, body)
	if err != nil || len(rejected) != 2000 {
		t.Errorf("rejected %d, err %v", len(rejected), err)
	}
}
