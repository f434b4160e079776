package fold

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// misfortune makes kfake answer requests with errors, from a seed.
type misfortune struct {
	mu       sync.Mutex
	random   *rand.Rand
	seen     map[string]int
	injected map[string]int
}

// strikes decides whether a request fails: the second of its kind, for one must,
// and then one in so many, thirty times at most so that the run ends.
func (f *misfortune) strikes(kind string, one int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen[kind]++
	if f.injected[kind] >= 30 || f.random.IntN(one) != 0 && f.seen[kind] != 2 {
		return false
	}
	f.injected[kind]++
	return true
}

func (f *misfortune) count(kind string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.injected[kind]
}

func (b *bed) curse(seed uint64) *misfortune {
	f := &misfortune{random: rand.New(rand.NewPCG(seed, 2)), seen: map[string]int{}, injected: map[string]int{}}
	b.Fake.ControlKey(int16(kmsg.EndTxn), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake.KeepControl()
		if !req.(*kmsg.EndTxnRequest).Commit || !f.strikes("EndTxn", 5) {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.EndTxnResponse)
		resp.ErrorCode = kerr.UnknownServerError.Code
		return resp, nil, true
	})
	b.Fake.ControlKey(int16(kmsg.TxnOffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		b.Fake.KeepControl()
		if !f.strikes("TxnOffsetCommit", 5) {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
		for _, topic := range req.(*kmsg.TxnOffsetCommitRequest).Topics {
			rt := kmsg.NewTxnOffsetCommitResponseTopic()
			rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
			for _, part := range topic.Partitions {
				rp := kmsg.NewTxnOffsetCommitResponseTopicPartition()
				rp.Partition, rp.ErrorCode = part.Partition, kerr.ConcurrentTransactions.Code
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	return f
}

// storm breaks connections, from a seed: before a request is out, or after, so
// that its answer is lost. Thirty at most. The nil storm breaks none.
type storm struct {
	mu     sync.Mutex
	random *rand.Rand
	struck int
}

type dial func(ctx context.Context, network, addr string) (net.Conn, error)

func (s *storm) over(next dial) dial {
	if s == nil {
		return next
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		return &exposed{Conn: conn, storm: s}, err
	}
}

func (s *storm) strikes() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.struck >= 30 || s.random.IntN(50) != 0 {
		return false
	}
	s.struck++
	return true
}

func (s *storm) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.struck
}

// exposed is a connection in a storm.
type exposed struct {
	net.Conn

	storm *storm
}

func (c *exposed) Write(b []byte) (int, error) {
	if c.storm.strikes() {
		_ = c.Close() // that is the point
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Write(b)
	if c.storm.strikes() {
		_ = c.Close()
	}
	return n, err
}
