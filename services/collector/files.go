package collector

import (
	"fmt"
	"os"
	"time"
)

// File is a file that a collector reads.
type File struct {
	// Key is its key in the configuration.
	Key  string
	Path string
	// Modified is when it was last written.
	Modified time.Time
}

// Files reads everything that a collector of this configuration would read and
// returns the files. The error joins what is wrong with them, each with its key.
func Files(cfg Config) ([]File, error) {
	var files []File
	for _, f := range []File{
		{Key: "keys_file", Path: cfg.Keys},
		{Key: "keyring_file", Path: cfg.KeyringFile},
		{Key: "people_file", Path: cfg.People},
		{Key: "prices_file", Path: cfg.Prices},
	} {
		if f.Path == "" {
			continue
		}
		if info, err := os.Stat(f.Path); err == nil { // else readBooks tells
			f.Modified = info.ModTime()
			files = append(files, f)
		}
	}
	if _, err := readBooks(cfg); err != nil {
		return files, fmt.Errorf("read files: %w", err)
	}
	return files, nil
}
