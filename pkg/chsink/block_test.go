package chsink

import (
	"bytes"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/google/go-cmp/cmp"
)

// all columns of every kind, and what is written into them.
type wide struct {
	block   *Block
	words   *Words
	enum    *Enum
	text    *String
	fixed   *FixedString
	millis  *Fixed[int64]
	i8      *Fixed[int8]
	null    *Nullable[int64]
	strings *Strings
	set     *EnumSet
	numbers *NumberMap
	labels  *WordMap
}

func newWide() *wide {
	b := NewBlock(Table{Name: "d.t"}, Origin{Topic: "t", Partition: 7})
	return &wide{
		block: b, words: b.Words("words"), enum: b.Enum("enum", []string{"", "log", "span"}), text: b.String("text"),
		fixed: b.FixedString("fixed", 4), millis: b.Millis("millis"), i8: b.Int8("i8"), null: b.NullableInt64("null"),
		strings: b.Strings("strings"), set: b.EnumSet("set", []string{"a", "b"}),
		numbers: b.NumberMap("numbers"), labels: b.WordMap("labels"),
	}
}

func (w *wide) add(offset int64, word string, ms int64) {
	w.block.at = offset
	w.words.Append(word)
	w.enum.Append(int32(offset % 3))
	w.text.Append("text of " + word)
	w.fixed.Append([]byte(word + "1234")[:4])
	w.millis.Append(ms)
	w.i8.Append(int8(-offset))
	if offset%2 == 0 {
		w.null.AppendValue(offset)
	} else {
		w.null.Append(nil)
	}
	for range offset % 4 {
		w.strings.Elem.Append(word)
		w.set.Elem.Append(1)
		w.numbers.Keys.Append("n")
		w.numbers.Values.Append(0.5)
		w.labels.Keys.Append("k")
		w.labels.Values.Append(word)
	}
	w.strings.End()
	w.set.End()
	w.numbers.End()
	w.labels.End()
	w.block.EndIn(ms)
}

// read decodes a Native block with a library that is not ours.
func read(t *testing.T, wire []byte) map[string][]string {
	t.Helper()
	var results proto.Results
	var block proto.Block
	if err := block.DecodeBlock(proto.NewReader(bytes.NewReader(wire)), 0, results.Auto()); err != nil {
		t.Fatalf("decode: %v", err)
	}
	out := map[string][]string{}
	for _, r := range results {
		if c, ok := r.Data.(interface{ Row(row int) string }); ok {
			for i := range block.Rows {
				out[r.Name] = append(out[r.Name], c.Row(i))
			}
		}
	}
	return out
}

func TestBlockReadsElsewhere(t *testing.T) {
	w := newWide()
	for i, word := range []string{"ann", "ben", "ann", "cem", "cem"} {
		w.add(int64(i), word, 1_790_000_000_000)
	}
	simple := func(sel []int) map[string][]string {
		t.Helper()
		w.block.columns = w.block.columns[:6] // the plain ones: the other library infers no nested types
		wire, err := w.block.encode(nil, sel)
		if err != nil {
			t.Fatal(err)
		}
		return read(t, wire)
	}
	got := simple([]int{1, 3, 4})
	want := []string{"ben", "cem", "cem"}
	if diff := cmp.Diff(want, got["words"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"text of ben", "text of cem", "text of cem"}, got["text"]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"log", "", "log"}, got["enum"]); diff != "" {
		t.Error(diff)
	}
}

func TestBlockForgetsATornRow(t *testing.T) {
	whole, torn := newWide(), newWide()
	const march, april = 1_772_668_800_000, 1_775_347_200_000
	whole.add(1, "ann", march)
	torn.add(1, "ann", march)
	torn.add(2, "torn", april)
	torn.words.Append("half a row")
	torn.labels.Keys.Append("half")
	torn.block.truncate(1)
	whole.add(3, "ben", april)
	torn.add(3, "ben", april)
	// The dictionary may remember the word; no row does.
	if diff := cmp.Diff(texts(whole.words, nil), texts(torn.words, nil)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(whole.block.months, torn.block.months); diff != "" {
		t.Error(diff)
	}
	if err := torn.block.check(); err != nil {
		t.Error(err)
	}
	if got, want := torn.labels.rows(), 2; got != want {
		t.Errorf("%d rows of labels, want %d", got, want)
	}
	if got, want := torn.labels.Keys.rows(), whole.labels.Keys.rows(); got != want {
		t.Errorf("%d label keys, want %d", got, want)
	}
}

func TestEncodingIsDeterministic(t *testing.T) {
	encode := func() []byte {
		w := newWide()
		for i := range 1000 {
			w.add(int64(i), string(rune('a'+i%26)), 1_790_000_000_000+int64(i)*86_400_000)
		}
		wire, err := w.block.encode(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, err := w.block.encode(nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(wire, again) {
			t.Fatal("the same block encodes to other bytes")
		}
		return wire
	}
	if !bytes.Equal(encode(), encode()) {
		t.Fatal("the same rows encode to other bytes")
	}
}

func TestForgottenColumnIsAnError(t *testing.T) {
	w := newWide()
	w.add(1, "ann", 0)
	w.text.Append("one too many")
	if _, err := w.block.encode(nil, nil); err == nil {
		t.Fatal("columns of different length were encoded")
	}
}

func TestMonthsOfABlock(t *testing.T) {
	b := NewBlock(Table{Name: "d.t"}, Origin{})
	for _, ms := range []int64{1_767_225_599_999, 1_767_225_600_000, 1_767_225_599_999, -1} {
		b.EndIn(ms)
	}
	if diff := cmp.Diff([]uint32{202512, 202601, 196912}, b.months); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[uint32][]int{202512: {0, 2}, 202601: {1}, 196912: {3}}, b.inMonths(func(int) bool { return true })); diff != "" {
		t.Error(diff)
	}
}
