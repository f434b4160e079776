package collector

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/protobuf/encoding/protowire"
)

func TestRecordsAreCountedBeforeDecoding(t *testing.T) {
	f := func(name string, d density, mediaType string, body []byte, want int64) {
		t.Helper()
		if got := d.records(mediaType, body); got != want {
			t.Errorf("%s: %d records, want %d", name, got, want)
		}
	}
	ld := session("s", 9, nil)
	ld.ResourceLogs().At(0).Resource().Attributes().PutStr("tricky", `"}{\"{{`+"\n\\")
	f("logs", recordsDensity(), typeProtobuf, logsProto(t, ld), 9)
	// The scope and two attributes of the resource lie as deep as records.
	f("logs", recordsDensity(), typeJSON, logsJSON(t, ld), 9+3)

	md := pmetric.NewMetrics()
	metrics := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	for i := range 3 {
		m := metrics.AppendEmpty()
		points := m.SetEmptySum().DataPoints()
		if i == 2 {
			points = m.SetEmptyGauge().DataPoints()
		}
		for range 4 {
			points.AppendEmpty().SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		}
	}
	request := pmetricotlp.NewExportRequestFromMetrics(md)
	pb, err := request.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	js, err := request.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	f("metrics", pointsDensity(), typeProtobuf, pb, 12)
	f("metrics", pointsDensity(), typeJSON, js, 12)
	f("events", eventsDensity(), typeJSON, []byte("["+usageEvent("1", "1")+","+usageEvent(`2"{`, "1")+"]"), 2)
	f("rubbish", recordsDensity(), typeProtobuf, noise(1000), 0)
	f("nothing", recordsDensity(), typeJSON, nil, 0)
	f("open string", eventsDensity(), typeJSON, []byte(`{"a\`), 1)
}

// FuzzRecords: counting must end and stay in bounds, whatever the bytes.
func FuzzRecords(f *testing.F) {
	f.Add([]byte(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{"a":"\""}]}]}]}`))
	f.Add([]byte("\x0a\x04\x12\x02\x12\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, d := range []density{recordsDensity(), pointsDensity()} {
			for _, mediaType := range []string{typeProtobuf, typeJSON} {
				if n := d.records(mediaType, body); n < 0 || n > int64(len(body)) {
					t.Errorf("%d records in %d bytes", n, len(body))
				}
			}
		}
	})
}

// TestManyEmptyRecords sends a small body of records that would take a thousand
// times as much memory.
func TestManyEmptyRecords(t *testing.T) {
	r := start(t, nil)
	records := bytes.Repeat([]byte{0x12, 0x00}, 2<<20)
	for _, field := range []protowire.Number{2, 1} {
		records = append(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.BytesType), uint64(len(records))), records...)
	}
	js := `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}` + strings.Repeat(",{}", 2<<20) + `]}]}]}`
	for mediaType, body := range map[string][]byte{typeProtobuf: records, typeJSON: []byte(js)} {
		res := r.post(call{path: "/v1/logs", contentType: mediaType, body: bytes.NewReader(body)})
		if res.code != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: status %d: %s", mediaType, res.code, res.body)
		}
		checkStatus(t, res, reasonBodyTooLarge)
	}
	accepted(t, r.post(call{path: "/v1/logs", contentType: typeProtobuf, body: bytes.NewReader(logsProto(t, session("s", 1, nil)))}))
	if n := r.s.intake.taken.Load(); n != 0 {
		t.Errorf("%d bytes still taken", n)
	}
}
