package doctor

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/goodhartlabs/goodhart/pkg/chschema"
)

// oldestServer is the first release that the schema and the sink are tested with.
const oldestServer = 26

// checkClickHouse asks whether the server answers, and what it is.
func checkClickHouse(ctx context.Context, b *bench) ([]Finding, error) {
	var version string
	conn, err := b.database(ctx)
	if err == nil {
		err = conn.QueryRow(ctx, "SELECT version()").Scan(&version)
	}
	if err != nil {
		return []Finding{{
			Status: Fail, Found: "ClickHouse does not answer: " + oneLine(err), Want: "a server", Do: "start it (goodhart up does, or chserve), or mend clickhouse.dsn",
		}}, nil
	}
	major, _, _ := strings.Cut(version, ".")
	status := OK
	if n, err := strconv.Atoi(major); err != nil || n < oldestServer {
		status = Warn
	}
	return []Finding{judged(status, "ClickHouse "+version+" answers", fmt.Sprintf("%d or newer", oldestServer), "upgrade the server")}, nil
}

// checkSchema compares tables, columns and views with those of this program.
func checkSchema(ctx context.Context, b *bench) ([]Finding, error) {
	conn, err := b.database(ctx)
	if err != nil {
		return nil, err
	}
	diffs, err := chschema.Drift(ctx, conn, b.cfg.Schema)
	if err != nil {
		return nil, err
	}
	if len(diffs) == 0 {
		return []Finding{fine("tables, columns and views as this version has them")}, nil
	}
	const most = 10
	var found []Finding
	for _, d := range diffs[:min(most, len(diffs))] {
		f := Finding{Status: Fail, Found: d.String(), Want: "the schema of this version", Do: "run goodhart migrate; what it does not mend was altered by hand: undo that"}
		switch d.What {
		case "unknown to this binary":
			f.Status, f.Do = Warn, "drop it if somebody made it by hand; if a newer goodhart made it, use that one"
		case "comment":
			f.Status = Warn
		}
		found = append(found, f)
	}
	if more := len(diffs) - most; more > 0 {
		found = append(found, Finding{Status: Fail, Found: fmt.Sprintf("and %d more differences", more), Want: "none", Do: "run goodhart migrate"})
	}
	return found, nil
}

// needed are settings of an insert that the sink sends with each, and what it
// sends.
func needed() map[string]string {
	return map[string]string{
		"async_insert": "0", "insert_deduplicate": "1", "deduplicate_blocks_in_dependent_materialized_views": "1",
		"materialized_views_ignore_errors": "0", "wait_end_of_query": "1", "insert_deduplication_token": "", "max_execution_time": "30",
	}
}

// mostMonths is how many partitions an insert of the sink may touch.
const mostMonths = 50

// checkInsertSettings asks whether the user of the DSN may insert as the sink
// does.
func checkInsertSettings(ctx context.Context, b *bench) ([]Finding, error) {
	want := needed()
	names := []string{"readonly", "max_partitions_per_insert_block"}
	for name := range want {
		names = append(names, name)
	}
	var found []Finding
	defaults := ""
	err := b.rows(ctx, func(rows driver.Rows) error {
		var name, value string
		var pinned uint8
		if err := rows.Scan(&name, &value, &pinned); err != nil {
			return err
		}
		bad := func(want, do string) {
			found = append(found, Finding{Status: Fail, Found: name + "=" + value + " for this user", Want: want, Do: do})
		}
		sent, ours := want[name]
		switch n, _ := strconv.Atoi(value); {
		case name == "readonly" && n != 0:
			bad("0", "give the sink a user that may write, and this command may keep the one it has")
		case name == "max_partitions_per_insert_block" && n != 0 && n < mostMonths:
			bad(fmt.Sprintf("at least %d, or 0", mostMonths), "raise it in the user's profile: the sink inserts up to that many months at once")
		case ours && pinned != 0 && value != sent:
			bad(sent+", or free to change", "remove the constraint from the user's profile: the sink sends the value with every insert")
		case name == "async_insert":
			defaults = value
		}
		return nil
	}, "SELECT name, value, readonly FROM system.settings WHERE name IN (?) ORDER BY name", names)
	if err != nil {
		return nil, err
	}
	if len(found) > 0 {
		return found, nil
	}
	return []Finding{fine("nothing keeps the sink from its own settings (async_insert is %s by default, the sink sends 0)", defaults)}, nil
}
