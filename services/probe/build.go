package probe

import (
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// buildInfo is a gauge that is always 1; its labels say what runs.
func buildInfo() prometheus.Collector {
	version, revision, toolchain := "unknown", "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version, toolchain = info.Main.Version, info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "goodhart_build_info", Help: "1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "go_version": toolchain},
	})
	g.Set(1)
	return g
}
