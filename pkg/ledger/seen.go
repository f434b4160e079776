package ledger

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

const hourMs = 3_600_000

// seenSet remembers 64-bit hashes in buckets of one hour of record time.
//
// It is one table for all buckets, so that a look-up costs the same whatever
// their number: linear probing from home(h), where home grows with h and every
// run of slots is kept in ascending order. The whole table is therefore sorted,
// a probe ends at the first greater hash, and a snapshot is one pass. The hour
// of a hash stands beside it as one byte. Dropping a bucket only moves oldest:
// hashes of older hours are dead, count as unknown, and go when the table is
// next rebuilt.
//
// Nine bytes per slot; the table is full to 68–85 %.
type seenSet struct {
	hashes []uint64 // 0: empty
	hours  []uint8  // low byte of the hour
	home   uint64   // slots that a hash may have as home; more lie behind them
	used   int      // slots that are not empty, dead ones among them

	newest    int64 // hour of the newest bucket
	oldest    int64 // hour of the oldest bucket kept
	purged    int64 // newest when the table was last without dead hashes
	live      int
	perHour   [256]uint32
	forgotten int64 // see LedgerSeen
}

const (
	minHome = 16
	slack   = 32
	// wrapHours is the age at which a dead hash could pass for a live one: the
	// hour is one byte and live hashes are at most maxHorizon old.
	wrapHours = 80
)

// advance makes hour the newest bucket and drops those more than horizon hours
// older. Time that runs backwards is ignored.
func (s *seenSet) advance(hour, horizon int64) {
	if hour <= s.newest {
		return
	}
	for s.oldest < hour-horizon {
		if s.live == 0 || s.oldest > s.newest {
			s.oldest = hour - horizon
			break
		}
		s.drop()
	}
	if hour-s.purged >= wrapHours {
		s.purged = hour
		if s.used > 0 {
			s.rebuild(s.home)
		}
	}
	s.newest = hour
}

// drop forgets the oldest bucket.
func (s *seenSet) drop() {
	n := &s.perHour[uint8(s.oldest)]
	s.live -= int(*n)
	*n = 0
	s.oldest++
}

// add remembers h in the newest bucket and reports whether it was unknown. If
// the set would hold more than budget hashes, the oldest bucket is forgotten
// first; now is the record time, in ms.
func (s *seenSet) add(h uint64, budget int, now int64) bool {
	i, found := s.find(h)
	if found {
		return false
	}
	for s.live >= budget {
		s.forget(now)
		i, _ = s.find(h)
	}
	s.perHour[uint8(s.newest)]++
	s.live++
	if i < len(s.hashes) && s.hashes[i] == h { // dead
		s.hours[i] = uint8(s.newest)
		return true
	}
	if uint64(s.used+1)*20 > s.home*17 {
		s.grow()
		i, _ = s.find(h)
	}
	s.insert(i, h)
	return true
}

// has reports whether h is remembered.
func (s *seenSet) has(h uint64) bool {
	_, found := s.find(h)
	return found
}

// find returns the slot of h, or the one where it belongs.
func (s *seenSet) find(h uint64) (slot int, found bool) {
	if s.home == 0 {
		return 0, false
	}
	home, _ := bits.Mul64(h, s.home)
	for i := int(home); i < len(s.hashes); i++ {
		if got := s.hashes[i]; got >= h || got == 0 {
			return i, got == h && s.alive(s.hours[i])
		}
	}
	return len(s.hashes), false
}

// age is the age of an hour's low byte, in hours.
func (s *seenSet) age(hour uint8) int64 { return int64(uint8(s.newest) - hour) }

func (s *seenSet) alive(hour uint8) bool { return s.newest-s.age(hour) >= s.oldest }

// insert puts h into slot i and moves what lies there and behind it, up to the
// next empty slot, one slot on.
func (s *seenSet) insert(i int, h uint64) {
	end := i
	for end < len(s.hashes) && s.hashes[end] != 0 {
		end++
	}
	if end == len(s.hashes) {
		s.hashes = append(s.hashes, make([]uint64, slack)...)
		s.hours = append(s.hours, make([]uint8, slack)...)
	}
	copy(s.hashes[i+1:end+1], s.hashes[i:end])
	copy(s.hours[i+1:end+1], s.hours[i:end])
	s.hashes[i], s.hours[i] = h, uint8(s.newest)
	s.used++
}

// forget drops the oldest bucket that holds anything; if that is the newest, it
// starts again empty.
func (s *seenSet) forget(now int64) {
	for s.perHour[uint8(s.oldest)] == 0 {
		s.oldest++
	}
	if s.oldest < s.newest {
		s.drop()
		s.forgotten = s.oldest * hourMs
		return
	}
	s.perHour[uint8(s.newest)] = 0
	s.live, s.used = 0, 0
	clear(s.hashes)
	s.forgotten = now
}

// grow makes room: by throwing out dead hashes if they are many, else by a
// larger table.
func (s *seenSet) grow() {
	if s.live < s.used*3/4 {
		s.rebuild(s.home)
		return
	}
	s.rebuild(max(minHome, s.home+s.home/4))
}

// rebuild copies what is alive into a table of the given size. It keeps the
// order, so it reads and writes memory from front to back.
func (s *seenSet) rebuild(home uint64) {
	next := seenSet{
		hashes: make([]uint64, home+slack), hours: make([]uint8, home+slack), home: home,
		newest: s.newest, oldest: s.oldest,
	}
	at := 0
	for i, h := range s.hashes {
		if h != 0 && s.alive(s.hours[i]) {
			at = next.push(at, h, s.hours[i])
		}
	}
	s.hashes, s.hours, s.home, s.used = next.hashes, next.hours, home, next.used
}

// push puts h, greater than all before it, into the first slot from at on that
// is not before its home, and returns the slot behind it.
func (s *seenSet) push(at int, h uint64, hour uint8) int {
	home, _ := bits.Mul64(h, s.home)
	at = max(at, int(home))
	for at >= len(s.hashes) {
		s.hashes = append(s.hashes, make([]uint64, slack)...)
		s.hours = append(s.hours, make([]uint8, slack)...)
	}
	s.hashes[at], s.hours[at] = h, hour
	s.used++
	return at + 1
}

// encode returns the remembered hashes, ascending, and their ages.
func (s *seenSet) encode() (hashes, ages []byte) {
	hashes, ages = make([]byte, 0, 8*s.live), make([]byte, 0, s.live)
	for i, h := range s.hashes {
		if h != 0 && s.alive(s.hours[i]) {
			hashes = binary.LittleEndian.AppendUint64(hashes, h)
			ages = append(ages, uint8(s.age(s.hours[i])))
		}
	}
	return hashes, ages
}

var errSeen = errors.New("ids are out of order, or older than the oldest hour")

// load replaces the set; newest, oldest and forgotten are set already.
func (s *seenSet) load(hashes, ages []byte) error {
	if len(hashes) != 8*len(ages) || s.oldest > s.newest+1 || s.newest-s.oldest > int64(maxHorizon.Hours()) {
		return errSeen
	}
	s.live, s.purged = len(ages), s.newest
	if s.live > 0 {
		s.home = max(minHome, uint64(s.live)*5/4)
	}
	s.hashes, s.hours = make([]uint64, s.home+slack), make([]uint8, s.home+slack)
	at, last := 0, uint64(0)
	for i, age := range ages {
		h := binary.LittleEndian.Uint64(hashes[8*i:])
		if h <= last || s.newest-int64(age) < s.oldest {
			return errSeen
		}
		hour := uint8(s.newest - int64(age))
		s.perHour[hour]++
		at, last = s.push(at, h, hour), h
	}
	return nil
}

// bytes is the memory that the table takes.
func (s *seenSet) bytes() int { return 8*cap(s.hashes) + cap(s.hours) }
