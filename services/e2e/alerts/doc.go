// Package alerts proves what a pager sees: that every alert of deploy/prometheus
// follows from a fault of the real pipeline and goes when the fault is mended,
// that every metric is in the catalogue, and that a followed event can be traced
// from the collector to ClickHouse.
package alerts
