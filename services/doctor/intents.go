package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	"github.com/goodhartlabs/goodhart/schemas"
)

// checkIntents reads what the sink notes beside its offsets: the batches under
// way.
func checkIntents(ctx context.Context, b *bench) ([]Finding, error) {
	committed, err := b.adm.FetchOffsets(ctx, schemas.GroupSink)
	if err != nil {
		return nil, fmt.Errorf("fetch offsets: %w", err)
	}
	topics, err := b.topics(ctx)
	if err != nil {
		return nil, err
	}
	var found []Finding
	notes, pending, oldest := 0, 0, time.Duration(0)
	for _, o := range committed.Sorted() {
		where := fmt.Sprintf("%s/%d", o.Topic, o.Partition)
		p, err := chsink.ReadProgress(o.Metadata)
		if err != nil {
			found = append(found, Finding{
				Status: Warn, Found: where + ": " + err.Error(), Want: "the sink's own note",
				Do: "somebody moved the offset: the sink compares with its tables what lies behind it; find out who, and leave the group " + schemas.GroupSink + " alone",
			})
			continue
		}
		notes++
		id := topics[o.Topic].ID
		if have := fmt.Sprintf("%x", id[:4]); have != p.Topic {
			found = append(found, Finding{
				Status: Fail, Found: fmt.Sprintf("%s: the offset belongs to the topic with id %s, the topic is %s", where, p.Topic, have), Want: "the topic that was read",
				Do: "the topic was deleted and made anew: restart the sink, it begins the new one at its start; what the old one still held is lost",
			})
			continue
		}
		if !p.Pending {
			continue
		}
		pending++
		age := time.Since(p.Since)
		oldest = max(oldest, age)
		if s := b.cfg.Limits.IntentAge.above(age); s != OK {
			found = append(found, Finding{
				Status: s, Found: fmt.Sprintf("%s: offsets %d to %d have been on their way for %v", where, p.First, p.Last, age.Round(time.Second)),
				Want: fmt.Sprintf("less than %v", b.cfg.Limits.IntentAge.Warn),
				Do:   "the log line \"partition stalled\" of the sink names the error; if no sink runs, start one: it finishes the batch first",
			})
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	if pending == 0 {
		return []Finding{fine("%s with the sink's notes, no batch on its way", plural(notes, "offset", "offsets"))}, nil
	}
	return []Finding{fine("%s with the sink's notes, %s on the way, the oldest for %v", plural(notes, "offset", "offsets"),
		plural(pending, "batch", "batches"), oldest.Round(time.Second/10))}, nil
}
