package chserve

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/goodhartlabs/goodhart/services/chserve/internal/chdb"
)

// execute runs the request's query and sends its result.
func (h *handler) execute(ctx context.Context, req *request, out *output) error {
	if req.handshake && isHello(req.text) {
		out.format = "Native"
		_, err := out.Write(helloBlock(h.eng.version, h.eng.timezone))
		return err
	}
	conn, err := h.eng.acquire(ctx)
	if err != nil {
		return err
	}
	l := &lease{eng: h.eng, conn: conn}
	defer l.release()
	if err := l.prepare(req); err != nil {
		return err
	}
	return l.run(ctx, req, out)
}

// lease is a connection in the hands of one request.
type lease struct {
	eng     *engine
	conn    *chdb.Conn
	applied []setting
	moved   bool // the current database is not default
	spent   bool // its state cannot be undone
}

// prepare makes the connection what the request asks for.
func (l *lease) prepare(req *request) error {
	if req.database != "" && req.database != "default" {
		if err := l.command("USE " + quoteName(req.database)); err != nil {
			return err
		}
		l.moved = true
	}
	for _, s := range req.settings {
		l.spent = l.spent || s.name == "readonly"
	}
	l.applied = req.settings
	if set := setStatement(req.settings); set != "" {
		if err := l.command(set); err != nil {
			l.spent = true
			return err
		}
	}
	return nil
}

// command runs a statement that has no result.
func (l *lease) command(sql string) error {
	res, err := l.conn.Query(sql, "Null", nil)
	if err != nil {
		return err
	}
	res.Close()
	return nil
}

// release undoes prepare and gives the connection back, or gives it up.
func (l *lease) release() {
	if !l.spent && len(l.applied) > 0 {
		l.spent = l.command(unsetStatement(l.applied)) != nil
	}
	if !l.spent && l.moved {
		l.spent = l.command("USE default") != nil
	}
	l.eng.release(l.conn, !l.spent)
}

func (l *lease) run(ctx context.Context, req *request, out *output) error {
	if ins, ok := splitInsert(req.text); ok {
		return l.insert(ctx, req, ins, out)
	}
	if len(req.text) == maxQueryText && req.longText() {
		return raise(codeSyntax, "SYNTAX_ERROR", "Max query size exceeded: a query has at most %d bytes", maxQueryText)
	}
	class, statements, err := l.conn.Classify(req.text)
	if err != nil {
		return err
	}
	switch {
	case statements > 1:
		return raise(codeSyntax, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
	case class == chdb.ClassControl:
		l.spent = true
	}
	if req.readOnly && class != chdb.ClassReadOnly && class != chdb.ClassUnknown {
		return raise(codeReadonly, "READONLY", "Cannot execute query in readonly mode. "+
			"For queries over HTTP, method GET implies readonly. You should use method POST for modifying queries")
	}
	_, format := outputFormat(req.text)
	out.format = firstOf(format, req.format)
	if class == chdb.ClassReadOnly && joinable(out.format) && isSelect(req.text) {
		return l.stream(ctx, req, out)
	}
	return l.materialise(req, out)
}

// joinable tells whether documents of a format, one after the other, are again
// one document: then a result can be sent chunk by chunk.
func joinable(format string) bool {
	switch format {
	case "Native", "RowBinary", "MsgPack", "Protobuf", "RawBLOB", "LineAsString", "TSKV",
		"TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "Raw", "CSV", "Null",
		"JSONEachRow", "JSONLines", "NDJSON", "JSONL", "JSONStringsEachRow",
		"JSONCompactEachRow", "JSONCompactStringsEachRow":
		return true
	}
	return false
}

// stream sends the result chunk by chunk, one chunk behind the engine: a
// failure in the first rows then still gets its own status, and the headers of
// a small result its whole summary.
func (l *lease) stream(ctx context.Context, req *request, out *output) error {
	st, err := l.conn.Stream(req.text, req.format, req.params)
	if err != nil {
		return err
	}
	defer st.Close()
	held, err := st.Next()
	for err == nil {
		out.stats = sum(out.stats, held.Stats)
		next, nextErr := st.Next()
		if nextErr == nil || errors.Is(nextErr, io.EOF) {
			_, err = out.Write(held.Data)
		}
		held.Close()
		held = next
		err = errors.Join(nextErr, err, ctx.Err())
	}
	if held != nil {
		held.Close()
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func sum(a, b chdb.Stats) chdb.Stats {
	a.Rows += b.Rows
	a.Bytes += b.Bytes
	a.ReadRows += b.ReadRows
	a.ReadBytes += b.ReadBytes
	a.WrittenRows += b.WrittenRows
	a.WrittenBytes += b.WrittenBytes
	a.Elapsed += b.Elapsed
	return a
}

func (l *lease) materialise(req *request, out *output) error {
	res, err := l.conn.Query(req.text, req.format, req.params)
	if err != nil {
		return err
	}
	defer res.Close()
	out.stats = res.Stats
	if len(res.Data) == 0 {
		return nil
	}
	_, err = out.Write(res.Data)
	return err
}

// insertPiece is how much of an insert's data goes to the engine at once; the
// engine queues at most 16 pieces.
const insertPiece = 256 << 10

// insert streams the data of the body into the table.
func (l *lease) insert(ctx context.Context, req *request, ins insertion, out *output) error {
	if req.readOnly {
		return raise(codeReadonly, "READONLY", "Cannot execute query in readonly mode. "+
			"For queries over HTTP, method GET implies readonly. You should use method POST for modifying queries")
	}
	format := ins.format
	if format == "" {
		format = req.format
	}
	out.format = req.format
	stream, err := l.conn.Insert(strings.TrimRight(ins.head, " \t\r\n;"), format, req.params)
	if err != nil {
		return err
	}
	defer stream.Close()
	body := io.MultiReader(strings.NewReader(req.text[ins.data:]), req.rest)
	piece := make([]byte, insertPiece)
	for {
		n, err := io.ReadFull(body, piece)
		if n > 0 && stream.Append(piece[:n]) != nil {
			break // Done says why
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return raise(codeNetwork, "NETWORK_ERROR", "Cannot read the data to insert: %s", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	stats, err := stream.Done()
	if err != nil {
		return err
	}
	out.stats = stats
	return nil
}
