package console

import "github.com/prometheus/client_golang/prometheus"

// metrics say how often somebody asked, never who.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	bad      prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, b *book) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goodhart_console_requests_total", Help: "Requests by endpoint and result: ok, or why not.",
		}, []string{"endpoint", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "goodhart_console_request_seconds", Help: "Time to answer a request.", Buckets: []float64{.001, .01, .1, .5, 1, 5, 20},
		}, []string{"endpoint"}),
		bad: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "goodhart_console_bad_records_total", Help: "Records of goodhart.self.v1 that could not be read.",
		}),
	}
	reg.MustRegister(m.requests, m.seconds, m.bad,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "goodhart_console_records", Help: "Records that concern somebody, held in memory.",
		}, func() float64 { return float64(b.count()) }),
	)
	return m
}
