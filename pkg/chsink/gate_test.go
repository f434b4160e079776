package chsink

import (
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// gate lets a number of offset commits through and refuses the rest.
type gate struct{ left atomic.Int64 }

// gateCommits puts a gate before the broker; it starts wide open. Apache Kafka
// takes none: its gate stays open.
func (b *bed) gateCommits() *gate {
	g := &gate{}
	g.left.Store(1 << 40)
	if b.kafka.Fake == nil {
		return g
	}
	b.kafka.Fake.ControlKey(int16(kmsg.OffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.kafka.Fake.KeepControl()
		if g.left.Add(-1) >= 0 {
			return nil, nil, false
		}
		r := req.(*kmsg.OffsetCommitRequest)
		resp := r.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, t := range r.Topics {
			rt := kmsg.NewOffsetCommitResponseTopic()
			rt.Topic, rt.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				rp := kmsg.NewOffsetCommitResponseTopicPartition()
				rp.Partition, rp.ErrorCode = p.Partition, kerr.UnknownServerError.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	return g
}

func (g *gate) open()         { g.left.Store(1 << 40) }
func (g *gate) allow(n int64) { g.left.Store(n) }
