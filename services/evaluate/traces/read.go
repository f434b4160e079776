package traces

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Read reads every trace under a directory, in the order of their paths.
func Read(dir string) (*Set, error) {
	s := &Set{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		read, ok := readers[filepath.Ext(path)]
		if !ok {
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // it was only read
		return read(s, newLines(filepath.ToSlash(name), f))
	})
	var known *Error
	switch {
	case errors.As(err, &known):
		return nil, known
	case err != nil:
		return nil, fmt.Errorf("read traces: %w", err)
	case len(s.logs) == 0 && len(s.sizes) == 0:
		return nil, fmt.Errorf("read traces: %s: no .swf, .csv or .jsonl file of a known format", dir)
	}
	return s, nil
}

// readers by the extension of a file.
var readers = map[string]func(*Set, *lines) error{".swf": readSWF, ".csv": readCSV, ".jsonl": readMooncake}

// readCSV tells tables by their header.
func readCSV(s *Set, in *lines) error {
	if !in.next() {
		return in.wrong("1", errors.New("the file is empty"))
	}
	header := in.text
	switch {
	case header == strings.Join(azureColumns, ","):
		return readAzure(s, in)
	case header == strings.Join(servegenColumns, ","):
		return readServeGen(s, in)
	case strings.HasPrefix(header, leaderboard):
		return nil
	}
	return in.wrong("1", fmt.Errorf("header %.40q is of no known trace: want %s or %s",
		header, strings.Join(azureColumns, ","), strings.Join(servegenColumns, ",")))
}

// leaderboard begins the header of Aider's table of models, which is no usage.
const leaderboard = "date,model,edit_format,"

// lines reads a file line by line.
type lines struct {
	path    string
	scanner *bufio.Scanner
	number  int
	text    string
	fields  []string
	columns []string
	err     error
}

func newLines(path string, r io.Reader) *lines {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20) // a prompt of a million tokens has 2,000 hashes
	return &lines{path: path, scanner: scanner}
}

// next reads a line.
func (l *lines) next() bool {
	l.number++
	if !l.scanner.Scan() {
		return false
	}
	l.text = strings.TrimSuffix(l.scanner.Text(), "\r")
	return true
}

// row reads a line of a table; io.EOF after the last.
func (l *lines) row() error {
	if !l.next() {
		return l.end()
	}
	return l.take(strings.Split(l.text, ","))
}

// take makes fields the row, of which there must be one a column.
func (l *lines) take(fields []string) error {
	l.fields = fields
	if len(l.fields) != len(l.columns) {
		return l.wrong(strconv.Itoa(min(len(l.fields), len(l.columns)+1)), fmt.Errorf("%d columns, want %d", len(l.fields), len(l.columns)))
	}
	return nil
}

// end is io.EOF if the file was read to its end.
func (l *lines) end() error {
	if err := l.scanner.Err(); err != nil {
		return l.wrong("1", err)
	}
	return io.EOF
}

// float reads a column that is a number of at least least.
func (l *lines) float(column int, least float64) float64 {
	x, err := strconv.ParseFloat(l.fields[column], 64)
	if err == nil && !(x >= least && x <= 1e15) {
		err = fmt.Errorf("%s: want a number from %v to 1e15", l.fields[column], least)
	}
	if err != nil && l.err == nil {
		l.err = l.wrong(l.columns[column], err)
	}
	return x
}

func (l *lines) wrong(column string, err error) error {
	return &Error{Path: l.path, Line: l.number, Column: column, Err: err}
}

// base is the file's name without its extension.
func (l *lines) base() string {
	return strings.TrimSuffix(filepath.Base(l.path), filepath.Ext(l.path))
}
