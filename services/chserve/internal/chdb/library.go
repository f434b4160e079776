// Package chdb binds libchdb, the ClickHouse engine as a shared library,
// without cgo: connections to one data path, materialised and streamed
// queries, streamed inserts, and the parser's own classification of a
// statement.
//
// The engine is process-wide. A process loads it once and binds it to one data
// path; any number of connections to that path run in parallel, each holding
// its own current database and settings and running one statement at a time.
package chdb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// ErrMissing reports that the library file is not there.
var ErrMissing = errors.New("the ClickHouse engine library is missing")

// Library is the loaded engine. Safe for concurrent use.
type Library struct {
	mu  sync.Mutex // serialises connects: each one swaps signal handlers
	api functions
}

// functions are the entry points of libchdb that the package calls. Handles
// are C pointers; they never point into Go memory.
type functions struct {
	version       func() string
	setSignals    func(enabled int32)
	connect       func(argc int32, argv unsafe.Pointer) unsafe.Pointer
	closeConn     func(conn unsafe.Pointer)
	shutdown      func() int32
	query         func(conn, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	streamQuery   func(conn, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	fetch         func(conn, stream unsafe.Pointer) unsafe.Pointer
	cancelQuery   func(conn, stream unsafe.Pointer)
	destroyResult func(result unsafe.Pointer)

	insert        func(conn, sql unsafe.Pointer, sqlLen uintptr, format unsafe.Pointer, formatLen uintptr, names, nameLens, values, valueLens unsafe.Pointer, n uintptr) unsafe.Pointer
	insertError   func(stream unsafe.Pointer) unsafe.Pointer
	insertAppend  func(stream, data unsafe.Pointer, n uintptr) int32
	insertDone    func(stream unsafe.Pointer) unsafe.Pointer
	insertCancel  func(stream unsafe.Pointer)
	insertDestroy func(stream unsafe.Pointer)

	classify func(conn, sql unsafe.Pointer, sqlLen uintptr, database unsafe.Pointer, databaseLen uintptr, out unsafe.Pointer) int32

	resultBuffer       func(result unsafe.Pointer) unsafe.Pointer
	resultLength       func(result unsafe.Pointer) uintptr
	resultError        func(result unsafe.Pointer) unsafe.Pointer
	resultElapsed      func(result unsafe.Pointer) float64
	resultRows         func(result unsafe.Pointer) uint64
	resultBytes        func(result unsafe.Pointer) uint64
	resultStorageRows  func(result unsafe.Pointer) uint64
	resultStorageBytes func(result unsafe.Pointer) uint64
	resultWrittenRows  func(result unsafe.Pointer) uint64
	resultWrittenBytes func(result unsafe.Pointer) uint64
}

// Open loads the engine from the shared library at path. Loading it a second
// time in a process returns the same engine. An error wraps ErrMissing when
// there is no such file.
func Open(path string) (*Library, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrMissing, path)
	}
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load the ClickHouse engine: %w", err)
	}
	lib := &Library{}
	for name, fn := range lib.api.symbols() {
		addr, err := purego.Dlsym(handle, name)
		if err != nil {
			return nil, fmt.Errorf("load the ClickHouse engine: %w", err)
		}
		purego.RegisterFunc(fn, addr)
	}
	// The call resets the handlers of the signals it names, Go's included.
	saved := saveSignals()
	lib.api.setSignals(0)
	saved.restore()
	return lib, nil
}

func (f *functions) symbols() map[string]any {
	return map[string]any{
		"chdb_version":                     &f.version,
		"chdb_set_signal_handlers_enabled": &f.setSignals,
		"chdb_connect":                     &f.connect,
		"chdb_close_conn":                  &f.closeConn,
		"chdb_shutdown":                    &f.shutdown,
		"chdb_query_with_params_n":         &f.query,
		"chdb_stream_query_with_params_n":  &f.streamQuery,
		"chdb_stream_fetch_result":         &f.fetch,
		"chdb_stream_cancel_query":         &f.cancelQuery,
		"chdb_destroy_query_result":        &f.destroyResult,
		"chdb_stream_insert_with_params_n": &f.insert,
		"chdb_stream_insert_error":         &f.insertError,
		"chdb_stream_append":               &f.insertAppend,
		"chdb_stream_done":                 &f.insertDone,
		"chdb_stream_cancel_insert":        &f.insertCancel,
		"chdb_destroy_insert_stream":       &f.insertDestroy,
		"chdb_classify_query_n":            &f.classify,
		"chdb_result_buffer":               &f.resultBuffer,
		"chdb_result_length":               &f.resultLength,
		"chdb_result_error":                &f.resultError,
		"chdb_result_elapsed":              &f.resultElapsed,
		"chdb_result_rows_read":            &f.resultRows,
		"chdb_result_bytes_read":           &f.resultBytes,
		"chdb_result_storage_rows_read":    &f.resultStorageRows,
		"chdb_result_storage_bytes_read":   &f.resultStorageBytes,
		"chdb_result_rows_written":         &f.resultWrittenRows,
		"chdb_result_bytes_written":        &f.resultWrittenBytes,
	}
}

// Version is the library's own version, for example "26.7.2".
func (l *Library) Version() string { return l.api.version() }

// Connect opens a connection. The arguments are those of clickhouse-local:
// the first connection boots the engine and binds the process to its --path;
// later ones must name the same path, and may set query-level settings of
// their own (--max_threads=2).
func (l *Library) Connect(args ...string) (*Conn, error) {
	argv := make([]unsafe.Pointer, 0, len(args)+2)
	keep := make([][]byte, 0, len(args)+1)
	for _, arg := range append([]string{"clickhouse"}, args...) {
		b := append([]byte(arg), 0)
		keep = append(keep, b)
		argv = append(argv, unsafe.Pointer(&b[0]))
	}
	argc := int32(len(argv))
	argv = append(argv, nil)

	l.mu.Lock()
	defer l.mu.Unlock()
	var pin runtime.Pinner
	defer pin.Unpin()
	for _, b := range keep {
		pin.Pin(&b[0])
	}
	// The engine resets signal handlers to their defaults on every connect.
	saved := saveSignals()
	handle := l.api.connect(argc, unsafe.Pointer(&argv[0]))
	saved.restore()
	runtime.KeepAlive(keep)
	runtime.KeepAlive(argv)
	if handle == nil {
		return nil, errors.New("connect to the ClickHouse engine: refused; it wrote the reason to standard error")
	}
	return &Conn{lib: l, handle: handle, conn: *(*unsafe.Pointer)(handle)}, nil
}

// Shutdown stops the engine's threads. Every connection must be closed first;
// after it the process cannot connect again.
func (l *Library) Shutdown() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.api.shutdown() != 0 {
		return errors.New("shut down the ClickHouse engine: a connection or thread is still in use")
	}
	return nil
}
