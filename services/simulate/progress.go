package simulate

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/goodhartlabs/goodhart/services/simulate/client"
)

// bar shows how far a send has come: one line that is drawn again on a
// terminal, a line per tenth elsewhere.
type bar struct {
	out      io.Writer
	terminal bool
	total    int
	records  int64
	began    time.Time
	tenths   int
}

// newBar returns one for a send that begins when done of total steps are through.
func newBar(out io.Writer, done, total int, now time.Time) *bar {
	if out == nil {
		out = io.Discard
	}
	b := &bar{out: out, total: max(1, total), began: now, tenths: 10 * done / max(1, total)}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		b.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return b
}

// step shows that done steps are through, the last of them with records.
func (b *bar) step(done int, records int64, at, now time.Time) error {
	b.records += records
	rate := float64(b.records) / max(.001, now.Sub(b.began).Seconds())
	if b.terminal {
		const width = 30
		filled := min(width, width*done/b.total)
		_, err := fmt.Fprintf(b.out, "\r%s%s %3d%%  %s  %d records, %.0f/s ",
			strings.Repeat("#", filled), strings.Repeat(".", width-filled), 100*done/b.total,
			at.UTC().Format("2006-01-02 15:04"), b.records, rate)
		return err
	}
	tenth := 10 * done / b.total
	if tenth == b.tenths {
		return nil
	}
	b.tenths = tenth
	_, err := fmt.Fprintf(b.out, "%3d%%  %s  %d records, %.0f/s\n", tenth*10, at.UTC().Format("2006-01-02 15:04"), b.records, rate)
	return err
}

// end prints the statistics of the send.
func (b *bar) end(stats *client.Stats, now time.Time) error {
	line := ""
	if b.terminal {
		line = "\n"
	}
	seconds := now.Sub(b.began).Seconds()
	_, err := fmt.Fprintf(b.out, "%ssent %d records in %d requests, %.1f MB: %.1f s, %.0f records/s; %d requests repeated after a failure, %d records refused\n",
		line, b.records, stats.Requests.Load(), float64(stats.Bytes.Load())/1e6, seconds, float64(b.records)/max(.001, seconds),
		stats.Retries.Load(), stats.Rejected.Load())
	return err
}
