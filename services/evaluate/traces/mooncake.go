package traces

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/window"
)

// blockTokens are those of a block that hash_ids names; timeToLive is for how long a
// prefix is taken to be cached, ms.
const (
	blockTokens = 512
	timeToLive  = 5 * window.Minute
)

// readMooncake reads requests without people whose prefixes are known.
//
// An id names a block with all that is before it, so that the last one names the whole
// prompt: it stands for the new turn, the first for what it works on. The cache is
// taken to serve every block that was asked within five minutes; the new turn are the
// tokens that no request had before.
func readMooncake(s *Set, in *lines) error {
	of := sizes{name: in.base(), prefixed: true}
	seen := map[int64]int64{} // block → when it was asked last, ms
	for in.next() {
		var row struct {
			Timestamp *int64  `json:"timestamp"`
			Input     *int64  `json:"input_length"`
			Output    *int64  `json:"output_length"`
			Blocks    []int64 `json:"hash_ids"`
		}
		d := json.NewDecoder(strings.NewReader(in.text))
		d.DisallowUnknownFields()
		if err := d.Decode(&row); err != nil {
			column := "1"
			if wrong := new(json.UnmarshalTypeError); errors.As(err, &wrong) {
				column = wrong.Field
			}
			return in.wrong(column, err)
		}
		for _, c := range []struct {
			name  string
			value *int64
		}{{"timestamp", row.Timestamp}, {"input_length", row.Input}, {"output_length", row.Output}} {
			if c.value == nil || *c.value < 0 || *c.value > 1e15 {
				return in.wrong(c.name, errors.New("want a number of 0 or more"))
			}
		}
		if len(row.Blocks) == 0 || int64(len(row.Blocks)-1)*blockTokens > *row.Input {
			return in.wrong("hash_ids", fmt.Errorf("%d blocks of %d tokens for %d tokens", len(row.Blocks), blockTokens, *row.Input))
		}
		of.requests = append(of.requests, sizeOf(*row.Timestamp, *row.Input, *row.Output, row.Blocks, seen))
	}
	if err := in.end(); !errors.Is(err, io.EOF) {
		return err
	}
	return s.addSizes(in, of, File{Dataset: "Mooncake FAST'25 traces", Licence: "Apache-2.0"})
}

func sizeOf(at, input, output int64, blocks []int64, seen map[int64]int64) Request {
	cached, known := 0, 0
	for _, b := range blocks { // who knows a block knows those before it
		if last, ok := seen[b]; ok {
			known++
			if at-last <= timeToLive {
				cached++
			}
		}
		seen[b] = at
	}
	turn := min(known, len(blocks)-1) // a whole repeat asks its last block again
	return Request{
		Context: input, Output: output, Read: min(int64(cached)*blockTokens, input), New: max(1, input-int64(turn)*blockTokens),
		Prompt: hash(blocks[len(blocks)-1]), Target: hash(blocks[0]),
	}
}

func hash(id int64) uint64 { return rand.NewPCG(uint64(id), 0).Uint64() | 1 }
