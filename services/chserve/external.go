package chserve

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

// externalTable is data that a query brings along as a temporary table.
type externalTable struct {
	name, structure, format string
	data                    []byte
}

// maxExternal bounds the external tables of one request, which are held in
// memory: they are meant for lists to join with, not for loads.
const maxExternal = 64 << 20

// parseForm reads a multipart request: its files are external tables, its
// fields are like parameters of the URL, the query among them.
func parseForm(r *http.Request, q url.Values, media map[string]string) (*request, error) {
	tables, err := readForm(multipart.NewReader(r.Body, media["boundary"]), q)
	if err != nil {
		return nil, err
	}
	for i := range tables {
		t := &tables[i]
		t.structure = q.Get(t.name + "_structure")
		t.format = firstOf(q.Get(t.name+"_format"), "TabSeparated")
		if t.structure == "" {
			t.structure = numberedColumns(q.Get(t.name + "_types"))
		}
		for _, suffix := range []string{"_structure", "_format", "_types"} {
			q.Del(t.name + suffix)
		}
		if t.structure == "" {
			return nil, raise(codeBadArguments, "BAD_ARGUMENTS", "Neither structure nor types have been provided for external table %s. Use fields %[1]s_structure or %[1]s_types to do so", t.name)
		}
		if !formatPattern.MatchString(t.format) {
			return nil, raise(codeUnknownFormat, "UNKNOWN_FORMAT", "Unknown format %s", t.format)
		}
	}
	req, err := newRequest(r, q)
	if err != nil {
		return nil, err
	}
	req.external = tables
	req.text, req.rest = q.Get("query"), strings.NewReader("")
	return req, nil
}

func readForm(parts *multipart.Reader, q url.Values) ([]externalTable, error) {
	var tables []externalTable
	for left := int64(maxExternal); ; {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return tables, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read form: %w", err)
		}
		data, err := io.ReadAll(io.LimitReader(part, left+1))
		if err != nil {
			return nil, fmt.Errorf("read form: %w", err)
		}
		if left -= int64(len(data)); left < 0 {
			return nil, raise(codeTooLarge, "QUERY_IS_TOO_LARGE", "External tables have more than %d bytes", maxExternal)
		}
		if part.FileName() == "" && part.FormName() != "" && !isFile(part) {
			q.Set(part.FormName(), string(data))
			continue
		}
		tables = append(tables, externalTable{name: part.FormName(), data: data})
	}
}

// isFile tells whether a part is a file even with an empty name, as
// clickhouse-go sends them.
func isFile(part *multipart.Part) bool {
	return strings.Contains(part.Header.Get("Content-Disposition"), "filename=")
}

// numberedColumns makes a structure of a list of types: _1 UInt8, _2 String.
func numberedColumns(types string) string {
	if types == "" {
		return ""
	}
	var columns []string
	depth, start := 0, 0
	for i := range len(types) + 1 {
		if i < len(types) {
			depth += nesting(types[i])
			if types[i] != ',' || depth > 0 {
				continue
			}
		}
		columns = append(columns, fmt.Sprintf("_%d %s", len(columns)+1, strings.TrimSpace(types[start:i])))
		start = i + 1
	}
	return strings.Join(columns, ", ")
}

// load creates the table on the connection, for as long as that lives.
func (l *lease) load(t externalTable) error {
	if err := l.command("CREATE TEMPORARY TABLE " + quoteName(t.name) + " (" + t.structure + ")"); err != nil {
		return err
	}
	l.undo = append(l.undo, "DROP TEMPORARY TABLE IF EXISTS "+quoteName(t.name))
	ins, err := l.conn.Insert("INSERT INTO "+quoteName(t.name), t.format, nil)
	if err != nil {
		return err
	}
	defer ins.Close()
	ins.Append(t.data) // Done says what is wrong with them
	_, err = ins.Done()
	return err
}
