// Package chschema brings a ClickHouse server to the schema of this binary and
// says where a server differs from it.
//
// A migration is applied once; the ledger core.schema_migrations holds one row
// per statement, so that an interrupted file goes on where it stopped. ClickHouse
// has no transactional DDL: a crash between a statement and its ledger row runs
// the statement again, which is why each is idempotent. A definition (views,
// retention, access) is applied whenever its rendered text differs from the
// ledger. Run one migrator at a time: two at once do no harm to the schema, but
// may both report the same work.
package chschema

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	schema "github.com/goodhartlabs/goodhart/schemas/clickhouse"
)

// ErrChanged says that a migration's text differs from what was applied under
// its number.
var ErrChanged = errors.New("migration was changed after it had been applied")

// ErrNewer says that the server was migrated by a newer binary.
var ErrNewer = errors.New("schema is newer than this binary")

// Step is one statement to execute.
type Step struct {
	// Version is the migration's number, 0 for a definition.
	Version int
	// File is the name of the file, Statement the place in it, from 1, of
	// Statements.
	File                  string
	Statement, Statements int
	SQL                   string

	checksum string
}

// String names the step and the object it is about, in one line.
func (s Step) String() string {
	file := s.File
	if s.Version > 0 {
		file = fmt.Sprintf("%04d_%s", s.Version, s.File)
	}
	return fmt.Sprintf("%s statement %d of %d: %s", file, s.Statement, s.Statements, headline(s.SQL))
}

// headline is the first line of a statement, without what follows its name.
func headline(sql string) string {
	line, _, _ := strings.Cut(sql, "\n")
	line, _, _ = strings.Cut(line, "(")
	return strings.Join(strings.Fields(line), " ")
}

// Plan returns what Apply would execute, in order, and changes nothing: it works
// on a server without any of our databases.
func Plan(ctx context.Context, conn driver.Conn, p schema.Params) ([]Step, error) {
	files, err := schema.Render(p)
	if err != nil {
		return nil, fmt.Errorf("render schema: %w", err)
	}
	applied, err := readLedger(ctx, conn)
	if err != nil {
		return nil, err
	}
	return plan(files, applied)
}

// plan compares the files with the ledger.
func plan(files []schema.File, applied ledger) ([]Step, error) {
	newest := 0
	for _, f := range files {
		newest = max(newest, f.Version)
	}
	if v := applied.version(); v > newest {
		return nil, fmt.Errorf("%w: the server has migration %04d, this binary knows up to %04d", ErrNewer, v, newest)
	}
	var steps []Step
	var changed []error
	for _, f := range files {
		done := applied[f.Name]
		if f.Migration() && done.statement > 0 && done.checksum != f.Checksum {
			changed = append(changed, fmt.Errorf("%w: %04d_%s has checksum %s, the ledger %s: restore the file and add a new one",
				ErrChanged, f.Version, f.Name, f.Checksum[:12], cut(done.checksum, 12)))
			continue
		}
		first := 0
		if done.checksum == f.Checksum {
			first = done.statement
		}
		for i := first; i < len(f.Statements); i++ {
			steps = append(steps, Step{
				Version: f.Version, File: f.Name, Statement: i + 1, Statements: len(f.Statements),
				SQL: f.Statements[i], checksum: f.Checksum,
			})
		}
	}
	return steps, errors.Join(changed...)
}

func cut(s string, n int) string { return s[:min(n, len(s))] }

// Apply executes what Plan lists and returns it. On an error the steps before it
// are executed and recorded; Apply goes on there when called again.
func Apply(ctx context.Context, conn driver.Conn, p schema.Params, log *slog.Logger) ([]Step, error) {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0}))
	steps, err := Plan(ctx, conn, p)
	if err != nil || len(steps) == 0 {
		return nil, err
	}
	statements, err := schema.Ledger(p)
	if err != nil {
		return nil, fmt.Errorf("render ledger: %w", err)
	}
	for _, sql := range statements {
		if err := conn.Exec(ctx, sql); err != nil {
			return nil, fmt.Errorf("create ledger: %s: %w", headline(sql), err)
		}
	}
	for i, s := range steps {
		if err := conn.Exec(ctx, s.SQL); err != nil {
			return steps[:i], fmt.Errorf("apply %s: %w", s, err)
		}
		if err := record(ctx, conn, s); err != nil {
			return steps[:i], fmt.Errorf("record %s: %w", s, err)
		}
		log.DebugContext(ctx, "schema statement applied", "step", s.String())
	}
	log.InfoContext(ctx, "schema applied", "statements", len(steps))
	return steps, nil
}
