package collector

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what a collector counts. Labels are bounded: sources and reasons
// come from fixed lists in the code.
type metrics struct {
	accepted, rejected, requests *prometheus.CounterVec
	deadLetters, ticks, reloads  *prometheus.CounterVec
	bodyBytes                    *prometheus.CounterVec
	sifted                       prometheus.Counter
	requestSeconds               *prometheus.HistogramVec
	produceSeconds, tickSeconds  prometheus.Histogram
	loaded, lastTick             prometheus.Gauge
	reg                          prometheus.Registerer
}

// Values of labels.
const (
	ticksSent   = "sent"
	ticksFailed = "failed"

	transportOTLPHTTP = "otlp_http"
	transportOTLPGRPC = "otlp_grpc"
	transportHTTP     = "http"

	resultOK = "ok"
)

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "goodhart_collector_" + name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	seconds := prometheus.ExponentialBuckets(0.001, 2, 15) // 1 ms to 16 s
	histogram := func(name, help string) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "goodhart_collector_" + name, Help: help, Buckets: seconds})
		reg.MustRegister(h)
		return h
	}
	m := &metrics{
		accepted:    counter("events_accepted_total", "Events that Kafka acknowledged before their request was answered.", "source"),
		rejected:    counter("events_rejected_total", "Records refused for good, by reason; source is that of the endpoint where the body could not be read.", "source", "reason"),
		requests:    counter("requests_total", "Requests by transport and reason of refusal, ok if there was none.", "transport", "result"),
		deadLetters: counter("dead_letters_total", "Records written to the dead topic.", "reason"),
		ticks:       counter("ticks_total", "Rounds of ticks, by whether every partition acknowledged.", "result"),
		reloads:     counter("reloads_total", "Reloads of the key, people, price and keyring files.", "result"),
		bodyBytes:   counter("body_bytes_total", "Bytes of request bodies after decompression.", "transport"),
		requestSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "goodhart_collector_request_seconds", Help: "Time from a request's first byte to its answer.", Buckets: seconds,
		}, []string{"transport"}),
		produceSeconds: histogram("produce_seconds", "Time from producing a request's events to the last acknowledgement."),
		tickSeconds:    histogram("tick_seconds", "Time of a round of ticks."),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "goodhart_collector_loaded_timestamp_seconds", Help: "When the files in force were loaded.",
		}),
		lastTick: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "goodhart_collector_last_tick_timestamp_seconds",
			Help: "When every partition had last acknowledged a tick: watermarks depend on them; 0 before the first.",
		}),
		sifted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "goodhart_collector_sifted_records_total", Help: "Records of batches that the broker refused as too large, sent again in parts.",
		}),
		reg: reg,
	}
	// A rate needs the 0 before the first.
	for _, result := range []string{ticksSent, ticksFailed} {
		m.ticks.WithLabelValues(result)
	}
	for _, transport := range []string{transportOTLPHTTP, transportOTLPGRPC, transportHTTP} {
		for _, result := range []string{resultOK, reasonOverloaded, reasonUnavailable} {
			m.requests.WithLabelValues(transport, result)
		}
	}
	reg.MustRegister(m.requestSeconds, m.loaded, m.lastTick, m.sifted)
	return m
}

// watch exposes what is in work and what waits for Kafka.
func (m *metrics) watch(in *intake, p *producer) {
	gauge := func(name, help string, value func() float64) {
		m.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "goodhart_collector_" + name, Help: help}, value))
	}
	gauge("inflight_requests", "Requests in work.", func() float64 { return float64(in.open.Load()) })
	gauge("inflight_memory_bytes", "Memory of requests in work, by estimate.", func() float64 { return float64(in.taken.Load()) })
	gauge("produce_buffered_records", "Records that wait for Kafka's acknowledgement.",
		func() float64 { return float64(p.client.BufferedProduceRecords()) })
	gauge("produce_buffered_bytes", "Bytes that wait for Kafka's acknowledgement.",
		func() float64 { return float64(p.buffered.Load()) })
}
