package doctor_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/services/config"
	"github.com/goodhartlabs/goodhart/services/doctor"
)

// A pipeline that runs is well in every respect; one whose services have stopped
// is not.
func TestHealthy(t *testing.T) {
	each(t, func(p *patient) {
		p.withDatabase()
		c := p.collector()
		file := p.TempDir() + "/collector.yaml"
		p.write(file, "keys_file: "+c.Keys+"\nkeyring_file: "+c.KeyringFile+"\npeople_file: "+c.People+"\n")
		p.cfg.Collector = file
		stop := p.services()
		r := p.until(func(r report) bool { return r.Status == "ok" })
		seen := map[string]bool{}
		for _, f := range r.Findings {
			seen[f.Check] = true
		}
		var names []string
		for _, name := range strings.Fields(`broker broker-settings topics topic-settings groups intents dead-letters purposes clickhouse schema
			dedup-windows parts insert-settings ticks watermarks broker-clock clickhouse-clock clickhouse-disks local-disks collector-files`) {
			if !seen[name] {
				names = append(names, name)
			}
		}
		if len(names) > 0 || r.Failures+r.Warnings != 0 {
			p.Errorf("not checked: %v; %+v", names, r)
		}
		stop()
		p.cfg.Limits.TickAge = doctor.Limit[time.Duration]{Warn: time.Millisecond, Fail: time.Hour}
		p.cfg.Limits.WatermarkAge = doctor.Limit[time.Duration]{Warn: time.Millisecond, Fail: 10 * time.Millisecond}
		p.finds("ticks", "warn", "2 partitions", "a collector runs")
		p.finds("watermarks", "fail", "behind", "out_of_orderness")
	})
}

func TestText(t *testing.T) {
	p := whole(t)
	p.exec("ALTER TABLE core.usage DROP COLUMN turn")
	var out bytes.Buffer
	p.cfg.Out = &out
	err := doctor.Run(p.Context(), p.cfg, nil)
	var unwell *doctor.UnwellError
	if !errors.As(err, &unwell) || unwell.ExitCode() != 2 || unwell.Failures == 0 || !strings.Contains(err.Error(), " failures, ") {
		t.Errorf("got %v", err)
	}
	for _, line := range []string{
		"ok   topics           13 topics of generation 1",
		"fail schema           core.usage.turn: missing\n                      want: the schema of this version\n                      do:   run goodhart migrate",
		"(docs/migrate.md)\n", " failures, 0 warnings\n",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no %q in\n%s", line, out.String())
		}
	}
}

func TestConfig(t *testing.T) {
	got := doctor.Default()
	if err := config.Load("config.example.yaml", &got, func(string) (string, bool) { return "", false }); err != nil {
		t.Fatal(err)
	}
	want := doctor.Default()
	got.Out, want.Out = nil, nil
	if len(got.Data) == 0 {
		got.Data = nil
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the example shows other values than the defaults (-default +example):\n%s", diff)
	}
	raw, err := os.ReadFile("config.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"collector_config", "data:", "mechanism"} {
		if !strings.Contains(string(raw), key) {
			t.Errorf("the example does not name %s", key)
		}
	}
	bad := doctor.Default()
	bad.Timeout, bad.Format, bad.Only = 0, "yaml", []string{"topics", "teeth"}
	bad.Limits.Lag.Warn, bad.Limits.DiskFree.Fail, bad.Limits.DeadShare.Warn = time.Hour, 50, -1
	err = bad.Validate()
	for _, problem := range []string{"timeout: 0s", "--format", `--only: no check is called "teeth"`, "limits.lag: ", "limits.disk_free: ", "limits.dead_share: "} {
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%v does not name %s", err, problem)
		}
	}
}
