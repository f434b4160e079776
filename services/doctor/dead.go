package doctor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/dead"
)

// checkDeadLetters counts what died in the last hour. What other software sends
// beside AI telemetry does not count.
func checkDeadLetters(ctx context.Context, b *bench) ([]Finding, error) {
	const over = time.Hour
	since := time.Now().Add(-over)
	reasons := map[string]int64{}
	var refused, accepted int64 // by the collector, and afterwards
	err := dead.Scan(ctx, b.cfg.Kafka, dead.Filter{Since: since}, func(l *dead.Letter) error {
		n := max(1, l.Records)
		switch {
		case l.Reason == event.ReasonNotAI:
			return nil
		case l.Stage == goodhartv1.Stage_STAGE_COLLECTOR:
			refused += n
		default:
			accepted += n
		}
		reasons[fmt.Sprintf("%s %s", strings.ToLower(strings.TrimPrefix(l.Stage.String(), "STAGE_")), l.Reason)] += n
		return nil
	})
	if err != nil {
		return nil, err
	}
	events, err := b.recordsSince(ctx, schemas.TopicEvents, since)
	if err != nil {
		return nil, err
	}
	share := 0.0
	if refused+accepted > 0 {
		share = 100 * float64(refused+accepted) / float64(refused+events) // who is accepted is among the events
	}
	found := fmt.Sprintf("%d of %d records of the last hour died (%.2g %%)%s", refused+accepted, refused+events, share, mostOf(reasons))
	status := b.cfg.Limits.DeadShare.above(share)
	if accepted > 0 { // these were promised to count
		status = max(status, Warn)
	}
	return []Finding{judged(status, found,
		fmt.Sprintf("at most %v %%, and none of what was accepted", b.cfg.Limits.DeadShare.Warn),
		"goodhart dead list --since 1h --count, then show: mend the senders, or the program and replay")}, nil
}

// mostOf names the most frequent reasons.
func mostOf(reasons map[string]int64) string {
	if len(reasons) == 0 {
		return ""
	}
	names := slices.SortedFunc(maps.Keys(reasons), func(x, y string) int {
		return cmp.Or(cmp.Compare(reasons[y], reasons[x]), cmp.Compare(x, y))
	})
	var parts []string
	for _, name := range names[:min(3, len(names))] {
		parts = append(parts, fmt.Sprintf("%d %s", reasons[name], name))
	}
	return ": " + strings.Join(parts, ", ")
}

// recordsSince is how many records a topic has got, markers included.
func (b *bench) recordsSince(ctx context.Context, topic string, since time.Time) (int64, error) {
	starts, err := b.adm.ListOffsetsAfterMilli(ctx, since.UnixMilli(), topic)
	if err != nil {
		return 0, fmt.Errorf("list offsets of %s: %w", topic, err)
	}
	ends, err := b.adm.ListEndOffsets(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("list offsets of %s: %w", topic, err)
	}
	if err := cmp.Or(starts.Error(), ends.Error()); err != nil {
		return 0, fmt.Errorf("list offsets of %s: %w", topic, err)
	}
	n := int64(0)
	ends.Each(func(end kadm.ListedOffset) {
		if start, ok := starts.Lookup(end.Topic, end.Partition); ok && start.Offset >= 0 {
			n += end.Offset - start.Offset
		}
	})
	return n, nil
}
