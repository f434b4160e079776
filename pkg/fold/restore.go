package fold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// noOffset is what the group reports for a partition it never committed.
const noOffset = -1

// readStall is how long a restore waits for the next record before it gives up.
const readStall = 30 * time.Second

// restore returns a partition as it was at its last commit. committed is the
// group's offset, or noOffset; the returned offset is where to go on, which
// differs from committed only if the group has lost its offset.
func restore(ctx context.Context, cfg *Config, source []byte, id int32, committed int64) (*partition, error) {
	p := newPartition(cfg, id)
	p.source = source
	records, err := loadState(ctx, cfg, id)
	if err != nil {
		return nil, fmt.Errorf("load state of partition %d: %w", id, err)
	}
	header, err := headerOf(records, id)
	if err != nil {
		return nil, err
	}
	if header == nil {
		if committed != noOffset {
			return nil, p.disagree(ctx, cfg, committed, noOffset)
		}
		start, err := logStart(ctx, cfg, id)
		if err != nil {
			return nil, err
		}
		p.applied = start
		p.snapshots.begin(start)
		return p, nil
	}
	if err := p.resume(ctx, cfg, header, records, committed); err != nil {
		return nil, fmt.Errorf("restore partition %d: %w", id, err)
	}
	return p, nil
}

func (p *partition) resume(ctx context.Context, cfg *Config, h *goodhartv1.SnapshotHeader, records map[string][]byte, committed int64) error {
	if h.Format != snapshotFormat {
		return fatalError{fmt.Errorf("snapshot format %d, this program reads %d", h.Format, snapshotFormat)}
	}
	if len(h.InputTopicId) > 0 && len(p.source) > 0 && !bytes.Equal(h.InputTopicId, p.source) {
		return fatalError{fmt.Errorf("%s was deleted and made anew: the state belongs to the topic with id %x, this one has %x; start a new generation", cfg.Stage.Input, h.InputTopicId, p.source)}
	}
	if committed != noOffset && committed != h.CommittedOffset {
		return p.disagree(ctx, cfg, committed, h.CommittedOffset)
	}
	if len(h.NextSeq) != len(p.nextSeq) || p.merge != nil && len(h.UpstreamW) != len(p.merge.last) {
		return fatalError{errors.New("partition counts differ from those of the state: they change only with a new generation")}
	}
	if err := p.machine.LoadHeader(h.Machine); err != nil {
		return fatalError{fmt.Errorf("load header: %w", err)}
	}
	r, err := p.snapshots.load(p, h, records)
	if err != nil {
		return fatalError{err}
	}
	p.restored = r.shards
	p.refused = h.RefusedOffsets
	if err := p.replay(ctx, cfg, h, r); err != nil {
		return err
	}
	copy(p.nextSeq, h.NextSeq)
	p.announced = h.AnnouncedW
	return nil
}

// disagree says what to make of a state that is not at the group's offset; state
// is noOffset if there is none. If the group has moved since, the partition has
// another owner. A state that is behind may be a commit whose marker has not
// reached the state topic yet: transaction markers arrive partition by partition,
// long after each other if brokers are busy, and until then a transaction is open
// there. Only a state that stays apart from a group that stands still, with
// nothing open, is an error that a new session cannot mend.
func (p *partition) disagree(ctx context.Context, cfg *Config, committed, state int64) error {
	for {
		offsets, err := groupOffsets(ctx, cfg)
		if err != nil {
			return err
		}
		if at, ok := offsets.Lookup(cfg.Stage.Input, p.id); !ok || at.At != committed {
			return errors.New("another member has gone on with the partition")
		}
		open, err := stateOpen(ctx, cfg, p.id) // before the state is read: what ends between is seen
		if err != nil {
			return err
		}
		now, err := stateOffset(ctx, cfg, p.id)
		if err != nil {
			return err
		}
		switch {
		case now != state:
			return errors.New("the state has moved on, restore again")
		case open:
			cfg.Log.Warn("the state is not at the group's offset, waiting for a transaction to end", "stage", cfg.Stage.Name, "partition", p.id, "group", committed, "state", state)
		case state == noOffset:
			return fatalError{fmt.Errorf("partition %d has a committed offset (%d) and no state in %s: its state is lost, rebuild it in a new generation", p.id, committed, cfg.Stage.State)}
		default:
			return fatalError{fmt.Errorf("the group is at offset %d and the state at %d: somebody moved the group's offset; move it back", committed, state)}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// stateOpen reports whether a transaction is open in a partition of the state topic.
func stateOpen(ctx context.Context, cfg *Config, id int32) (bool, error) {
	adm, closeAdm, err := admin(cfg.Client)
	if err != nil {
		return false, err
	}
	defer closeAdm()
	stable, err := listed(ctx, adm.ListCommittedOffsets, cfg.Stage.State, id)
	if err != nil {
		return false, err
	}
	end, err := listed(ctx, adm.ListEndOffsets, cfg.Stage.State, id)
	return stable < end, err
}

// stateOffset is the input offset that the state is at, noOffset without a state.
func stateOffset(ctx context.Context, cfg *Config, id int32) (int64, error) {
	records, err := loadState(ctx, cfg, id)
	if err != nil {
		return 0, err
	}
	h, err := headerOf(records, id)
	if err != nil || h == nil {
		return noOffset, err
	}
	return h.CommittedOffset, nil
}

// headerOf decodes the header among the records of a state; nil if there is none.
func headerOf(records map[string][]byte, id int32) (*goodhartv1.SnapshotHeader, error) {
	raw, ok := records[string(headerKey)]
	if !ok {
		return nil, nil
	}
	h := &goodhartv1.SnapshotHeader{}
	if err := h.UnmarshalVT(raw); err != nil {
		return nil, fatalError{fmt.Errorf("decode header of partition %d: %w", id, err)}
	}
	return h, nil
}

// groupOffsets asks for the group's offsets, waiting for transactions that are
// being committed.
func groupOffsets(ctx context.Context, cfg *Config) (kadm.OffsetResponses, error) {
	adm, closeAdm, err := admin(cfg.Client)
	if err != nil {
		return nil, err
	}
	defer closeAdm()
	offsets, err := adm.FetchOffsetsForTopics(kadm.RequireStable(ctx), cfg.Stage.Group, cfg.Stage.Input)
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("fetch offsets: %w", err)
	}
	return offsets, nil
}

// replay folds the input from the restart offset to the committed one without
// any output: it is all committed already.
func (p *partition) replay(ctx context.Context, cfg *Config, h *goodhartv1.SnapshotHeader, r replay) error {
	p.machine.Rewind(r.w, r.at)
	p.out.Silent = true
	p.applied = r.from
	span := span{topic: cfg.Stage.Input, partition: p.id, from: r.from, to: h.CommittedOffset}
	err := span.read(ctx, cfg.Client, func(batch []*kgo.Record) error {
		if err := p.fold(batch); err != nil {
			return fatalError{err}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("replay from %d to %d: %w", r.from, h.CommittedOffset, lost(cfg.Stage.Input, p.id, err))
	}
	p.applied = h.CommittedOffset
	if p.merge != nil {
		copy(p.merge.last, h.UpstreamW)
		if err := p.releaseDue(); err != nil {
			return err
		}
	}
	p.out.Silent = false
	p.machine.Resume()
	// It may end before the last applied record: in a merge, a record that every
	// snapshot holds can lie before the restart offset.
	if want := positionOf(h.Applied); p.position.Compare(want) > 0 {
		return fatalError{fmt.Errorf("the replay ended at %+v, the state at %+v: the input is not the one that was folded", p.position, want)}
	}
	p.position = positionOf(h.Applied)
	return nil
}

// lost makes an error fatal that says that input is gone for good.
func lost(topic string, partition int32, err error) error {
	if !errors.Is(err, kerr.OffsetOutOfRange) {
		return err
	}
	return fatalError{fmt.Errorf("%s/%d: %w: what must be folded next is no longer in the log, deleted by retention or with the topic; "+
		"keep the topic for longer than its folds may stand, and rebuild what is missing in a new generation", topic, partition, err)}
}

// topicID asks for the id of the input topic; nil if the brokers give none.
func topicID(ctx context.Context, cfg *Config) ([]byte, error) {
	adm, closeAdm, err := admin(cfg.Client)
	if err != nil {
		return nil, err
	}
	defer closeAdm()
	topics, err := adm.ListTopics(ctx, cfg.Stage.Input)
	if err == nil {
		err = topics.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", cfg.Stage.Input, err)
	}
	id := topics[cfg.Stage.Input].ID
	if id == (kadm.TopicID{}) {
		return nil, nil
	}
	return id[:], nil
}

// loadState reads a partition of the state topic to its end: the newest value
// of each key.
func loadState(ctx context.Context, cfg *Config, id int32) (map[string][]byte, error) {
	adm, closeAdm, err := admin(cfg.Client)
	if err != nil {
		return nil, err
	}
	defer closeAdm()
	state := map[string][]byte{}
	err = readState(ctx, cfg, adm, id, func(rec *kgo.Record) error {
		if rec.Value == nil {
			delete(state, string(rec.Key))
		} else {
			state[string(rec.Key)] = rec.Value
		}
		return nil
	})
	return state, err
}

// readState calls apply with the committed records of a partition of the state
// topic, to its end.
func readState(ctx context.Context, cfg *Config, adm *kadm.Client, id int32, apply func(*kgo.Record) error) error {
	// The group's offsets were fetched as stable, so an earlier owner's transactions
	// have ended; if a marker of theirs is still on its way here, the state found is
	// not at the group's offset, and disagree waits.
	end, err := listed(ctx, adm.ListCommittedOffsets, cfg.Stage.State, id)
	if err != nil {
		return err
	}
	start, err := listed(ctx, adm.ListStartOffsets, cfg.Stage.State, id)
	if err != nil {
		return err
	}
	span := span{topic: cfg.Stage.State, partition: id, from: start, to: end}
	return span.read(ctx, append(slices.Clone(cfg.Client), kgo.KeepControlRecords()), func(batch []*kgo.Record) error {
		for _, rec := range batch {
			if rec.Attrs.IsControl() {
				continue
			}
			if err := apply(rec); err != nil {
				return err
			}
		}
		return nil
	})
}

func logStart(ctx context.Context, cfg *Config, id int32) (int64, error) {
	adm, closeAdm, err := admin(cfg.Client)
	if err != nil {
		return 0, err
	}
	defer closeAdm()
	start, err := listed(ctx, adm.ListStartOffsets, cfg.Stage.Input, id)
	if err != nil {
		return 0, err
	}
	if start > 0 {
		return 0, fatalError{fmt.Errorf("%s/%d begins at offset %d and there is no state: what lies before is lost, start a new generation", cfg.Stage.Input, id, start)}
	}
	return 0, nil
}

// listed is a partition's offset of one kind, which list asks for: a method of kadm.Client.
func listed(ctx context.Context, list func(context.Context, ...string) (kadm.ListedOffsets, error), topic string, id int32) (int64, error) {
	offsets, err := list(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("list offsets: %w", err)
	}
	at, ok := offsets.Lookup(topic, id)
	if !ok {
		at.Err = kerr.UnknownTopicOrPartition
	}
	if at.Err != nil {
		return 0, fmt.Errorf("list offsets of %s/%d: %w", topic, id, at.Err)
	}
	return at.Offset, nil
}

func admin(opts []kgo.Opt) (*kadm.Client, func(), error) {
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, nil, fmt.Errorf("open client: %w", err)
	}
	return kadm.NewClient(cl), cl.Close, nil
}

// span is a range of offsets of a partition, [from, to).
type span struct {
	topic     string
	partition int32
	from, to  int64
}

// read calls apply with the committed records, in order. It ends at the offset, not at the
// last record: behind the last record may lie control records and gaps.
func (s span) read(ctx context.Context, client []kgo.Opt, apply func([]*kgo.Record) error) error {
	if s.from >= s.to {
		return nil
	}
	cl, err := kgo.NewClient(append(slices.Clone(client),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: {s.partition: kgo.NewOffset().At(s.from)}}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
	)...)
	if err != nil {
		return fmt.Errorf("open reader: %w", err)
	}
	defer cl.Close()
	for next := s.from; next < s.to; {
		pollCtx, cancel := context.WithTimeout(ctx, readStall)
		fetches := cl.PollFetches(pollCtx)
		stalled := pollCtx.Err() != nil
		cancel()
		if err := ctx.Err(); err != nil {
			return err
		}
		if stalled {
			return fmt.Errorf("no record within %v at offset %d of %d", readStall, next, s.to)
		}
		if err := fetches.Err(); err != nil {
			return err
		}
		var batch []*kgo.Record
		fetches.EachRecord(func(rec *kgo.Record) {
			if next = rec.Offset + 1; rec.Offset < s.to {
				batch = append(batch, rec)
			}
		})
		if err := apply(batch); err != nil {
			return err
		}
	}
	return nil
}
