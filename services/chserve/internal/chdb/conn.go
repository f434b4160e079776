package chdb

import (
	"errors"
	"runtime"
	"unsafe"
)

// Conn is one connection to the engine. It runs one statement at a time and is
// not safe for concurrent use.
type Conn struct {
	lib    *Library
	handle unsafe.Pointer // chdb_connection *, what close takes
	conn   unsafe.Pointer // chdb_connection, what everything else takes
}

// Param is a value for a {name:Type} placeholder, in the engine's text form.
type Param struct{ Name, Value string }

// Stats is what a statement did. Rows and Bytes count the result, Read what
// came from storage, Written what reached tables, views included.
type Stats struct {
	Rows, Bytes               uint64
	ReadRows, ReadBytes       uint64
	WrittenRows, WrittenBytes uint64
	Elapsed                   float64 // seconds
}

// Plus adds up what two parts of a statement did.
func (s Stats) Plus(more Stats) Stats {
	s.Rows += more.Rows
	s.Bytes += more.Bytes
	s.ReadRows += more.ReadRows
	s.ReadBytes += more.ReadBytes
	s.WrittenRows += more.WrittenRows
	s.WrittenBytes += more.WrittenBytes
	s.Elapsed += more.Elapsed
	return s
}

// Result is one materialised result, or one chunk of a streamed one.
type Result struct {
	// Data is engine memory: valid until Close, not to be written to.
	Data  []byte
	Stats Stats

	lib    *Library
	handle unsafe.Pointer
}

// Close frees the result. Data must not be used afterwards.
func (r *Result) Close() {
	if r.handle != nil {
		r.lib.api.destroyResult(r.handle)
		r.handle, r.Data = nil, nil
	}
}

// Class says what a statement does to state that outlives it.
type Class uint32

// The classes, as the engine's parser gives them. They ascend by how far a
// statement reaches; several statements in one text have the highest of theirs.
const (
	ClassReadOnly Class = iota // leaves no trace
	ClassMutating              // changes a database
	ClassGlobal                // changes what lives beside the databases: functions, access
	ClassControl               // USE, SET, SYSTEM, KILL, INTO OUTFILE: session or process state
	ClassUnknown               // did not parse
)

// analysis mirrors chdb_query_analysis_v1.
type analysis struct {
	size, statements, flags, class uint32
}

// Classify parses sql as the connection would and says what it does, and how
// many statements it holds (0 when it does not parse). Nothing is executed.
func (c *Conn) Classify(sql string) (class Class, statements int, err error) {
	out := &analysis{size: uint32(unsafe.Sizeof(analysis{}))}
	state := c.lib.api.classify(c.conn, stringData(sql), uintptr(len(sql)), nil, 0, unsafe.Pointer(out))
	runtime.KeepAlive(sql)
	if state != 0 {
		return ClassUnknown, 0, errors.New("classify statement: the connection is closed")
	}
	return Class(out.class), int(out.statements), nil
}

// Query runs sql to its end and returns the whole result in format. An error
// of the engine is an *EngineError.
func (c *Conn) Query(sql, format string, params []Param) (*Result, error) {
	p := marshal(params)
	handle := c.lib.api.query(c.conn, stringData(sql), uintptr(len(sql)), stringData(format), uintptr(len(format)),
		p.names, p.nameLens, p.values, p.valueLens, uintptr(len(params)))
	runtime.KeepAlive(sql)
	runtime.KeepAlive(format)
	p.release()
	return c.lib.result(handle)
}

// Close closes the connection. No statement may be running on it.
func (c *Conn) Close() {
	if c.handle != nil {
		c.lib.api.closeConn(c.handle)
		c.handle, c.conn = nil, nil
	}
}

// result takes over a result handle, or turns it into the error it carries.
func (l *Library) result(handle unsafe.Pointer) (*Result, error) {
	if handle == nil {
		return nil, errors.New("the ClickHouse engine returned no result")
	}
	if msg := cString(l.api.resultError(handle)); msg != "" {
		l.api.destroyResult(handle)
		return nil, newEngineError(msg)
	}
	r := &Result{lib: l, handle: handle, Stats: Stats{
		Rows:         l.api.resultRows(handle),
		Bytes:        l.api.resultBytes(handle),
		ReadRows:     l.api.resultStorageRows(handle),
		ReadBytes:    l.api.resultStorageBytes(handle),
		WrittenRows:  l.api.resultWrittenRows(handle),
		WrittenBytes: l.api.resultWrittenBytes(handle),
		Elapsed:      l.api.resultElapsed(handle),
	}}
	if n := l.api.resultLength(handle); n > 0 {
		r.Data = unsafe.Slice((*byte)(l.api.resultBuffer(handle)), n)
	}
	return r, nil
}

// marshalled is a parameter list as parallel C arrays, pinned until release.
type marshalled struct {
	names, nameLens, values, valueLens unsafe.Pointer

	pin  *runtime.Pinner
	keep []any
}

func marshal(params []Param) *marshalled {
	m := &marshalled{pin: new(runtime.Pinner)}
	if len(params) == 0 {
		return m
	}
	n := len(params)
	names, values := make([]unsafe.Pointer, n), make([]unsafe.Pointer, n)
	nameLens, valueLens := make([]uintptr, n), make([]uintptr, n)
	for i, p := range params {
		// A byte more, so that an empty value has an address too.
		name, value := append([]byte(p.Name), 0), append([]byte(p.Value), 0)
		m.pin.Pin(&name[0])
		m.pin.Pin(&value[0])
		names[i], nameLens[i] = unsafe.Pointer(&name[0]), uintptr(len(p.Name))
		values[i], valueLens[i] = unsafe.Pointer(&value[0]), uintptr(len(p.Value))
	}
	m.keep = []any{names, values, nameLens, valueLens}
	m.names, m.values = unsafe.Pointer(&names[0]), unsafe.Pointer(&values[0])
	m.nameLens, m.valueLens = unsafe.Pointer(&nameLens[0]), unsafe.Pointer(&valueLens[0])
	return m
}

func (m *marshalled) release() {
	m.pin.Unpin()
	runtime.KeepAlive(m.keep)
}

func stringData(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }

// cString copies a NUL-terminated C string.
func cString(p unsafe.Pointer) string {
	if p == nil {
		return ""
	}
	n := 0
	for *(*byte)(unsafe.Add(p, n)) != 0 {
		n++
	}
	return string(unsafe.Slice((*byte)(p), n))
}

var errOver = errors.New("the statement is over")
