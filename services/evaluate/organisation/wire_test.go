package organisation

import (
	"bytes"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/goodhartlabs/goodhart/pkg/event"
	"github.com/goodhartlabs/goodhart/pkg/identity"
	"github.com/goodhartlabs/goodhart/pkg/price"
	"github.com/goodhartlabs/goodhart/pkg/source/cloudevents"
	"github.com/goodhartlabs/goodhart/pkg/source/otlp"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// decode is what the collector's adapters make of a record's wire form.
func decode(t *testing.T, r *Record) event.Draft {
	t.Helper()
	var drafts []event.Draft
	var rejected []event.Rejection
	if r.Event.Outcome != nil {
		body, err := r.CloudEvent()
		if err != nil {
			t.Fatal(err)
		}
		drafts, rejected, err = cloudevents.Decode(http.Header{"Content-Type": {"application/cloudevents+json"}}, body)
		if err != nil {
			t.Fatal(err)
		}
	} else {
		td := ptrace.NewTraces()
		r.AppendSpan(td)
		drafts, rejected = otlp.FromTraces(td)
	}
	if len(drafts) != 1 || len(rejected) > 0 {
		t.Fatalf("%d drafts, rejected %v", len(drafts), rejected)
	}
	return drafts[0]
}

// A record is what a collector publishes of its wire form: the organisation
// leaves nothing out and adds nothing.
func TestRecordsAreWhatACollectorPublishes(t *testing.T) {
	o := newOrganisation(t, 9, small)
	people, err := identity.New(o.PeopleFile())
	if err != nil {
		t.Fatal(err)
	}
	stamper := event.NewStamper(event.Keyring{o.Config.Tenant: o.TenantKey()}, price.Embedded(), people)
	seen := map[string]int{}
	n := 0
	for r := range o.Records() {
		kind := r.Event.Kind.String() + r.Event.IdentityType.String() + r.Event.GetUsage().GetStatus().String() + r.Event.GetOutcome().GetKind().String()
		if seen[kind]++; seen[kind] > 20 && n%211 != 0 {
			n++
			continue
		}
		n++
		d := decode(t, r)
		key, rejected := stamper.Stamp(&d, r.Credential, time.UnixMilli(r.Event.ReceivedMs))
		if rejected != nil {
			t.Fatal(rejected)
		}
		want := proto.CloneOf(r.Event)
		want.AdapterVersion = d.Event.AdapterVersion // the collector's business
		if want.Outcome != nil {
			d.Event.Transport = goodhartv1.Transport_TRANSPORT_HTTP // which the collector's listener says
		}
		if diff := cmp.Diff(want, d.Event, protocmp.Transform()); diff != "" {
			t.Fatalf("-organisation +collector:\n%s", diff)
		}
		if !bytes.Equal(key, r.Key) {
			t.Fatalf("Kafka key %q: want %q", r.Key, key)
		}
	}
	if len(seen) < 8 {
		t.Errorf("kinds of events %v: want usage of people and services, failed and not, and outcomes", seen)
	}
}
