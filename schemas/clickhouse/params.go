package clickhouse

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"
)

// Kind is the kind of server that the schema is rendered for.
type Kind string

// The kinds of server.
const (
	// Embedded is chserve on this machine: fsync at every insert, no roles.
	Embedded Kind = "embedded"
	// Single is one ClickHouse server.
	Single Kind = "single"
	// Cluster is a cluster of replicated shards.
	Cluster Kind = "cluster"
)

// Retention is how long rows are kept, in days. Each may be shortened.
type Retention struct {
	// Raw: usage, activity, outcomes, tallies, dead; from the insert.
	Raw int `yaml:"raw"`
	// Ticks: from the insert.
	Ticks int `yaml:"ticks"`
	// Minute: minute rollups, from event time.
	Minute int `yaml:"minute"`
	// ShortWindows: rolling figures of windows up to 1 h, from their end.
	ShortWindows int `yaml:"short_windows"`
	// Signals: signals, their evidence and self, from their last update.
	Signals int `yaml:"signals"`
	// Aggregates: hourly and daily rollups, rolling figures, KPI health.
	Aggregates int `yaml:"aggregates"`
}

// Params says how the schema is rendered.
type Params struct {
	Kind Kind `yaml:"kind"`
	// Cluster is the name of the cluster; for Kind Cluster alone.
	Cluster string `yaml:"cluster"`
	// DedupWindow is the number of parts per table that the server remembers for
	// recognising a repeated insert. It must span ten minutes at the worst rate:
	// 600 s × sink partitions × 2 month partitions per block of one second, and
	// twice that for safety. The default serves 8 partitions.
	DedupWindow int       `yaml:"dedup_window"`
	Retention   Retention `yaml:"retention"`
}

// Default returns the embedded rendering with the default retention.
func Default() Params {
	return Params{
		Kind:        Embedded,
		DedupWindow: 20_000,
		Retention:   Retention{Raw: 35, Ticks: 7, Minute: 35, ShortWindows: 91, Signals: 90, Aggregates: 762},
	}
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,63}$`)

// Validate returns every problem, each naming its key.
func (p Params) Validate() error {
	var problems []error
	switch p.Kind {
	case Embedded, Single:
		if p.Cluster != "" {
			problems = append(problems, fmt.Errorf("cluster: %q is set, but kind is %s", p.Cluster, p.Kind))
		}
	case Cluster:
		if !identifier.MatchString(p.Cluster) {
			problems = append(problems, fmt.Errorf("cluster: %q, want letters, digits, _ and -", p.Cluster))
		}
	default:
		problems = append(problems, fmt.Errorf("kind: %q, want embedded, single or cluster", p.Kind))
	}
	if p.DedupWindow < 1_000 || p.DedupWindow > 1_000_000 {
		problems = append(problems, fmt.Errorf("dedup_window: %d, want 1000 to 1000000", p.DedupWindow))
	}
	r := p.Retention
	for _, d := range []struct {
		key  string
		days int
	}{
		{"raw", r.Raw},
		{"ticks", r.Ticks},
		{"minute", r.Minute},
		{"short_windows", r.ShortWindows},
		{"signals", r.Signals},
		{"aggregates", r.Aggregates},
	} {
		if d.days < 1 || d.days > 3650 {
			problems = append(problems, fmt.Errorf("retention.%s: %d days, want 1 to 3650", d.key, d.days))
		}
	}
	return errors.Join(problems...)
}

// funcs are the words that the templates know beside the fields of Params.
func (p Params) funcs() template.FuncMap {
	return template.FuncMap{
		"onCluster": p.onCluster,
		"engine":    p.engine,
		"settings":  p.settings,
		"from":      p.from,
		"server":    func() bool { return p.Kind != Embedded },
		"cluster":   func() bool { return p.Kind == Cluster },
		"rollups":   rollups,
		"list":      func(items ...string) []string { return items },

		"cacheWrite": cacheWrite,

		"usageViews":      usageViews,
		"bools":           func() []bool { return []bool{true, false} },
		"definer":         p.definer,
		"in":              p.in,
		"usd":             usd,
		"monday":          monday,
		"judged":          judged,
		"published":       func(tenant, team, week string) string { return p.publication(tenant, team, week, p.in()) },
		"unpublished":     func(tenant, team, week string) string { return p.publication(tenant, team, week, p.notIn()) },
		"publishedWindow": p.publishedWindow,
	}
}

func (p Params) onCluster() string {
	if p.Kind != Cluster {
		return ""
	}
	return "ON CLUSTER `" + p.Cluster + "`"
}

// engine names a MergeTree engine with its arguments. The replicated form takes
// path and replica from the server's defaults.
func (p Params) engine(name string, args ...string) string {
	if p.Kind == Cluster {
		name = "Replicated" + name
	}
	if len(args) == 0 {
		return name
	}
	return name + "(" + strings.Join(args, ", ") + ")"
}

// settings are those of a table that inserts reach, itself or through a view.
// feeders is the number of tables whose inserts reach it: each takes its own
// places in the window.
func (p Params) settings(feeders int) string {
	window := p.DedupWindow * feeders
	switch p.Kind {
	case Cluster:
		return fmt.Sprintf("replicated_deduplication_window = %d, replicated_deduplication_window_seconds = 604800, merge_with_ttl_timeout = 86400", window)
	case Embedded:
		return fmt.Sprintf("non_replicated_deduplication_window = %d, merge_with_ttl_timeout = 86400, fsync_after_insert = 1", window)
	case Single:
	}
	return fmt.Sprintf("non_replicated_deduplication_window = %d, merge_with_ttl_timeout = 86400", window)
}

// from names what a view reads: the table, or in a cluster its Distributed twin.
func (p Params) from(table string) string {
	if p.Kind == Cluster {
		return DatabaseCore + "." + table + "_all"
	}
	return DatabaseCore + "." + table
}
