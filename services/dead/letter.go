package dead

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Address is where a letter lies in goodhart.dead.v1. Its form is
// partition:offset.
type Address struct {
	Partition int32
	Offset    int64
}

func (a Address) String() string { return fmt.Sprintf("%d:%d", a.Partition, a.Offset) }

// ParseAddress reads what String wrote.
func ParseAddress(s string) (Address, error) {
	left, right, ok := strings.Cut(s, ":")
	partition, err := strconv.ParseInt(left, 10, 32)
	offset, err2 := strconv.ParseInt(right, 10, 64)
	if !ok || err != nil || err2 != nil || partition < 0 || offset < 0 {
		return Address{}, fmt.Errorf("%q is not the address of a letter: want partition:offset, as list prints it", s)
	}
	return Address{int32(partition), offset}, nil
}

// Letter is a record of goodhart.dead.v1.
type Letter struct {
	Address
	// Time is when the letter was written.
	Time time.Time
	// Attempt says which death of the same bytes this is, from 1, as far as the
	// letters read so far tell.
	Attempt int
	*goodhartv1.DeadLetter
}

// reasonUnreadable is shown for records of the topic that are no letters.
const reasonUnreadable = "unreadable_letter"

// component is who gave up, in lower case.
func (l *Letter) component() string {
	return strings.ToLower(strings.TrimPrefix(l.Stage.String(), "STAGE_"))
}

// records is how many records the letter stands for.
func (l *Letter) records() int64 { return max(1, l.Records) }

// origin is where the record lay, "topic/partition@offset"; empty for the
// collector, whose records never reached Kafka.
func (l *Letter) origin() string {
	if l.Topic == "" {
		return ""
	}
	return fmt.Sprintf("%s/%d@%d", label(l.Topic), l.DeadLetter.Partition, l.DeadLetter.Offset)
}

// place identifies the record that died: letters may be written twice.
type place struct {
	topic     string
	partition int32
	offset    int64
}

func (l *Letter) place() place {
	if l.Topic == "" { // a letter of the collector is its own
		return place{"", l.Address.Partition, l.Address.Offset}
	}
	return place{l.Topic, l.DeadLetter.Partition, l.DeadLetter.Offset}
}

// deaths counts the deaths of the same bytes.
type deaths map[[8]byte][]place

// count returns which death of its bytes a letter tells.
func (d deaths) count(l *Letter) int {
	if len(l.Hash) < 8 {
		return 1
	}
	key := [8]byte(l.Hash)
	for i, known := range d[key] {
		if known == l.place() {
			return i + 1
		}
	}
	d[key] = append(d[key], l.place())
	return len(d[key])
}
