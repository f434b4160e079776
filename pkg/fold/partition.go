package fold

import (
	"crypto/sha256"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/otel/trace"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/schemas"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// maxOutput is the largest output that is produced; a larger one becomes a
// dead letter, deterministically, before Kafka can refuse it.
const maxOutput = 512 << 10

// watermarkBody is a Fact or a Feature whose kind (field 4) is 1, WATERMARK.
var watermarkBody = []byte{0x20, 0x01}

// partition is one partition's fold: its machine, its place in the input, and
// what it emitted since the last commit. It is used by one goroutine at a time.
type partition struct {
	id     int32
	source []byte // id of the input topic; nil where the brokers give none
	stage  *Stage
	count  func(topic string) int32

	machine machine.Machine
	merge   *merge         // nil where records are applied in the order of offsets
	in      machine.Record // being applied; as an argument it would be garbage
	out     machine.Outputs

	// applied is the offset after the last record folded; equal to the committed
	// offset between transactions.
	applied int64
	// position is that of the last record the machine applied.
	position machine.Position
	// refused are the offsets of records that became dead letters and that a
	// restore would read again.
	refused []int64
	// nextSeq is the next stamp number per partition of the stamped topic.
	nextSeq []uint64
	// announced is the last full second of the watermark told downstream.
	announced int64

	// pending is what must be in the next committed transaction, in order; headed
	// says that it ends with the header of a transaction about to end.
	pending []*kgo.Record
	headed  bool
	blanks  []kgo.Record
	// polled is the offset after the last record seen in this transaction. It
	// lies behind applied while an aborted transaction is read again.
	polled int64
	// snapshots writes the machine's state piece by piece.
	snapshots snapshotter

	traced bool // whether anybody asks for followed
	// followed leads to the events of this transaction that traces follow.
	followed []trace.Link

	// fresh and redone count the records folded for the first time, and read again
	// after an abort, since they were last told.
	fresh, redone int
	restored      int       // shards loaded from snapshots
	observed      time.Time // when Stage.Observe last saw it
	keys          int       // what it said
}

func newPartition(cfg *Config, id int32) *partition {
	p := &partition{
		id:        id,
		stage:     &cfg.Stage,
		traced:    cfg.Tracer != nil,
		count:     cfg.Partitions,
		machine:   cfg.Stage.New(id),
		announced: math.MinInt64,
	}
	if cfg.Stage.Upstreams > 0 {
		p.merge = newMerge(cfg.Stage.Upstreams, cfg.MergeMemory, cfg.SpillDir)
	}
	if cfg.Stage.Stamped != "" {
		p.nextSeq = make([]uint64, cfg.Partitions(cfg.Stage.Stamped))
		for i := range p.nextSeq {
			p.nextSeq[i] = 1
		}
	}
	if p.machine.Shards() == 1 {
		p.snapshots = newWhole(cfg)
	} else {
		p.snapshots = newRolling(cfg, p.machine.Shards())
	}
	return p
}

// fold applies records in the order of their offsets; those that were folded
// before an abort pass without effect.
func (p *partition) fold(records []*kgo.Record) error {
	for _, rec := range records {
		p.polled = rec.Offset + 1
		if p.traced && len(rec.Headers) > 0 {
			p.follow(rec)
		}
		if rec.Offset < p.applied {
			p.redone++
			continue
		}
		p.fresh++
		p.applied = rec.Offset + 1
		if err := p.take(rec); err != nil {
			return err
		}
	}
	return p.releaseDue()
}

// take hands a record to the machine, or to the merge that will.
func (p *partition) take(rec *kgo.Record) error {
	if p.merge != nil {
		return p.merge.push(rec)
	}
	p.step(machine.Record{
		Position:  machine.Position{Seq: uint64(rec.Offset) + 1},
		Time:      rec.Timestamp.UnixMilli(),
		Partition: rec.Partition,
		Offset:    rec.Offset,
		Key:       rec.Key,
		Value:     rec.Value,
	})
	return nil
}

func (p *partition) releaseDue() error {
	if p.merge == nil {
		return nil
	}
	err := p.merge.release(func(h held) {
		p.step(machine.Record{
			Position:  h.pos,
			Time:      h.time,
			Partition: p.id,
			Offset:    h.offset,
			Key:       h.key,
			Value:     h.value,
		})
	})
	if err != nil {
		return fmt.Errorf("merge partition %d: %w", p.id, err)
	}
	return nil
}

func (p *partition) step(rec machine.Record) {
	p.position = rec.Position
	if p.out.Silent && p.wasRefused(rec.Offset) {
		return
	}
	p.in = rec
	p.machine.Step(&p.in, &p.out)
	if p.out.Silent {
		return
	}
	outputs := p.out.Records()
	for i := range outputs {
		if outputs[i].Topic == p.stage.Dead {
			p.refuse(rec.Offset)
		}
		p.address(&outputs[i])
	}
	p.out.Reset()
	if p.stage.Stamped != "" {
		p.announce()
	}
}

// address turns an output into records to produce.
func (p *partition) address(o *machine.Output) {
	if len(o.Body()) > maxOutput {
		p.bury(o)
		return
	}
	n := int32(len(p.nextSeq))
	if o.Topic != p.stage.Stamped {
		n = p.count(o.Topic)
	}
	switch o.Partition {
	case machine.EveryPartition:
		for to := range n {
			p.emit(o, to, true)
		}
	case machine.ByKey:
		p.emit(o, schemas.Partition(o.Key, n), false)
	default:
		p.emit(o, o.Partition%n, false)
	}
}

func (p *partition) emit(o *machine.Output, to int32, clone bool) {
	value := o.Body()
	if o.Topic == p.stage.Stamped {
		value = o.Stamped(uint32(p.id), p.nextSeq[to], clone)
		p.nextSeq[to]++
	}
	rec := p.blank()
	rec.Topic, rec.Partition, rec.Key, rec.Value = o.Topic, to, o.Key, value
	for _, h := range o.Headers {
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	p.pending = append(p.pending, rec)
}

// blanks is how many records are allocated at a time.
const blanks = 64

// blank returns an empty record.
func (p *partition) blank() *kgo.Record {
	if len(p.blanks) == 0 {
		p.blanks = make([]kgo.Record, blanks)
	}
	rec := &p.blanks[0]
	p.blanks = p.blanks[1:]
	return rec
}

// bury puts a dead letter in the place of an output that Kafka would refuse.
func (p *partition) bury(o *machine.Output) {
	hash := sha256.Sum256(o.Body())
	letter := &goodhartv1.DeadLetter{
		Stage:     stageOf[p.stage.Name],
		Reason:    "output_too_large",
		Detail:    fmt.Sprintf("an output of %d bytes for %s exceeds %d", len(o.Body()), o.Topic, maxOutput),
		TimeMs:    o.W,
		Hash:      hash[:],
		SizeBytes: int64(len(o.Body())),
		Topic:     p.stage.Input,
		Partition: p.id,
		Key:       o.Key,
	}
	var dead machine.Outputs
	dead.Emit(p.stage.Dead, machine.ByKey, o.Key, o.W, letter)
	p.address(&dead.Records()[0])
}

var stageOf = map[string]goodhartv1.Stage{
	"ledger":  goodhartv1.Stage_STAGE_LEDGER,
	"subject": goodhartv1.Stage_STAGE_SUBJECT,
	"tenant":  goodhartv1.Stage_STAGE_TENANT,
}

// announce tells every downstream partition the watermark when it has crossed a
// full second.
func (p *partition) announce() {
	w := p.machine.W()
	if w == math.MinInt64 {
		return
	}
	second := floorDiv(w, 1000)
	if p.announced != math.MinInt64 && second <= p.announced {
		return
	}
	p.announced = second
	p.out.EmitBytes(p.stage.Stamped, machine.EveryPartition, nil, w, watermarkBody, nil)
	p.address(&p.out.Records()[0])
	p.out.Reset()
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// restartOffset is the smallest offset whose record the machine has not applied.
func (p *partition) restartOffset() int64 {
	if p.merge == nil {
		return p.applied
	}
	return p.merge.oldest(p.applied)
}

// header is the state record that goes into every transaction.
func (p *partition) header() *goodhartv1.SnapshotHeader {
	h := &goodhartv1.SnapshotHeader{
		Format:          snapshotFormat,
		CommittedOffset: p.applied,
		Applied:         positionProto(p.position),
		NextSeq:         p.nextSeq,
		AnnouncedW:      p.announced,
		Machine:         p.machine.AppendHeader(nil),
		InputTopicId:    p.source,
	}
	if p.merge != nil {
		h.UpstreamW = p.merge.last
	}
	p.snapshots.describe(h)
	h.RefusedOffsets = p.refusedFrom(h.RestartOffset)
	return h
}

// aborted makes the pending records of an aborted transaction ready for the next
// one, which has a header of its own. Pieces of state stay, the snapshots count
// them as written.
func (p *partition) aborted() {
	if p.headed {
		p.pending, p.headed = p.pending[:len(p.pending)-1], false
	}
	for i, rec := range p.pending { // without the marks that the client left on them
		p.pending[i] = &kgo.Record{Topic: rec.Topic, Partition: rec.Partition, Key: rec.Key, Value: rec.Value, Headers: rec.Headers}
	}
}

// committed forgets what was pending.
func (p *partition) committed() {
	clear(p.pending)
	p.pending, p.headed = p.pending[:0], false
	p.out.Recycle()
}

func positionProto(pos machine.Position) *goodhartv1.Position {
	return &goodhartv1.Position{W: pos.W, P: pos.P, Seq: pos.Seq}
}

func positionOf(pos *goodhartv1.Position) machine.Position {
	return machine.Position{W: pos.GetW(), P: pos.GetP(), Seq: pos.GetSeq()}
}

func (p *partition) close() {
	if p.merge != nil {
		p.merge.close()
	}
}
