package chsink

import (
	"context"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/chtest"
)

const everyType = `CREATE TABLE every.kind (
	words LowCardinality(String), enum LowCardinality(String), text String, fixed FixedString(4),
	millis DateTime64(3, 'UTC'), seconds DateTime('UTC'), day Date,
	u8 UInt8, u16 UInt16, u32 UInt32, u64 UInt64, i8 Int8, i32 Int32, i64 Int64,
	nmillis Nullable(DateTime64(3, 'UTC')), nbool Nullable(Bool), ni16 Nullable(Int16), ni32 Nullable(Int32), ni64 Nullable(Int64),
	nu32 Nullable(UInt32), nu64 Nullable(UInt64), nf64 Nullable(Float64),
	strings Array(String), set Array(LowCardinality(String)),
	numbers Map(LowCardinality(String), Float64), labels Map(LowCardinality(String), LowCardinality(String)),
	k_topic LowCardinality(String), k_partition UInt16, k_offset UInt64
) ENGINE = MergeTree ORDER BY k_offset`

func everyBlock(rows int) *Block {
	b := NewBlock(Table{Name: "every.kind"}, Origin{Topic: "t", Partition: 3})
	w, e, s, f := b.Words("words"), b.Enum("enum", []string{"no", "yes"}), b.String("text"), b.FixedString("fixed", 4)
	ms, sec, day := b.Millis("millis"), b.Seconds("seconds"), b.Date("day")
	u8, u16, u32, u64, i8, i32, i64 := b.UInt8("u8"), b.UInt16("u16"), b.UInt32("u32"), b.UInt64("u64"), b.Int8("i8"), b.Int32("i32"), b.Int64("i64")
	nms, nb, ni16, ni32, ni64 := b.NullableMillis("nmillis"), b.NullableBool("nbool"), b.NullableInt16("ni16"), b.NullableInt32("ni32"), b.NullableInt64("ni64")
	nu32, nu64, nf := b.NullableUInt32("nu32"), b.NullableUInt64("nu64"), b.NullableFloat64("nf64")
	arr, set, num, lab := b.Strings("strings"), b.EnumSet("set", []string{"p", "q"}), b.NumberMap("numbers"), b.WordMap("labels")
	for i := range rows {
		b.at = int64(i)
		word := string(rune('a' + i%26))
		w.Append(word)
		e.Append(int32(i % 2))
		s.Append("line\n\n" + word)
		f.Append([]byte{byte(i), 0, '\n', '\n'})
		ms.Append(1_790_000_000_123 + int64(i))
		sec.Append(1_790_000_000 + uint32(i))
		day.Append(20_000 + uint16(i%100))
		u8.Append(uint8(i))
		u16.Append(uint16(i))
		u32.Append(1 << 31)
		u64.Append(1 << 63)
		i8.Append(int8(-i % 100))
		i32.Append(int32(-i))
		i64.Append(-1 << 62)
		if i%3 == 0 {
			nms.Append(nil)
			nb.Append(nil)
			ni16.Append(nil)
			ni32.Append(nil)
			ni64.Append(nil)
			nu32.Append(nil)
			nu64.Append(nil)
			nf.Append(nil)
		} else {
			nms.AppendValue(1_790_000_000_123)
			nb.AppendValue(uint8(i % 2))
			ni16.AppendValue(-5)
			ni32.AppendValue(-6)
			ni64.AppendValue(-7)
			nu32.AppendValue(8)
			nu64.AppendValue(9)
			nf.AppendValue(0.25)
		}
		for k := range i % 3 {
			arr.Elem.Append(word)
			set.Elem.Append(int32(k % 2))
			num.Keys.Append(word + string(rune('0'+k)))
			num.Values.Append(float64(k) / 2)
			lab.Keys.Append(word + string(rune('0'+k)))
			lab.Values.Append("v")
		}
		arr.End()
		set.End()
		num.End()
		lab.End()
		b.End()
	}
	return b
}

// digest makes one number of everything in the table, maps in order of key.
const digest = `SELECT count(), sum(cityHash64(tuple(* EXCEPT (numbers, labels)), mapSort(numbers), mapSort(labels))) FROM every.kind`

// The server must read the same values from our own encoding as from the
// client's, for every type and for a selection of rows.
func TestEveryTypeBothWays(t *testing.T) {
	opts, err := clickhouse.ParseDSN(chtest.StartFixed(t, "every"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx := context.Background()
	exec := func(sql string) {
		t.Helper()
		if err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE DATABASE every")
	exec(everyType)
	type seen struct{ Rows, Hash uint64 }
	store := func(client bool, rows []int) seen {
		t.Helper()
		cfg := Config{Conn: conn}.withDefaults()
		s := &Sink{cfg: cfg, metrics: newMetrics(cfg.Metrics)}
		s.noNative.Store(client)
		exec("TRUNCATE TABLE every.kind")
		if err := s.insert(ctx, everyBlock(1000), parcel{"token", rows}); err != nil {
			t.Fatal(err)
		}
		var got seen
		if err := conn.QueryRow(ctx, digest).Scan(&got.Rows, &got.Hash); err != nil {
			t.Fatal(err)
		}
		return got
	}
	for name, rows := range map[string][]int{"all": nil, "some": {0, 1, 2, 500, 999}, "lonely": {3}} {
		ours, theirs := store(false, rows), store(true, rows)
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	// One value of each kind, read back.
	store(false, []int{5})
	var (
		text, word, label string
		at                time.Time
		null              *float64
		arr               []string
		numbers           map[string]float64
	)
	if err := conn.QueryRow(ctx, "SELECT text, words, labels['f1'], millis, nf64, strings, numbers FROM every.kind").
		Scan(&text, &word, &label, &at, &null, &arr, &numbers); err != nil {
		t.Fatal(err)
	}
	quarter := 0.25
	if diff := cmp.Diff([]any{"line\n\nf", "f", "v", int64(1_790_000_000_128), &quarter, []string{"f", "f"}, map[string]float64{"f0": 0, "f1": 0.5}},
		[]any{text, word, label, at.UnixMilli(), null, arr, numbers}); diff != "" {
		t.Error(diff)
	}
}
