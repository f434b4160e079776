package chdb

import (
	"io"
	"runtime"
	"unsafe"
)

// Stream is a query whose result comes in chunks. It occupies its connection
// until Close. Not safe for concurrent use.
type Stream struct {
	conn   *Conn
	handle unsafe.Pointer
	begun  bool // a chunk was asked for: a cancel before that would wait for ever
	over   bool // the engine has ended it: a cancel would touch freed memory
}

// Stream starts sql; its rows are computed as they are fetched. An error of
// the engine is an *EngineError.
func (c *Conn) Stream(sql, format string, params []Param) (*Stream, error) {
	p := marshal(params)
	handle := c.lib.api.streamQuery(c.conn, stringData(sql), uintptr(len(sql)), stringData(format), uintptr(len(format)),
		p.names, p.nameLens, p.values, p.valueLens, uintptr(len(params)))
	runtime.KeepAlive(sql)
	runtime.KeepAlive(format)
	p.release()
	if msg := cString(c.lib.api.resultError(handle)); msg != "" {
		c.lib.api.destroyResult(handle)
		return nil, newEngineError(msg)
	}
	return &Stream{conn: c, handle: handle}, nil
}

// Next returns the next chunk, which the caller closes, and io.EOF after the
// last one.
func (s *Stream) Next() (*Result, error) {
	if s.over {
		return nil, io.EOF
	}
	s.begun = true
	r, err := s.conn.lib.result(s.conn.lib.api.fetch(s.conn.conn, s.handle))
	if err != nil {
		s.over = true
		return nil, err
	}
	if len(r.Data) == 0 {
		s.over = true
		r.Close()
		return nil, io.EOF
	}
	return r, nil
}

// Close ends the stream, cancelling the query if rows are left.
func (s *Stream) Close() {
	if s.handle == nil {
		return
	}
	if !s.begun {
		if r, err := s.Next(); err == nil {
			r.Close()
		}
	}
	if !s.over {
		s.conn.lib.api.cancelQuery(s.conn.conn, s.handle)
		s.over = true
	}
	s.conn.lib.api.destroyResult(s.handle)
	s.handle = nil
}

// Insert is an INSERT whose data is pushed in pieces. It occupies its
// connection until Close. Not safe for concurrent use.
type Insert struct {
	conn   *Conn
	handle unsafe.Pointer
	over   bool
}

// Insert starts sql, an INSERT without FORMAT clause and data, that reads
// pieces of a document in format. An error of the engine is an *EngineError.
func (c *Conn) Insert(sql, format string, params []Param) (*Insert, error) {
	p := marshal(params)
	handle := c.lib.api.insert(c.conn, stringData(sql), uintptr(len(sql)), stringData(format), uintptr(len(format)),
		p.names, p.nameLens, p.values, p.valueLens, uintptr(len(params)))
	runtime.KeepAlive(sql)
	runtime.KeepAlive(format)
	p.release()
	if msg := cString(c.lib.api.insertError(handle)); msg != "" {
		c.lib.api.insertDestroy(handle)
		return nil, newEngineError(msg)
	}
	return &Insert{conn: c, handle: handle}, nil
}

// Append pushes a piece of the document, cut anywhere; it blocks while the
// engine is behind. It is false when the engine takes no more: Done says why.
func (i *Insert) Append(data []byte) bool {
	if i.over {
		return false
	}
	if len(data) == 0 {
		return true
	}
	state := i.conn.lib.api.insertAppend(i.handle, unsafe.Pointer(unsafe.SliceData(data)), uintptr(len(data)))
	runtime.KeepAlive(data)
	return state == 0
}

// Done ends the document and waits until its rows are in the table. An error
// of the engine is an *EngineError.
func (i *Insert) Done() (Stats, error) {
	if i.over {
		return Stats{}, errOver
	}
	i.over = true
	r, err := i.conn.lib.result(i.conn.lib.api.insertDone(i.handle))
	if err != nil {
		return Stats{}, err
	}
	defer r.Close()
	return r.Stats, nil
}

// Close frees the insert, cancelling it if Done was not called: blocks that
// reached the table before stay there.
func (i *Insert) Close() {
	if i.handle == nil {
		return
	}
	if !i.over {
		i.conn.lib.api.insertCancel(i.handle)
		i.over = true
	}
	i.conn.lib.api.insertDestroy(i.handle)
	i.handle = nil
}
