package broker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// indexEntry is the size of an entry in a segment's index: kfake writes one per
// batch, after the batch, and reads them by position.
const indexEntry = 15

// batchHeader is the part of a batch up to and including its length.
const batchHeader = 12

// cutTornBatches drops, from the newest segment of each partition, the batch
// whose index entry a kill has kept from being written. kfake would keep it and
// pair every later batch with its neighbour's entry, which says whether it
// belongs to a transaction. Nobody was told that the batch is stored: the answer
// follows the entry. Call it before the cluster opens the directory.
func cutTornBatches(data string) error {
	dirs, err := os.ReadDir(filepath.Join(data, "partitions"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list partitions: %w", err)
	}
	for _, d := range dirs {
		dir := filepath.Join(data, "partitions", d.Name())
		s, err := newest(dir)
		if err != nil {
			return err
		}
		if s.Base < 0 {
			continue
		}
		if err := align(filepath.Join(dir, fmt.Sprint(s.Base))); err != nil {
			return fmt.Errorf("partition %s: %w", d.Name(), err)
		}
	}
	return nil
}

// align cuts a segment and its index to the batches that both hold in full.
func align(stem string) error {
	stored, _, err := stat(stem + ".dat")
	if err != nil || stored == 0 {
		return err
	}
	info, err := os.Stat(stem + ".idx")
	if err != nil {
		return fmt.Errorf("index of segment: %w", err) // never cut a segment for want of its index
	}
	indexed := info.Size()
	entries := indexed / indexEntry
	f, err := os.Open(stem + ".dat")
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	end, batches := int64(0), int64(0)
	for err == nil && batches < entries {
		var next int64
		if next, err = batchEnd(f, end); err == nil {
			end, batches = next, batches+1
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("read segment: %w", err)
	}
	if err := shorten(stem+".dat", end); err != nil {
		return err
	}
	return shorten(stem+".idx", batches*indexEntry)
}

// batchEnd returns where the batch at a position ends, or io.EOF if it is not
// there in full.
func batchEnd(f *os.File, at int64) (int64, error) {
	var header [batchHeader]byte
	if _, err := f.ReadAt(header[:], at); err != nil {
		return 0, err
	}
	end := at + batchHeader + int64(binary.BigEndian.Uint32(header[8:]))
	if _, err := f.ReadAt(header[:1], end-1); err != nil {
		return 0, err
	}
	return end, nil
}
