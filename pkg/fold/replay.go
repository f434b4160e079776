package fold

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// History is what a replay rests on.
type History struct {
	// From is the offset of the first record that was folded, To the end of the log.
	From, To int64
	// Snapshot: it began with the fold's own state as of the watermark W; otherwise
	// with the empty state.
	Snapshot bool
	W        int64
	// Whole: nothing that the state at From rests on is missing. It is false where
	// the log has been cut and no snapshot stands for what is gone.
	Whole bool
}

// Replay folds a partition of the input again, for a reader: it joins no group,
// commits nothing and drops what the machine emits. Whoever wants to see records
// and outputs wraps the machine in Stage.New. It stops after the batch in which
// enough says so, or at the last stable offset.
//
// It begins with the oldest record that the log still holds. If that is not the
// first, it begins with the newest snapshot in the state topic whose watermark
// lies before the given one, ms; without such a snapshot with what there is, and
// then History.Whole is false. For machines that are saved as a whole alone: the
// header of the others holds more than their watermark.
func Replay(ctx context.Context, cfg Config, partition int32, before int64, enough func() bool) (History, error) {
	cfg.setDefaults()
	p := newPartition(&cfg, partition)
	defer p.close()
	if p.machine.Shards() != 1 {
		return History{}, fmt.Errorf("replay %s fold: its state is in shards", cfg.Stage.Name)
	}
	h, err := logBounds(ctx, &cfg, partition)
	if err != nil {
		return h, err
	}
	if h.Whole = h.From == 0; !h.Whole {
		s, err := snapshotBefore(ctx, &cfg, partition, before, h.From)
		if err != nil {
			return h, err
		}
		if s != nil {
			if err := p.machine.LoadShard(0, s.data); err != nil {
				return h, fmt.Errorf("load snapshot: %w", err)
			}
			p.machine.Rewind(s.w, []machine.Position{s.position})
			h.From, h.Snapshot, h.W, h.Whole = s.restart, true, s.position.W, true
		}
	}
	p.applied = h.From
	errEnough := errors.New("enough")
	span := span{topic: cfg.Stage.Input, partition: partition, from: h.From, to: h.To}
	err = span.read(ctx, append(cfg.Client[:len(cfg.Client):len(cfg.Client)], kgo.KeepControlRecords()), func(batch []*kgo.Record) error {
		kept := batch[:0]
		for _, rec := range batch {
			if !rec.Attrs.IsControl() {
				kept = append(kept, rec)
			}
		}
		if err := p.fold(kept); err != nil {
			return err
		}
		p.committed() // nobody is told
		if enough() {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return h, fmt.Errorf("replay %s/%d from %d to %d: %w", cfg.Stage.Input, partition, h.From, h.To, err)
	}
	return h, nil
}

// logBounds asks what the log holds of a partition.
func logBounds(ctx context.Context, cfg *Config, partition int32) (History, error) {
	adm, closeAdm, err := admin(cfg.Client)
	if err != nil {
		return History{}, err
	}
	defer closeAdm()
	start, err := listed(ctx, adm.ListStartOffsets, cfg.Stage.Input, partition)
	if err != nil {
		return History{}, err
	}
	end, err := listed(ctx, adm.ListCommittedOffsets, cfg.Stage.Input, partition)
	if err != nil {
		return History{}, err
	}
	return History{From: start, To: end, W: math.MinInt64}, nil
}

// kept is a snapshot that the state topic still holds.
type kept struct {
	position machine.Position
	w        int64
	restart  int64
	data     []byte
}

// snapshotBefore returns the newest snapshot whose watermark lies before a time
// and whose input begins at an offset or later; nil if there is none. The topic
// is compacted: what it holds beside the newest one depends on when it was last
// cleaned.
func snapshotBefore(ctx context.Context, cfg *Config, partition int32, before, oldest int64) (*kept, error) {
	adm, closeAdm, err := admin(cfg.Client)
	if err != nil {
		return nil, err
	}
	defer closeAdm()
	found, err := findSnapshot(ctx, cfg, adm, partition, before, oldest)
	if err != nil {
		return nil, fmt.Errorf("read snapshots of partition %d: %w", partition, err)
	}
	return found, nil
}

func findSnapshot(ctx context.Context, cfg *Config, adm *kadm.Client, partition int32, before, oldest int64) (*kept, error) {
	records := map[string][]byte{}
	var found *kept
	var epoch uint64
	err := readState(ctx, cfg, adm, partition, func(rec *kgo.Record) error {
		if rec.Value == nil {
			delete(records, string(rec.Key))
			return nil
		}
		records[string(rec.Key)] = rec.Value
		if string(rec.Key) != string(headerKey) {
			return nil
		}
		h := &goodhartv1.SnapshotHeader{}
		if err := h.UnmarshalVT(rec.Value); err != nil {
			return fmt.Errorf("decode header: %w", err)
		}
		at := positionOf(h.EpochPosition)
		if h.Epoch == 0 || h.Epoch == epoch || h.Format != snapshotFormat || at.W >= before || h.RestartOffset < oldest {
			return nil
		}
		epoch = h.Epoch
		first, data, _, err := unchunk(wholePrefix(h.Epoch), records)
		if err != nil || first == nil || positionOf(first.Position) != at {
			return nil //nolint:nilerr // compaction has taken a piece of it
		}
		found = &kept{position: at, w: first.W, restart: h.RestartOffset, data: data}
		return nil
	})
	return found, err
}
