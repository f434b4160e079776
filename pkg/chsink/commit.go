package chsink

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// commit asks for one partition's offset and metadata to be committed.
type commit struct {
	p        *partition
	offset   int64
	progress string
	result   chan<- error
}

// commitTimeout bounds a commit: a partition that is taken away waits for it.
const commitTimeout = 15 * time.Second

// commit makes progress durable. Once sent, it is waited for even if the
// partition is being taken away: abandoning it would leave open when the broker
// sees it.
func (m *member) commit(p *partition, offset int64, progress string) error {
	result := make(chan error, 1)
	select {
	case m.commits <- commit{p, offset, progress, result}:
		return <-result
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
}

// commitLoop gathers what waits into one request.
func (m *member) commitLoop() {
	defer close(m.closed)
	for first := range m.commits {
		batch := []commit{first}
		for more := true; more; {
			select {
			case c, ok := <-m.commits:
				if more = ok; ok {
					batch = append(batch, c)
				}
			default:
				more = false
			}
		}
		m.commitAll(batch)
	}
}

func (m *member) commitAll(batch []commit) {
	asked := make(map[place]commit, len(batch))
	offsets := map[string]map[int32]kgo.EpochOffset{}
	for _, c := range batch {
		asked[c.p.at] = c
		if offsets[c.p.at.topic] == nil {
			offsets[c.p.at.topic] = map[int32]kgo.EpochOffset{}
		}
		offsets[c.p.at.topic][c.p.at.partition] = kgo.EpochOffset{Epoch: -1, Offset: c.offset}
	}
	results := make(map[place]error, len(batch))
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		return fence(req, asked, results)
	})
	m.client.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		if err == nil {
			err = errUnanswered // unless the response says otherwise
		}
		for at := range asked {
			if results[at] == nil {
				results[at] = err
			}
		}
		if resp == nil {
			return
		}
		for _, t := range resp.Topics {
			topic := t.Topic
			if topic == "" {
				topic = m.names[t.TopicID]
			}
			for _, p := range t.Partitions {
				if at := (place{topic, p.Partition}); errors.Is(results[at], errUnanswered) {
					results[at] = kerr.ErrorForCode(p.ErrorCode)
				}
			}
		}
	})
	for at, c := range asked {
		c.result <- results[at]
	}
}

var (
	errNothingToCommit = errors.New("every partition of the commit was taken away")
	errUnanswered      = errors.New("the broker did not answer for the partition")
)

// fence adds the metadata to a request that is about to be sent and takes out
// what must not be: partitions that were taken away, and those that were given
// to this process under another member id. The broker checks that the sender is
// a member, not what it owns; a member that was replaced and joined again would
// pass.
func fence(req *kmsg.OffsetCommitRequest, asked map[place]commit, results map[place]error) error {
	topics := req.Topics[:0]
	for _, t := range req.Topics {
		kept := t.Partitions[:0]
		for _, p := range t.Partitions {
			c := asked[place{t.Topic, p.Partition}]
			switch {
			case c.p.ctx.Err() != nil:
				results[c.p.at] = c.p.ctx.Err()
			case c.p.memberID != req.MemberID:
				results[c.p.at] = errReplaced
			default:
				p.Metadata = kmsg.StringPtr(c.progress)
				kept = append(kept, p)
			}
		}
		if t.Partitions = kept; len(kept) > 0 {
			topics = append(topics, t)
		}
	}
	if req.Topics = topics; len(topics) == 0 {
		return errNothingToCommit
	}
	return nil
}
