package subject

import (
	"encoding/binary"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// fact is what the fold needs of a Fact. Byte slices alias the record. It is
// read by hand because the generated decoder allocates every optional number,
// which costs more than all the rest of the fold (BENCH.md); a fuzz test holds
// the two against each other.
type fact struct {
	kind          goodhartv1.FactKind
	observational bool
	late          bool
	hasEvent      bool
	transition    *goodhartv1.Transition

	timeMs   int64
	team     []byte
	role     []byte
	identity goodhartv1.IdentityType
	tool     []byte
	usage    usage
}

// usage is what the fold needs of a Usage.
type usage struct {
	operation    []byte
	model        []byte
	uncached     int64
	cacheRead    int64
	cacheWrite5m int64
	cacheWrite1h int64
	cacheWrite   int64
	output       int64
	reasoning    int64
	cost         int64
	basis        goodhartv1.CostBasis
	status       goodhartv1.Status
	granularity  goodhartv1.Granularity
	// has holds which of the optional counts are present, by field number.
	has uint32
}

// Field numbers of Usage in usage.has.
const (
	hasInput     = 1 << 6
	hasCacheRead = 1 << 7
	hasWrite5m   = 1 << 8
	hasWrite1h   = 1 << 9
	hasWrite     = 1 << 10
	hasOutput    = 1 << 11
	hasReasoning = 1 << 12
	hasCache     = hasCacheRead | hasWrite5m | hasWrite1h | hasWrite
)

// tokensUnknown reports whether a request lacks its input or its output count.
// Embeddings have no output.
func (u *usage) tokensUnknown() bool {
	if u.has&(hasInput|hasCache) == 0 {
		return true
	}
	return u.has&hasOutput == 0 && string(u.operation) != "embeddings"
}

// Wire types of protobuf.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireStart   = 3
	wireEnd     = 4
	wireFixed32 = 5
)

// decode reads a Fact and reports whether it could.
func (f *fact) decode(b []byte) bool {
	*f = fact{}
	for i := 0; i < len(b); {
		var v uint64
		var sub []byte
		tag, j := varint(b, i)
		switch tag {
		case 4<<3 | wireVarint:
			v, j = varint(b, j)
			f.kind = goodhartv1.FactKind(v)
		case 5<<3 | wireVarint:
			v, j = varint(b, j)
			f.observational = v != 0
		case 6<<3 | wireVarint:
			v, j = varint(b, j)
			f.late = v != 0
		case 10<<3 | wireBytes:
			sub, j = chunk(b, j)
			f.hasEvent = true
			if j < 0 || !f.event(sub) {
				return false
			}
		case 11<<3 | wireBytes:
			sub, j = chunk(b, j)
			if f.transition == nil {
				f.transition = &goodhartv1.Transition{}
			}
			if j < 0 || f.transition.UnmarshalVT(sub) != nil {
				return false
			}
		default:
			j = skip(b, j, tag)
		}
		if j < 0 {
			return false
		}
		i = j
	}
	return true
}

// event reads the Event of a fact.
func (f *fact) event(b []byte) bool {
	for i := 0; i < len(b); {
		var v uint64
		tag, j := varint(b, i)
		switch tag {
		case 7<<3 | wireVarint:
			v, j = varint(b, j)
			f.timeMs = int64(v)
		case 13<<3 | wireBytes:
			f.team, j = chunk(b, j)
		case 14<<3 | wireBytes:
			f.role, j = chunk(b, j)
		case 15<<3 | wireVarint:
			v, j = varint(b, j)
			f.identity = goodhartv1.IdentityType(v)
		case 18<<3 | wireBytes:
			f.tool, j = chunk(b, j)
		case 40<<3 | wireBytes:
			var sub []byte
			sub, j = chunk(b, j)
			if j < 0 || !f.usage.decode(sub) {
				return false
			}
		default:
			j = skip(b, j, tag)
		}
		if j < 0 {
			return false
		}
		i = j
	}
	return true
}

// decode reads a Usage into u, on top of what u holds.
func (u *usage) decode(b []byte) bool {
	for i := 0; i < len(b); {
		var v uint64
		tag, j := varint(b, i)
		switch tag {
		case 1<<3 | wireBytes:
			u.operation, j = chunk(b, j)
		case 5<<3 | wireBytes:
			u.model, j = chunk(b, j)
		case 14<<3 | wireVarint:
			v, j = varint(b, j)
			u.basis = goodhartv1.CostBasis(v)
		case 20<<3 | wireVarint:
			v, j = varint(b, j)
			u.status = goodhartv1.Status(v)
		case 24<<3 | wireVarint:
			v, j = varint(b, j)
			u.granularity = goodhartv1.Granularity(v)
		case 6<<3 | wireVarint, 7<<3 | wireVarint, 8<<3 | wireVarint, 9<<3 | wireVarint, 10<<3 | wireVarint,
			11<<3 | wireVarint, 12<<3 | wireVarint, 13<<3 | wireVarint:
			v, j = varint(b, j)
			u.count(uint32(tag>>3), int64(v))
		default:
			j = skip(b, j, tag)
		}
		if j < 0 {
			return false
		}
		i = j
	}
	return true
}

// count sets an optional number by its field number.
func (u *usage) count(field uint32, v int64) {
	u.has |= 1 << field
	switch field {
	case 6:
		u.uncached = v
	case 7:
		u.cacheRead = v
	case 8:
		u.cacheWrite5m = v
	case 9:
		u.cacheWrite1h = v
	case 10:
		u.cacheWrite = v
	case 11:
		u.output = v
	case 12:
		u.reasoning = v
	case 13:
		u.cost = v
	}
}

// varint reads a varint at i and returns the index behind it, -1 if there is
// none.
func varint(b []byte, i int) (uint64, int) {
	if uint(i) < uint(len(b)) && b[i] < 0x80 {
		return uint64(b[i]), i + 1
	}
	return longVarint(b, i)
}

func longVarint(b []byte, i int) (uint64, int) {
	if i < 0 || i >= len(b) {
		return 0, -1
	}
	v, n := binary.Uvarint(b[i:])
	if n <= 0 {
		return 0, -1
	}
	return v, i + n
}

// chunk reads a length and that many bytes at i.
func chunk(b []byte, i int) ([]byte, int) {
	n, i := varint(b, i)
	if i < 0 || n > uint64(len(b)-i) {
		return nil, -1
	}
	end := i + int(n)
	return b[i:end:end], end
}

// skip returns the index behind the value of a field that starts at i. Groups,
// which no message of ours has, are bad input.
func skip(b []byte, i int, tag uint64) int {
	if i < 0 || tag>>3 == 0 {
		return -1
	}
	switch tag & 7 {
	case wireVarint:
		_, i = varint(b, i)
	case wireBytes:
		_, i = chunk(b, i)
	case wireFixed64:
		i += 8
	case wireFixed32:
		i += 4
	default:
		return -1
	}
	if i > len(b) {
		return -1
	}
	return i
}
