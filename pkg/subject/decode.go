package subject

import (
	"encoding/binary"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// fact is what the fold needs of a Fact. Byte slices alias the record. It is
// read by hand because the generated decoder allocates every optional number
// (BENCH.md); a fuzz test holds the two against each other.
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

	conversation, parent []byte
	toolVersion          []byte
	repository           []byte
	credential           []byte
	offset               int32
	hasOffset            bool
	sequence             uint64
	hasSequence          bool
	activity             []byte // a message Activity
}

// usage is what the fold needs of a Usage.
type usage struct {
	operation []byte
	model     []byte
	// numbers holds the numeric fields by field number, has which are present.
	numbers [34]int64
	has     uint64
}

// Field numbers of Usage.
const (
	inputUncached = 6
	cacheRead     = 7
	cacheWrite5m  = 8
	cacheWrite1h  = 9
	cacheWrite    = 10
	output        = 11
	reasoning     = 12
	costNanos     = 13
	costBasis     = 14
	duration      = 18
	status        = 20
	granularity   = 24
	newTurn       = 28
	newTurnHash   = 29
	targetHash    = 30
	kappa         = 31
	sideEffects   = 32
	baseCost      = 33
)

// Sets of fields in usage.has.
const (
	hasCache  = 1<<cacheRead | 1<<cacheWrite5m | 1<<cacheWrite1h | 1<<cacheWrite
	hasInput  = 1<<inputUncached | hasCache
	hasOutput = 1 << output
)

// tokensUnknown reports whether a request lacks its input or its output count.
// Embeddings have no output.
func (u *usage) tokensUnknown() bool {
	if u.has&hasInput == 0 {
		return true
	}
	return u.has&hasOutput == 0 && string(u.operation) != "embeddings"
}

// The fields that are looked for, a bit each.
const (
	wantFact  = 1<<4 | 1<<5 | 1<<6 | 1<<10 | 1<<11
	wantEvent = 1<<7 | 1<<9 | 1<<13 | 1<<14 | 1<<15 | 1<<17 | 1<<18 | 1<<19 | 1<<23 | 1<<24 | 1<<25 | 1<<26 | 1<<40 | 1<<41
	wantUsage = 1<<1 | 1<<5 | 1<<inputUncached | 1<<cacheRead | 1<<cacheWrite5m | 1<<cacheWrite1h | 1<<cacheWrite |
		1<<output | 1<<reasoning | 1<<costNanos | 1<<costBasis | 1<<duration | 1<<status | 1<<granularity |
		1<<newTurn | 1<<newTurnHash | 1<<targetHash | 1<<kappa | 1<<sideEffects | 1<<baseCost
)

// decode reads a Fact and reports whether it could.
func (f *fact) decode(b []byte) bool {
	*f = fact{}
	for i := 0; i < len(b); {
		fd, ok := next(b, i, wantFact)
		if !ok {
			return false
		}
		if i = fd.end; !f.set(&fd, b) {
			return false
		}
	}
	return true
}

func (f *fact) set(fd *field, b []byte) bool {
	switch fd.tag {
	case 4<<3 | wireVarint:
		f.kind = goodhartv1.FactKind(fd.v)
	case 5<<3 | wireVarint:
		f.observational = fd.v != 0
	case 6<<3 | wireVarint:
		f.late = fd.v != 0
	case 10<<3 | wireBytes:
		f.hasEvent = true
		return f.decodeEvent(b[fd.start:fd.end])
	case 11<<3 | wireBytes:
		if f.transition == nil {
			f.transition = &goodhartv1.Transition{}
		}
		return f.transition.UnmarshalVT(b[fd.start:fd.end]) == nil
	}
	return true
}

func (f *fact) decodeEvent(b []byte) bool {
	for i := 0; i < len(b); {
		fd, ok := next(b, i, wantEvent)
		if !ok {
			return false
		}
		i = fd.end
		switch fd.tag {
		case 7<<3 | wireVarint:
			f.timeMs = int64(fd.v)
		case 13<<3 | wireBytes:
			f.team = b[fd.start:fd.end:fd.end]
		case 14<<3 | wireBytes:
			f.role = b[fd.start:fd.end:fd.end]
		case 15<<3 | wireVarint:
			f.identity = goodhartv1.IdentityType(fd.v)
		case 18<<3 | wireBytes:
			f.tool = b[fd.start:fd.end:fd.end]
		case 9<<3 | wireBytes:
			f.conversation = b[fd.start:fd.end:fd.end]
		case 17<<3 | wireBytes:
			f.credential = b[fd.start:fd.end:fd.end]
		case 19<<3 | wireBytes:
			f.toolVersion = b[fd.start:fd.end:fd.end]
		case 23<<3 | wireVarint:
			f.offset, f.hasOffset = int32(uint32(fd.v)>>1)^-int32(fd.v&1), true
		case 24<<3 | wireBytes:
			f.repository = b[fd.start:fd.end:fd.end]
		case 25<<3 | wireVarint:
			f.sequence, f.hasSequence = fd.v, true
		case 26<<3 | wireBytes:
			f.parent = b[fd.start:fd.end:fd.end]
		case 40<<3 | wireBytes:
			if !f.usage.decode(b[fd.start:fd.end]) {
				return false
			}
		case 41<<3 | wireBytes:
			f.activity = b[fd.start:fd.end:fd.end]
		}
	}
	return true
}

func (u *usage) decode(b []byte) bool {
	for i := 0; i < len(b); {
		fd, ok := next(b, i, wantUsage)
		if !ok {
			return false
		}
		i = fd.end
		switch num := fd.tag >> 3; {
		case fd.tag == 1<<3|wireBytes:
			u.operation = b[fd.start:fd.end:fd.end]
		case fd.tag == 5<<3|wireBytes:
			u.model = b[fd.start:fd.end:fd.end]
		case fd.tag&7 == wireVarint && num < uint64(len(u.numbers)):
			u.numbers[num] = int64(fd.v)
			u.has |= 1 << num
		case fd.tag&7 == wireFixed64 && num < uint64(len(u.numbers)):
			u.numbers[num] = int64(binary.LittleEndian.Uint64(b[fd.end-8 : fd.end]))
			u.has |= 1 << num
		}
	}
	return true
}
