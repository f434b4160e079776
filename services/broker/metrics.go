package broker

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// metrics are what the broker counts. How far consumers are behind, they tell
// themselves.
type metrics struct {
	requests    *prometheus.CounterVec // api
	produced    prometheus.Counter
	connections prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer, dir string) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "goodhart_broker_requests_total", Help: "Requests by Kafka API.",
		}, []string{"api"}),
		produced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "goodhart_broker_produced_bytes_total", Help: "Record batches that clients asked to store, as they came: compressed, if they were.",
		}),
		connections: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "goodhart_broker_connections", Help: "Open connections of clients.",
		}),
	}
	reg.MustRegister(m.requests, m.produced, m.connections, logSizes{dir, prometheus.NewDesc(
		"goodhart_broker_log_bytes", "Bytes of the topic on disk.", []string{"topic"}, nil,
	)})
	return m
}

// request counts a request before it is handled.
func (m *metrics) request(req kmsg.Request) {
	m.requests.WithLabelValues(kmsg.NameForKey(req.Key())).Inc()
	produce, ok := req.(*kmsg.ProduceRequest)
	if !ok {
		return
	}
	for i := range produce.Topics {
		for j := range produce.Topics[i].Partitions {
			m.produced.Add(float64(len(produce.Topics[i].Partitions[j].Records)))
		}
	}
}

// count counts a connection until it is closed.
func (m *metrics) count(conn net.Conn) net.Conn {
	m.connections.Inc()
	return &counted{conn, sync.OnceFunc(m.connections.Dec)}
}

type counted struct {
	net.Conn
	closed func()
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.closed()
	return c.Conn.Close()
}

// logSizes asks the data directory at every scrape.
type logSizes struct {
	dir  string
	desc *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (l logSizes) Describe(ch chan<- *prometheus.Desc) { ch <- l.desc }

// Collect implements prometheus.Collector. Segments come and go meanwhile: what
// has gone takes no room.
func (l logSizes) Collect(ch chan<- prometheus.Metric) {
	bytes := map[string]int64{}
	partitions, err := os.ReadDir(filepath.Join(l.dir, "partitions"))
	if err != nil {
		return
	}
	for _, p := range partitions {
		at := strings.LastIndexByte(p.Name(), '-') // topic-number
		if at < 0 {
			continue
		}
		segments, err := os.ReadDir(filepath.Join(l.dir, "partitions", p.Name()))
		if err != nil {
			continue
		}
		topic := p.Name()[:at]
		bytes[topic] += 0
		for _, s := range segments {
			if info, err := s.Info(); err == nil {
				bytes[topic] += info.Size()
			}
		}
	}
	for topic, n := range bytes {
		ch <- prometheus.MustNewConstMetric(l.desc, prometheus.GaugeValue, float64(n), topic)
	}
}
