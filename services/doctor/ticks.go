package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/goodhartlabs/goodhart/schemas"
)

// tick is the newest stored tick of a partition of events.v1.
type tick struct {
	partition uint16
	// age is how long ago the broker took it, behind how far its watermark is.
	age, behind time.Duration
}

// ticks reads the newest ticks of the last day, worst first by age.
func (b *bench) ticks(ctx context.Context) ([]tick, error) {
	var found []tick
	err := b.rows(ctx, func(rows driver.Rows) error {
		var t tick
		var age, behind int64
		if err := rows.Scan(&t.partition, &age, &behind); err != nil {
			return err
		}
		t.age, t.behind = time.Duration(age)*time.Millisecond, time.Duration(behind)*time.Millisecond
		found = append(found, t)
		return nil
	}, `SELECT t.p, toInt64(dateDiff('millisecond', max(t.accepted_at), now64(3, 'UTC'))) AS age, toInt64(dateDiff('millisecond', max(t.w), now64(3, 'UTC')))
		FROM core.ticks AS t WHERE t.accepted_at > now64(3, 'UTC') - toIntervalDay(1) GROUP BY t.p ORDER BY age DESC`)
	return found, err
}

const silent = "no tick of the last day is stored"

// checkTicks asks how old the newest stored tick of each partition is: what was
// accepted before it can be queried.
func checkTicks(ctx context.Context, b *bench) ([]Finding, error) {
	const do = "look along the way of a tick: a collector runs, the groups are not behind, the sink is not stalled"
	ticks, err := b.ticks(ctx)
	if err != nil {
		return nil, err
	}
	if len(ticks) == 0 {
		return []Finding{{Status: Fail, Found: silent, Want: "one per partition every 5 s", Do: "start a collector, a processor and a sink; else " + do}}, nil
	}
	var found []Finding
	if layout, err := b.layout(ctx); err == nil { // else the check topics tells
		if missing := int(layout.Partitions(schemas.TopicEvents)) - len(ticks); missing > 0 {
			found = append(found, Finding{
				Status: Fail, Found: fmt.Sprintf("%d partitions of %s have no stored tick of the last day", missing, schemas.TopicEvents),
				Want: "one per partition every 5 s", Do: do,
			})
		}
	}
	worst := ticks[0]
	return append(found, judged(b.cfg.Limits.TickAge.above(worst.age),
		fmt.Sprintf("%s; the furthest behind, %d, has its newest stored tick from %v ago", plural(len(ticks), "partition", "partitions"), worst.partition, worst.age.Round(time.Second/10)),
		fmt.Sprintf("at most %v", b.cfg.Limits.TickAge.Warn), do)), nil
}

// checkWatermarks asks how far the ledger's watermark is behind in each
// partition.
func checkWatermarks(ctx context.Context, b *bench) ([]Finding, error) {
	ticks, err := b.ticks(ctx)
	if err != nil {
		return nil, err
	}
	if len(ticks) == 0 {
		return []Finding{{Status: Fail, Found: silent, Want: "a watermark per partition", Do: "mend what the check ticks says first"}}, nil
	}
	worst := ticks[0]
	for _, t := range ticks {
		if t.behind > worst.behind {
			worst = t
		}
	}
	return []Finding{judged(b.cfg.Limits.WatermarkAge.above(worst.behind),
		fmt.Sprintf("%s; the watermark of partition %d is %v behind", plural(len(ticks), "partition", "partitions"), worst.partition, worst.behind.Round(time.Second/10)),
		fmt.Sprintf("at most %v", b.cfg.Limits.WatermarkAge.Warn),
		"windows of the scores wait for it: look at the check ticks, at the collectors' clocks and at out_of_orderness of the processor")}, nil
}
