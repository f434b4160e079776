package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
	"github.com/goodhartlabs/goodhart/services/kafka"
)

const runNTP = "synchronise the clock (NTP) of the machine that is off"

// checkBrokerClock compares the broker's clock, which is in the timestamps of
// events.v1, with this machine's and with the collectors', which is in their
// ticks.
func checkBrokerClock(ctx context.Context, b *bench) ([]Finding, error) {
	newest, err := b.adm.ListMaxTimestampOffsets(ctx, schemas.TopicEvents)
	if err == nil {
		err = newest.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("newest timestamp of %s: %w", schemas.TopicEvents, err)
	}
	var ahead time.Duration
	records := false
	now := time.Now()
	newest.Each(func(o kadm.ListedOffset) {
		if o.Timestamp <= 0 {
			return
		}
		if d := time.UnixMilli(o.Timestamp).Sub(now); !records || d > ahead {
			ahead, records = d, true
		}
	})
	if !records {
		return []Finding{fine("no record yet, so no clock to compare")}, nil
	}
	limit := b.cfg.Limits.ClockSkew
	want := fmt.Sprintf("within %v", limit.Warn)
	var found []Finding
	if s := limit.above(ahead); s != OK {
		found = append(found, judged(s, fmt.Sprintf("the newest record of %s is %v ahead of this machine's clock", schemas.TopicEvents, ahead.Round(time.Millisecond)),
			want, runNTP+": the brokers' or this one; the watermark runs ahead, and what comes later is late"))
	}
	skews, err := b.collectorSkews(ctx)
	if err != nil {
		return found, err
	}
	worst := time.Duration(0)
	for _, collector := range slices.Sorted(maps.Keys(skews)) {
		skew := skews[collector]
		worst = max(worst, skew.Abs())
		if s := limit.above(skew.Abs()); s != OK {
			found = append(found, judged(s, fmt.Sprintf("the clock of collector %s and the broker's are %v apart", collector, skew.Abs().Round(time.Millisecond)), want, runNTP))
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	return []Finding{fine("the newest record is %v old, %s within %v of the broker's clock",
		max(0, -ahead).Round(time.Millisecond), plural(len(skews), "collector ticks", "collectors tick"), worst.Round(time.Millisecond))}, nil
}

// glimpse is how many records of a partition are looked through for ticks.
const glimpse = 500

// collectorSkews is the broker's time of each collector's newest tick less the
// collector's own, among the newest records.
func (b *bench) collectorSkews(ctx context.Context) (map[string]time.Duration, error) {
	spans, err := kafka.Spans(ctx, b.client, schemas.TopicEvents, time.Time{})
	if err != nil || len(spans) == 0 {
		return nil, err
	}
	span := spans[0] // every collector ticks in every partition
	span.From = max(span.From, span.To-glimpse)
	skews := map[string]time.Duration{}
	err = span.Read(ctx, b.cfg.Kafka.Options(), func(r *kgo.Record) error {
		var e goodhartv1.Event
		if e.UnmarshalVT(r.Value) == nil && e.Tick != nil {
			skews[e.Tick.Collector] = r.Timestamp.Sub(time.UnixMilli(e.TimeMs))
		}
		return nil
	})
	return skews, err
}

// checkClickHouseClock compares the server's clock with this machine's.
func checkClickHouseClock(ctx context.Context, b *bench) ([]Finding, error) {
	conn, err := b.database(ctx)
	if err != nil {
		return nil, err
	}
	// The quickest of a few answers says it most exactly.
	var skew time.Duration
	best := time.Duration(-1)
	for range 3 {
		var ms int64
		asked := time.Now()
		if err := conn.QueryRow(ctx, "SELECT toUnixTimestamp64Milli(now64(3))").Scan(&ms); err != nil {
			return nil, err
		}
		if took := time.Since(asked); best < 0 || took < best {
			best, skew = took, time.UnixMilli(ms).Sub(asked.Add(took/2))
		}
	}
	off := max(0, skew.Abs()-best/2)
	return []Finding{judged(b.cfg.Limits.ClockSkew.above(off), fmt.Sprintf("ClickHouse's clock and this machine's are %v apart, give or take %v",
		skew.Abs().Round(time.Millisecond), (best/2).Round(time.Millisecond)), fmt.Sprintf("within %v", b.cfg.Limits.ClockSkew.Warn), runNTP)}, nil
}
