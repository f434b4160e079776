package faults

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What a killed process had counted still counts, and its next life begins at 0.
func TestCountersOutliveTheirProcess(t *testing.T) {
	c := newCounters()
	page := func(committed, aborted string) []byte {
		return []byte("# HELP goodhart_fold_transactions_total Transactions by result.\n" +
			"goodhart_fold_transactions_total{result=\"aborted\",stage=\"the ledger\"} " + aborted + "\n" +
			"goodhart_fold_transactions_total{result=\"committed\",stage=\"the ledger\"} " + committed + "\n" +
			"goodhart_fold_transactions_total_of_another 1000\n" +
			"process_cpu_seconds_total 3.5\n")
	}
	c.note("processor-1/1", page("3", "1"))
	c.note("processor-1/1", page("5e+06", "2"))
	c.note("processor-1/2", page("7", "0"))
	c.note("processor-2/1", page("10", "4"))
	f := func(life, label string, want int64) {
		t.Helper()
		if got := c.total(life, counterTransactions, label); got != want {
			t.Errorf("%q %q: %d, want %d", life, label, got, want)
		}
	}
	f("", "", 5_000_000+2+7+14)
	f("", `result="aborted"`, 6)
	f("processor-1/2", "", 7)
	f("processor-1/2", `result="aborted"`, 0)
	f("processor-3/1", "", 0)
}

// The rate is that of the last seconds, whatever came before.
func TestFlow(t *testing.T) {
	f := &flow{path: filepath.Join(t.TempDir(), "progress.json")}
	now := time.Now()
	if p := f.look(now); p != (progress{}) || f.rate() != 0 {
		t.Errorf("%+v and %v/s before the first step", p, f.rate())
	}
	for second := range 10 {
		records := []byte(`{"acknowledged":7,"records":` + []string{"100", "200", "300", "400", "500", "3500", "6500", "9500", "9500", "9500"}[second] + `,"repeated":4}`)
		if err := os.WriteFile(f.path, records, 0o600); err != nil {
			t.Fatal(err)
		}
		f.look(now.Add(time.Duration(second+1) * time.Second))
		if want := map[int]float64{4: 100, 7: 3000, 9: 1000}[second]; want != 0 && f.rate() != want {
			t.Errorf("after second %d: %v/s, want %v", second, f.rate(), want)
		}
	}
	if p := f.read(); p.Repeated != 4 {
		t.Errorf("%+v", p)
	}
}
