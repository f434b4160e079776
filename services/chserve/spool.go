package chserve

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// spoolMemory is how much of a held-back answer stays in memory; the rest goes
// to a temporary file.
const spoolMemory = 1 << 20

// spool holds an answer back until it is known to be good.
type spool struct {
	memory bytes.Buffer
	file   *os.File
}

// Write appends p.
func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.memory.Len()+len(p) <= spoolMemory {
		return s.memory.Write(p)
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "chserve-answer-*")
		if err != nil {
			return 0, fmt.Errorf("hold answer back: %w", err)
		}
		_ = os.Remove(f.Name()) // it lives as long as it is open
		s.file = f
	}
	return s.file.Write(p)
}

// empty tells whether nothing was written.
func (s *spool) empty() bool { return s.memory.Len() == 0 && s.file == nil }

// copyTo sends what was written.
func (s *spool) copyTo(w io.Writer) error {
	if _, err := w.Write(s.memory.Bytes()); err != nil {
		return err
	}
	if s.file == nil {
		return nil
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("hold answer back: %w", err)
	}
	_, err := io.Copy(w, s.file)
	return err
}

// close frees what the spool holds.
func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close()
	}
}
