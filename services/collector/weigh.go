package collector

import (
	"bytes"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// What a request takes in memory, measured on bodies of Claude Code: decoding
// and stamping make about eight bytes of one byte of body, and a record that is
// refused takes up to 1 KiB however small it was in the body.
const (
	memoryPerByte   = 8
	memoryPerRecord = 1 << 10
)

// density finds out how many records a body holds, before it is decoded. What
// does not decode may count as anything.
type density struct {
	// depth is how deep the objects that are records lie in JSON; 1 is outermost.
	depth int
	// path lists the field numbers that lead to a record in protobuf.
	path [][]protowire.Number
}

// Densities of the endpoints.
func recordsDensity() density {
	return density{depth: 4, path: [][]protowire.Number{{1}, {2}, {2}}}
}

func pointsDensity() density {
	// Gauge, sum, histogram, exponential histogram and summary.
	return density{depth: 6, path: [][]protowire.Number{{1}, {2}, {2}, {5, 7, 9, 10, 11}, {1}}}
}

func eventsDensity() density { return density{depth: 1} }

// records counts the records of a body.
func (d density) records(mediaType string, body []byte) int64 {
	if mediaType == typeProtobuf {
		return messages(body, d.path)
	}
	return objects(body, d.depth)
}

// messages counts the messages at the end of a path of fields.
func messages(body []byte, path [][]protowire.Number) int64 {
	n := int64(0)
	for len(body) > 0 {
		number, kind, size := protowire.ConsumeTag(body)
		if size < 0 {
			return n
		}
		body = body[size:]
		if kind != protowire.BytesType || !slices.Contains(path[0], number) {
			if size = protowire.ConsumeFieldValue(number, kind, body); size < 0 {
				return n
			}
			body = body[size:]
			continue
		}
		content, size := protowire.ConsumeBytes(body)
		if size < 0 {
			return n
		}
		body = body[size:]
		if len(path) == 1 {
			n++
		} else {
			n += messages(content, path[1:])
		}
	}
	return n
}

// objects counts the JSON objects that lie at a depth of objects.
func objects(body []byte, depth int) int64 {
	n, level := int64(0), 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '{':
			if level++; level == depth {
				n++
			}
		case '}':
			level--
		case '"':
			i += quoted(body[i+1:])
		}
	}
	return n
}

// quoted returns the length of a JSON string with its closing quote, from behind
// the opening one.
func quoted(b []byte) int {
	for at := 0; ; {
		quote := bytes.IndexByte(b[at:], '"')
		if quote < 0 {
			return len(b)
		}
		at += quote + 1
		slashes := 0
		for i := at - 2; i >= 0 && b[i] == '\\'; i-- {
			slashes++
		}
		if slashes%2 == 0 {
			return at
		}
	}
}
