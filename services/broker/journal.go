package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// journal makes the commit of a transaction one step on disk. kfake writes the
// commit markers partition by partition, then the group's offsets, and last an
// entry in pids.log; a kill in between would leave a transaction that is
// committed here and open, hence aborted, there. So the sizes of all files are
// noted before each commit. If the process ends before pids.log has grown, the
// next start cuts the files back: the transaction is open everywhere, and aborted
// like any other that a crash interrupts. Nobody was told that it had committed,
// since the answer follows the entry in pids.log.
//
// The note is dropped when the next request arrives: the commit is over then,
// however it was answered, and a refused one must not outlive what follows it.
//
// It relies on kfake handling one request at a time, on the order of these
// writes, and on no other write coming between them.
type journal struct {
	dir string
	// noted says that the last request was a commit; the end of pids.log at that
	// time is beside it.
	noted bool
	pids  int64
}

// sizes is what the journal notes: where every log ended.
type sizes struct {
	// PIDs and PIDsInode identify the end of pids.log; another inode means that
	// it was rewritten since, which happens only after an entry.
	PIDs      int64  `json:"pids"`
	PIDsInode uint64 `json:"pids_inode"`
	Groups    int64  `json:"groups"`
	// Partitions maps each partition's directory to its newest segment.
	Partitions map[string]segment `json:"partitions"`
}

// segment is the end of a partition's log: files of later segments come after it.
type segment struct {
	Base  int64            `json:"base"`
	Files map[string]int64 `json:"files"`
}

func (j *journal) path() string { return filepath.Join(j.dir, "commit.json") }

// watch notes the sizes before every commit that the cluster handles. A commit
// that cannot be noted is refused. Seen is told of every request.
func (j *journal) watch(cluster *kfake.Cluster, seen func(kmsg.Request)) {
	cluster.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		seen(req)
		if err := j.settle(); err != nil {
			return nil, err, true // the connection ends; the request was not handled
		}
		end, ok := req.(*kmsg.EndTxnRequest)
		if !ok || !end.Commit {
			return nil, nil, false
		}
		if err := j.note(); err != nil {
			resp := end.ResponseKind().(*kmsg.EndTxnResponse)
			resp.ErrorCode = kerr.UnknownServerError.Code
			return resp, nil, true //nolint:nilerr // the client is told, and aborts
		}
		return nil, nil, false
	})
}

// settle drops the note of a commit that has been answered.
func (j *journal) settle() error {
	if !j.noted {
		return nil
	}
	if err := os.Remove(j.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop the note of a commit: %w", err)
	}
	j.noted = false
	if size, _, err := stat(filepath.Join(j.dir, "pids.log")); err != nil || size != j.pids {
		return err // the entry in pids.log says as much as the missing note
	}
	return syncDir(j.dir)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// note writes the journal; it is complete or absent, never half.
func (j *journal) note() error {
	s := sizes{Partitions: map[string]segment{}}
	var err error
	if s.PIDs, s.PIDsInode, err = stat(filepath.Join(j.dir, "pids.log")); err != nil {
		return err
	}
	if s.Groups, _, err = stat(filepath.Join(j.dir, "groups.log")); err != nil {
		return err
	}
	dirs, err := os.ReadDir(filepath.Join(j.dir, "partitions"))
	if err != nil {
		return fmt.Errorf("list partitions: %w", err)
	}
	for _, d := range dirs {
		if s.Partitions[d.Name()], err = newest(filepath.Join(j.dir, "partitions", d.Name())); err != nil {
			return err
		}
	}
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode journal: %w", err)
	}
	if err := replace(j.path(), b); err != nil {
		return err
	}
	j.noted, j.pids = true, s.PIDs
	return nil
}

// stat returns size and inode; a file that does not exist yet is empty.
func stat(path string) (int64, uint64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("size of log: %w", err)
	}
	inode := uint64(0)
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = sys.Ino
	}
	return info.Size(), inode, nil
}

// newest returns the segment with the highest base offset of a partition.
func newest(dir string) (segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return segment{}, fmt.Errorf("list segments: %w", err)
	}
	s := segment{Base: -1}
	for _, e := range entries {
		if base, ok := baseOf(e.Name()); ok {
			s.Base = max(s.Base, base)
		}
	}
	s.Files = map[string]int64{}
	for _, e := range entries {
		if base, ok := baseOf(e.Name()); !ok || base != s.Base {
			continue
		}
		info, err := e.Info()
		if err != nil {
			return segment{}, fmt.Errorf("size of segment: %w", err)
		}
		s.Files[e.Name()] = info.Size()
	}
	return s, nil
}

// baseOf reads the base offset from the name of a segment's file: 123.dat and its
// index.
func baseOf(name string) (int64, bool) {
	stem, _, ok := strings.Cut(name, ".")
	if !ok {
		return 0, false
	}
	base, err := strconv.ParseInt(stem, 10, 64)
	return base, err == nil
}

func replace(path string, b []byte) error {
	f, err := os.Create(path + ".new")
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	return nil
}

// recover undoes a commit that the last process did not finish. It reports
// whether there was one. Call it before the cluster opens the directory.
func (j *journal) recover() (bool, error) {
	b, err := os.ReadFile(j.path())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read journal: %w", err)
	}
	var s sizes
	if err := json.Unmarshal(b, &s); err != nil {
		return false, fmt.Errorf("read journal: %w", err)
	}
	size, inode, err := stat(filepath.Join(j.dir, "pids.log"))
	if err != nil {
		return false, err
	}
	finished := size > s.PIDs || inode != s.PIDsInode
	if !finished {
		if err := j.cut(s); err != nil {
			return false, fmt.Errorf("undo a commit: %w", err)
		}
	}
	return !finished, os.Remove(j.path())
}

func (j *journal) cut(s sizes) error {
	if err := shorten(filepath.Join(j.dir, "groups.log"), s.Groups); err != nil {
		return err
	}
	for name, seg := range s.Partitions {
		dir := filepath.Join(j.dir, "partitions", name)
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			base, ok := baseOf(e.Name())
			switch {
			case !ok || base < seg.Base:
			case base > seg.Base:
				err = os.Remove(filepath.Join(dir, e.Name()))
			default:
				err = shorten(filepath.Join(dir, e.Name()), seg.Files[e.Name()])
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// shorten cuts a file back; one that is not longer stays as it is.
func shorten(path string, size int64) error {
	have, _, err := stat(path)
	if err != nil || have <= size {
		return err
	}
	return os.Truncate(path, size)
}
