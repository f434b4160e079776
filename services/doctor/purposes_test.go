package doctor_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/purpose"
	"github.com/goodhartlabs/goodhart/services/purpose/purposetest"
)

// A log of purposes that somebody has written to, or cut, is told, without a key.
func TestPurposes(t *testing.T) {
	each(t, func(p *patient) {
		p.finds("purposes", "ok", "0 records")
		keys := purposetest.New(p.T)
		for range 2 {
			if _, err := purpose.Request(p.Context(), p.cfg.Kafka, keys.Config, keys.Officer, purpose.Entry{
				Tenant: "acme", Subject: "p_" + strings.Repeat("0", 32), Reason: "a reason that is long enough", Until: time.Now().Add(time.Hour).UnixMilli(),
			}); err != nil {
				p.Fatal(err)
			}
		}
		p.finds("purposes", "ok", "2 records")
		forged := []byte(`{"seq":3,"prev":"` + strings.Repeat("0", 64) + `"}`)
		p.produce(&kgo.Record{Topic: schemas.TopicPurpose, Value: forged})
		p.finds("purposes", "fail", "does not follow the record before it", "take the right away")
		offsets := kadm.Offsets{}
		offsets.AddOffset(schemas.TopicPurpose, 0, 1, -1)
		if deleted, err := p.adm.DeleteRecords(p.Context(), offsets); err != nil || deleted.Error() != nil {
			p.Fatal(err, deleted.Error())
		}
		p.finds("purposes", "fail", "the log has been cut", schemas.TopicPurpose)
	})
}
