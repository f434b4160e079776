package sink

import "strings"

// names turns a protobuf enum into the words of a column, by number: the zero
// value is unknown, hence empty; the others are lower case without prefix. The
// numbers of an enum have no gaps.
func names(of map[int32]string, prefix string) []string {
	out := make([]string, len(of))
	for n, name := range of {
		if n > 0 && int(n) < len(out) {
			out[n] = strings.ToLower(strings.TrimPrefix(name, prefix))
		}
	}
	return out
}

func bit(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

// Times that a DateTime64(3) column and a month partition hold: 1970 to 2261.
const latest = 9_214_646_400_000

func storable(ms int64) bool { return ms >= 0 && ms < latest }

// clamped is a watermark as a time: before the first record there is none.
func clamped(ms int64) int64 { return min(max(ms, 0), latest-1) }

const dayMs = 86_400_000

// days is the day of a time for a Date column, which ends in 2149.
func days(ms int64) (uint16, bool) {
	d := ms / dayMs
	return uint16(d), ms >= 0 && d <= 1<<16-1
}
