package chsink

import "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

// list is what arrays and maps share: where each row ends in its elements.
type list struct {
	head
	ends  []uint64
	elems []column
}

// End ends a row: the elements appended since the last End belong to it.
func (c *list) End() { c.ends = append(c.ends, uint64(c.elems[0].rows())) }

func (c *list) rows() int { return len(c.ends) }

func (c *list) size() int {
	n := 8 * len(c.ends)
	for _, e := range c.elems {
		n += e.size()
	}
	return n
}

func (c *list) start(row int) int {
	if row == 0 {
		return 0
	}
	return int(c.ends[row-1])
}

func (c *list) truncate(rows int) {
	for _, e := range c.elems {
		e.truncate(c.start(rows))
	}
	c.ends = c.ends[:rows]
}

func (c *list) prefix(dst []byte) []byte {
	for _, e := range c.elems {
		dst = e.prefix(dst)
	}
	return dst
}

func (c *list) encode(dst []byte, sel []int) []byte {
	ends := c.ends
	var inner []int
	if sel != nil {
		ends = make([]uint64, 0, len(sel))
		inner = []int{}
		for _, row := range sel {
			for i := c.start(row); i < int(c.ends[row]); i++ {
				inner = append(inner, i)
			}
			ends = append(ends, uint64(len(inner)))
		}
	}
	dst = putNumbers(dst, ends)
	for _, e := range c.elems {
		dst = e.encode(dst, inner)
	}
	return dst
}

// Strings is an Array column of strings. Append elements to Elem, then call End.
type Strings struct {
	list
	Elem interface {
		textual
		Append(v string)
	}
}

func (c *Strings) send(to driver.BatchColumn, sel []int) error {
	out := make([][]string, c.rows())
	for row := range out {
		out[row] = []string{}
		for i := c.start(row); i < int(c.ends[row]); i++ {
			out[row] = append(out[row], c.Elem.at(i))
		}
	}
	return to.Append(chosen(out, sel))
}

// EnumSet is an Array column of words known beforehand. Append numbers of words
// to Elem, then call End.
type EnumSet struct {
	list
	Elem *Enum
}

func (c *EnumSet) send(to driver.BatchColumn, sel []int) error {
	out := make([][]string, c.rows())
	for row := range out {
		out[row] = []string{}
		for i := c.start(row); i < int(c.ends[row]); i++ {
			out[row] = append(out[row], c.Elem.at(i))
		}
	}
	return to.Append(chosen(out, sel))
}

// NumberMap is a column Map(LowCardinality(String), Float64). Append to Keys and
// Values alike, then call End.
type NumberMap struct {
	list
	Keys   *Words
	Values *Fixed[float64]
}

func (c *NumberMap) send(to driver.BatchColumn, sel []int) error {
	out := make([]map[string]float64, c.rows())
	for row := range out {
		out[row] = map[string]float64{}
		for i := c.start(row); i < int(c.ends[row]); i++ {
			out[row][c.Keys.at(i)] = c.Values.v[i]
		}
	}
	return to.Append(chosen(out, sel))
}

// WordMap is a column Map(LowCardinality(String), LowCardinality(String)).
// Append to Keys and Values alike, then call End.
type WordMap struct {
	list
	Keys   *Words
	Values *Words
}

func (c *WordMap) send(to driver.BatchColumn, sel []int) error {
	out := make([]map[string]string, c.rows())
	for row := range out {
		out[row] = map[string]string{}
		for i := c.start(row); i < int(c.ends[row]); i++ {
			out[row][c.Keys.at(i)] = c.Values.at(i)
		}
	}
	return to.Append(chosen(out, sel))
}
