package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// checkClickHouseDisks asks the server for the room on its disks.
func checkClickHouseDisks(ctx context.Context, b *bench) ([]Finding, error) {
	var found []Finding
	err := b.rows(ctx, func(rows driver.Rows) error {
		var name, path string
		var free, total uint64
		if err := rows.Scan(&name, &path, &free, &total); err != nil {
			return err
		}
		found = append(found, b.room("disk "+name+" of ClickHouse ("+path+")", free, total))
		return nil
	}, "SELECT name, path, unreserved_space, total_space FROM system.disks WHERE is_remote = 0 ORDER BY name")
	return found, err
}

// checkLocalDisks looks at the disks of local directories.
func checkLocalDisks(_ context.Context, b *bench) ([]Finding, error) {
	dirs := b.cfg.Data
	if len(dirs) == 0 {
		if _, err := os.Stat(embedded); errors.Is(err, fs.ErrNotExist) {
			return []Finding{fine("no data directory on this machine")}, nil
		}
		dirs = []string{embedded}
	}
	var found []Finding
	for _, dir := range dirs {
		var s syscall.Statfs_t
		if err := syscall.Statfs(dir, &s); err != nil {
			found = append(found, Finding{Status: Fail, Found: dir + ": " + err.Error(), Want: "a directory", Do: "mend data, or make the directory"})
			continue
		}
		found = append(found, b.room("disk of "+dir, s.Bavail*uint64(s.Bsize), s.Blocks*uint64(s.Bsize)))
	}
	return found, nil
}

// embedded is where goodhart up keeps its state.
const embedded = ".goodhart"

func (b *bench) room(what string, free, total uint64) Finding {
	const gib = 1 << 30
	share := 100 * float64(free) / float64(max(1, total))
	return judged(b.cfg.Limits.DiskFree.below(share),
		fmt.Sprintf("%s: %.1f of %.1f GiB free (%.0f %%)", what, float64(free)/gib, float64(total)/gib, share),
		fmt.Sprintf("at least %v %%", b.cfg.Limits.DiskFree.Warn), "make room: a full disk stops the broker or the sink; shorten schema.retention, or add a disk")
}
