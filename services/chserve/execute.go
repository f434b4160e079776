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
	ctx, l, err := h.lease(ctx, req)
	if err != nil {
		return err
	}
	defer l.release(h.sessions)
	for _, table := range req.external {
		if err := l.load(table); err != nil {
			return err
		}
	}
	if ins, ok := splitInsert(req.text); ok {
		return l.insert(ctx, req, ins, out)
	}
	return l.run(ctx, req, out)
}

// run answers everything but an INSERT that brings data.
func (l *lease) run(ctx context.Context, req *request, out *output) error {
	if err := req.checkLength(); err != nil {
		return err
	}
	class, statements, err := l.conn.Classify(req.text)
	if err != nil {
		return err
	}
	shape := inspect(req.text, l.eng.knowsFormat)
	out.format = firstOf(shape.format, req.format)
	switch {
	case statements > 1:
		return raise(codeSyntax, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
	case shape.outfile:
		return raise(codeOutfile, "INTO_OUTFILE_NOT_ALLOWED", "INTO OUTFILE is not allowed")
	case class == chdb.ClassUnknown && statements == 0:
		return l.complain(req)
	case req.readOnly && class != chdb.ClassReadOnly:
		return errReadonly()
	case class == chdb.ClassControl && l.sess != nil:
		l.sess.changed = true
	case class == chdb.ClassControl:
		l.spent = true
	}
	if class != chdb.ClassReadOnly || !shape.isSelect {
		return l.materialise(req, out)
	}
	if joinable(out.format) {
		return l.stream(ctx, req, out)
	}
	return l.pipe(req, shape, out)
}

func errReadonly() error {
	return raise(codeReadonly, "READONLY", "Cannot execute query in readonly mode. "+
		"For queries over HTTP, method GET implies readonly. You should use method POST for modifying queries")
}

// complain lets the engine say what it cannot parse.
func (l *lease) complain(req *request) error {
	if err := l.command(req.text); err != nil {
		return err
	}
	return raise(codeSyntax, "SYNTAX_ERROR", "Syntax error: failed at position 1 (end of query): Empty query")
}

// joinable tells whether documents of a format, one after the other, are again
// one document: then a result can be sent chunk by chunk.
func joinable(format string) bool {
	switch format {
	case "Native", "RowBinary", "MsgPack", "Protobuf", "RawBLOB", "LineAsString", "TSKV", "Null",
		"TabSeparated", "TSV", "TabSeparatedRaw", "TSVRaw", "Raw", "CSV",
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
		out.stats = out.stats.Plus(held.Stats)
		next, nextErr := st.Next()
		if nextErr == nil || errors.Is(nextErr, io.EOF) {
			_, err = out.Write(held.Data)
		}
		held.Close()
		held = next
		if err = firstError(err, ctx.Err(), nextErr); err != nil && next != nil {
			next.Close()
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// materialise runs a statement of small or no result to its end.
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
	switch {
	case req.readOnly:
		return errReadonly()
	case ins.infile:
		return raise(codeInfile, "NOT_IMPLEMENTED", "FROM INFILE is not allowed: send the data in the body")
	}
	out.format = req.format
	stream, err := l.conn.Insert(strings.TrimRight(ins.head, " \t\r\n;"), firstOf(ins.format, req.format), req.params)
	if err != nil {
		return err
	}
	defer stream.Close()
	body := io.MultiReader(strings.NewReader(req.text[ins.data:]), req.rest)
	if err := feed(ctx, stream, body); err != nil {
		return err
	}
	out.stats, err = stream.Done()
	return err
}

// feed pushes the body into the stream. A stream that takes no more ends it
// without error: its Done says why.
func feed(ctx context.Context, stream *chdb.Insert, body io.Reader) error {
	piece := make([]byte, insertPiece)
	for over := false; !over; {
		n, err := fill(body, piece)
		if over = errors.Is(err, io.EOF); err != nil && !over {
			return raise(codeNetwork, "NETWORK_ERROR", "Cannot read the data to insert: %s", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !stream.Append(piece[:n]) {
			return nil
		}
	}
	return nil
}
