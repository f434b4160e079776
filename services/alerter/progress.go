package alerter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// spans are ranges of offsets [from, to), in order, apart from each other.
type spans [][2]int64

func (s spans) has(offset int64) bool {
	for _, of := range s {
		if of[0] <= offset && offset < of[1] {
			return true
		}
	}
	return false
}

// maxMetadata keeps below the 4096 bytes that brokers take by default.
const maxMetadata = 4000

// told begins the metadata of a committed offset.
const told = "told"

// String is the metadata of a committed offset. Spans that find no room are left
// out: what they stand for would be told again.
func (s spans) String() string {
	if len(s) == 0 {
		return ""
	}
	b := []byte(told)
	for _, of := range s {
		n := len(b)
		b = strconv.AppendInt(append(b, ' '), of[0], 10)
		b = strconv.AppendInt(append(b, '-'), of[1], 10)
		if len(b) > maxMetadata {
			return string(b[:n])
		}
	}
	return string(b)
}

// parseSpans reads what String wrote. Anything else is nothing told.
func parseSpans(metadata string) spans {
	words := strings.Fields(metadata)
	if len(words) == 0 || words[0] != told {
		return nil
	}
	var s spans
	for _, word := range words[1:] {
		var of [2]int64
		if _, err := fmt.Sscanf(word, "%d-%d", &of[0], &of[1]); err != nil || of[0] >= of[1] {
			return nil
		}
		s = append(s, of)
	}
	return s
}

// progress is what has been told of a partition: everything before an offset, and
// spans behind it. next is the offset that comes next, waiting are those before
// it that are not told, in order.
func progress(next int64, waiting []int64) (offset int64, ahead spans) {
	if len(waiting) == 0 {
		return next, nil
	}
	from := waiting[0] + 1
	for _, w := range append(slices.Clone(waiting[1:]), next) {
		if w > from {
			ahead = append(ahead, [2]int64{from, w})
		}
		from = w + 1
	}
	return waiting[0], ahead
}
