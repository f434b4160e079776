package collector

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/event"
)

func TestLettersOfManyRejections(t *testing.T) {
	var rejections []event.Rejection
	for i := range 2 * maxLetters {
		rejections = append(rejections,
			event.Rejection{Path: fmt.Sprintf("r[%d]", i), Field: "input_tokens", Reason: event.ReasonBadNumber, Source: "a", Size: 10, Hash: [32]byte{1}, Shape: "{}"},
			event.Rejection{Path: fmt.Sprintf("s[%d]", i), Reason: event.ReasonNotAI, Source: "otlp", Size: 5, Hash: [32]byte{2}},
		)
	}
	cred := &credential{Credential: event.Credential{ID: "k", Tenant: "acme"}}
	got := map[string]int64{}
	single := 0
	for _, l := range letters(cred, time.UnixMilli(5), rejections) {
		got[l.Reason+" records"] += l.GetRecords()
		got[l.Reason+" bytes"] += l.SizeBytes
		got[l.Reason+" letters"]++
		if len(l.Hash) > 0 {
			single++
		}
		if l.Tenant != "acme" || l.Credential != "k" || l.TimeMs != 5 {
			t.Fatalf("letter %v", l)
		}
	}
	want := map[string]int64{
		"bad_number records": 2 * maxLetters, "bad_number bytes": 20 * maxLetters, "bad_number letters": maxLetters,
		"not_ai_telemetry records": 2 * maxLetters, "not_ai_telemetry bytes": 10 * maxLetters, "not_ai_telemetry letters": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if single != maxLetters-1 {
		t.Errorf("%d letters for single records, want %d", single, maxLetters-1)
	}
}
