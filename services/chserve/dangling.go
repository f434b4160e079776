package chserve

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// forgetDangling mends what a kill can leave in the engine's deduplication logs.
// A non-replicated MergeTree notes an insert's token and then, under the same
// lock, moves the part into place; a kill between the two leaves a token without
// its rows, and the insert that is sent again is dropped as a duplicate. Because
// of the lock only the last note of a table can be such a one. It is cut off if
// no part on disk holds its block. Call it while no engine has the path open.
func forgetDangling(path string) error {
	logs, err := filepath.Glob(filepath.Join(path, "store", "*", "*", "deduplication_logs"))
	if err != nil {
		return fmt.Errorf("find deduplication logs: %w", err)
	}
	for _, dir := range logs {
		if err := forgetLast(dir); err != nil {
			return fmt.Errorf("mend %s: %w", dir, err)
		}
	}
	return nil
}

// forgetLast cuts the last note of a table's newest log if its part is missing.
func forgetLast(dir string) error {
	log, err := newestLog(dir)
	if err != nil || log == "" {
		return err
	}
	line, at, err := lastLine(log)
	if err != nil || line == "" {
		return err
	}
	fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
	if strings.HasSuffix(line, "\n") && len(fields) == 3 {
		if fields[0] != "1" { // not the note of an insert
			return nil
		}
		stored, err := holds(filepath.Dir(dir), fields[1])
		if err != nil || stored {
			return err
		}
	}
	return os.Truncate(log, at)
}

// newestLog returns the log with the highest number that is not empty.
func newestLog(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	newest, highest := "", int64(-1)
	for _, e := range entries {
		number, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), ".txt"), "deduplication_log_")
		n, err := strconv.ParseInt(number, 10, 64)
		if !ok || err != nil || n < highest {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return "", err
		}
		if info.Size() > 0 {
			newest, highest = filepath.Join(dir, e.Name()), n
		}
	}
	return newest, nil
}

// longestNote bounds a line of the log: a part name and a hash.
const longestNote = 4096

// lastLine returns the last line of a file and where it begins.
func lastLine(path string) (line string, at int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = f.Close() }()
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return "", 0, err
	}
	tail := make([]byte, min(end, longestNote))
	if _, err := f.ReadAt(tail, end-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return "", 0, err
	}
	begin := bytes.LastIndexByte(bytes.TrimSuffix(tail, []byte("\n")), '\n') + 1
	return string(tail[begin:]), end - int64(len(tail)-begin), nil
}

// holds says whether a table's directory has the part, or one it was merged into.
func holds(table, name string) (bool, error) {
	want, ok := parsePart(name)
	if !ok {
		return true, nil // a name of another kind: leave it alone
	}
	entries, err := os.ReadDir(table)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		have, ok := parsePart(e.Name())
		if ok && have.partition == want.partition && have.first <= want.first && want.last <= have.last {
			return true, nil
		}
	}
	return false, nil
}

// part is what the name of a data part says: partition_first_last_level, the
// level perhaps followed by a mutation's number.
type part struct {
	partition   string
	first, last int64
}

func parsePart(name string) (part, bool) {
	fields := strings.Split(name, "_")
	if len(fields) < 4 || len(fields) > 5 {
		return part{}, false
	}
	var numbers []int64
	for _, field := range fields[1:] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return part{}, false
		}
		numbers = append(numbers, n)
	}
	return part{partition: fields[0], first: numbers[0], last: numbers[1]}, true
}
