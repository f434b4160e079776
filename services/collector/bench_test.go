package collector

import (
	"bytes"
	"net/http"
	"sync/atomic"
	"testing"
)

// BenchmarkHTTP is the whole path of OTLP/HTTP protobuf: real client, real
// broker protocol, every request answered after the acknowledgement. The broker
// (in memory) and the client share the cores with it.
func BenchmarkHTTP(b *testing.B) {
	const perRequest = 1000
	r := start(b, nil)
	body := logsProto(b, session("bench", perRequest, nil))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	var failed atomic.Int64
	b.SetParallelism(4)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			res := r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(body)})
			if res.code != http.StatusOK {
				failed.Add(1)
			}
		}
	})
	b.ReportMetric(float64(b.N)*perRequest/b.Elapsed().Seconds(), "events/s")
	if failed.Load() > 0 {
		b.Errorf("%d requests failed", failed.Load())
	}
}

// BenchmarkLoad is what one event costs between its decoding and the producer.
func BenchmarkLoad(b *testing.B) {
	r := start(b, nil)
	body := logsProto(b, session("bench", 1000, nil))
	d := delivery{books: r.s.library.current.Load()}
	cred, ref := d.books.keys.authenticate("Bearer " + testSecret)
	if ref != nil {
		b.Fatal(ref.detail)
	}
	d.cred = cred
	d.now, _ = r.s.clock.observe("")
	decode := signals()[0].decode
	b.ReportAllocs()
	for b.Loop() {
		drafts, rejections, err := decode(typeProtobuf, body)
		if err != nil {
			b.Fatal(err)
		}
		if c := r.s.load(d, drafts, rejections); len(c.records) != 1000 {
			b.Fatalf("%d records", len(c.records))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}
