package probe

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

// disks tells the room on the disks that roles write to, asked anew by every
// scrape. Safe for concurrent use.
type disks struct {
	free, size *prometheus.Desc

	mu    sync.Mutex
	paths map[string]bool
}

func newDisks() *disks {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("goodhart_disk_"+name, help, []string{"path"}, nil)
	}
	return &disks{
		free:  desc("free_bytes", "Room that is left for us on the disk of a data directory."),
		size:  desc("size_bytes", "Size of the disk of a data directory."),
		paths: map[string]bool{},
	}
}

func (d *disks) watch(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.paths[path] = true
}

// Describe implements prometheus.Collector.
func (d *disks) Describe(ch chan<- *prometheus.Desc) {
	ch <- d.free
	ch <- d.size
}

// Collect implements prometheus.Collector. A disk that cannot be asked has no
// sample: an alert for its absence says more than a made-up number.
func (d *disks) Collect(ch chan<- prometheus.Metric) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for path := range d.paths {
		free, size, err := room(path)
		if err != nil {
			continue
		}
		ch <- prometheus.MustNewConstMetric(d.free, prometheus.GaugeValue, free, path)
		ch <- prometheus.MustNewConstMetric(d.size, prometheus.GaugeValue, size, path)
	}
}

// room asks for the disk of path, or of the nearest directory above it that
// exists.
func room(path string) (free, size float64, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return 0, 0, err
	}
	for {
		var s syscall.Statfs_t
		err := syscall.Statfs(path, &s)
		parent := filepath.Dir(path)
		if errors.Is(err, fs.ErrNotExist) && parent != path {
			path = parent
			continue
		}
		return float64(s.Bavail) * float64(s.Bsize), float64(s.Blocks) * float64(s.Bsize), err
	}
}
