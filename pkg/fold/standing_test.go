package fold

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/goodhartlabs/goodhart/pkg/ktest"
	"github.com/goodhartlabs/goodhart/pkg/machine"
)

// samples returns the values of a metric by its variable label, or by "" without
// one.
func samples(t *testing.T, reg prometheus.Gatherer, name string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "goodhart_fold_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			key := ""
			for _, l := range m.GetLabel() {
				if l.GetName() != "stage" {
					key = l.GetValue()
				}
			}
			switch {
			case m.Counter != nil:
				got[key] = m.Counter.GetValue()
			case m.Gauge != nil:
				got[key] = m.Gauge.GetValue()
			default:
				got[key] = float64(m.Histogram.GetSampleCount())
			}
		}
	}
	return got
}

// Silence is when these matter: nothing is folded, and still they move on.
func TestStandingsAreTrueInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		m := newMetrics(reg, "subject")
		began := time.Now()
		m.standings.tell(3, func(at *standing) {
			at.next, at.end, at.known = 10, 12, began
			at.w, at.low = began.Add(-30*time.Second).UnixMilli(), began.UnixMilli()
		})
		m.standings.tell(4, func(at *standing) { at.w = began.Add(-50 * time.Second).UnixMilli() })
		time.Sleep(50 * time.Second) // of the bubble
		m.standings.ends(map[int32]int64{3: 20, 7: 5})
		f := func(name string, want map[string]float64) {
			t.Helper()
			if diff := cmp.Diff(want, samples(t, reg, name)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
		f("lag_records", map[string]float64{"3": 10, "4": 0})
		f("lag_seconds", map[string]float64{"3": 50, "4": 50})
		f("watermark_delay_seconds", map[string]float64{"3": 80, "4": 100})
		f("watermark_stalled", map[string]float64{"3": 0, "4": 0})
		f("watermark_skew_seconds", map[string]float64{"": 20})
		f("snapshot_age_seconds", map[string]float64{"3": 50, "4": 50})
		time.Sleep(11 * time.Second)
		f("watermark_stalled", map[string]float64{"3": 1, "4": 1})
		m.standings.keep(func(id int32) bool { return id == 4 })
		m.standings.tell(4, func(at *standing) { at.w = math.MinInt64 })
		f("lag_seconds", map[string]float64{"4": 61})
		f("watermark_seconds", map[string]float64{})
	})
}

// A process shows the partitions it has, and no longer those it had; a record
// counts once, however often it had to be read.
func TestMetricsFollowThePartitions(t *testing.T) {
	const n = 2000
	b, records := newBed(t, ktest.Fake(t)), input(3, n)
	f := b.curse(3)
	registries := map[string]*prometheus.Registry{}
	run := func(instance string) *process {
		return b.start(t, instance, machine.Shards, func(cfg *Config) {
			if cfg.Stage.Name == "ledger" {
				registries[instance] = prometheus.NewRegistry()
				cfg.Metrics = registries[instance]
			}
		})
	}
	has := func(instance string) []string {
		return slices.Sorted(maps.Keys(samples(t, registries[instance], "lag_records")))
	}
	a := run("a")
	b.send(t, records[:n/2])
	b.read(t, "out", func(m map[int32][]string) bool { return running(m) > n/4 })
	if got := has("a"); len(got) != partitions {
		t.Errorf("the only process shows partitions %v", got)
	}
	other := run("b")
	ktest.Eventually(t, "the two processes share the partitions", func() bool { return len(has("b")) == partitions/2 })
	b.send(t, records[n/2:])
	b.finish(t)
	if got, rest := has("a"), has("b"); len(got)+len(rest) != partitions {
		t.Errorf("the two processes show partitions %v and %v", got, rest)
	}
	var folded, redone float64
	for _, reg := range registries {
		for _, v := range samples(t, reg, "records_total") {
			folded += v
		}
		for _, v := range samples(t, reg, "redone_records_total") {
			redone += v
		}
	}
	// What one process had folded and not committed when it lost the partition, the
	// other folds again.
	if folded < float64(len(records)) {
		t.Errorf("%v records folded, want %d and more", folded, len(records))
	}
	if redone == 0 || f.count("EndTxn") == 0 {
		t.Errorf("%v records redone after %d faults", redone, f.count("EndTxn"))
	}
	other.stop(t)
	a.stop(t)
	if got := strings.Join(append(has("a"), has("b")...), " "); got != "" {
		t.Errorf("stopped processes show partitions %s", got)
	}
}
