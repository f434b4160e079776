package fold

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// snapshotFormat is raised when snapshots of an older program cannot be read
// any more.
const snapshotFormat = 1

// maxChunk is the largest piece of a snapshot in one record.
const maxChunk = 512 << 10

// headerKey is the key of the header record in a state topic.
var headerKey = []byte("h")

// snapshotter decides which pieces of a machine's state go into a transaction.
type snapshotter interface {
	// next returns the state records for the transaction that ends now. With
	// all, it returns whatever makes the next restore start here, unless that is
	// too much for a transaction.
	next(p *partition, now time.Time, all bool) ([]*kgo.Record, error)
	// describe adds to the header what a restore needs.
	describe(h *goodhartv1.SnapshotHeader)
	// begin tells an empty partition where its input starts.
	begin(offset int64)
	// load reads the newest records of a state partition, by key, into the
	// machine, and returns where the replay starts.
	load(p *partition, h *goodhartv1.SnapshotHeader, records map[string][]byte) (replay, error)
	// written says when the oldest piece in force was written, as far as this
	// process knows, and how many bytes all of them have.
	written() (oldest time.Time, size int)
}

// replay is where and how a restored machine catches up.
type replay struct {
	from   int64              // input offset
	w      int64              // watermark there
	at     []machine.Position // per shard: already in its snapshot
	shards int                // loaded
}

// handoffTime is how long a handoff may write at the snapshots' rate: a state that
// takes longer is left to its snapshots, and the next owner replays what lies
// behind them.
const handoffTime = 2 * time.Second

// over is how long size bytes take at rate bytes per second.
func over(size, rate int) time.Duration {
	return time.Duration(float64(size) / float64(rate) * float64(time.Second))
}

// rolling snapshots shard by shard, each at its own position, all of them once
// per period; the period grows with the state so that the rate stays bounded.
type rolling struct {
	period time.Duration
	rate   int
	topic  string

	at      []machine.Position
	w       []int64
	restart []int64
	chunks  []int
	sizes   []int // encoded, as last written
	size    int   // sum of sizes

	cursor     int
	cycleStart time.Time
	complete   time.Time     // start of the last cycle that is complete
	stretch    time.Duration // period of the current cycle
}

func newRolling(cfg *Config, shards int) *rolling {
	s := &rolling{
		period:  cfg.SnapshotPeriod,
		rate:    cfg.SnapshotRate,
		topic:   cfg.Stage.State,
		at:      make([]machine.Position, shards),
		w:       make([]int64, shards),
		restart: make([]int64, shards),
		chunks:  make([]int, shards),
		sizes:   make([]int, shards),
		stretch: cfg.SnapshotPeriod,
	}
	for i := range s.w {
		s.w[i] = math.MinInt64
	}
	return s
}

func (s *rolling) begin(offset int64) {
	for i := range s.restart {
		s.restart[i] = offset
	}
}

func (s *rolling) next(p *partition, now time.Time, all bool) ([]*kgo.Record, error) {
	if all = all && over(s.size, s.rate) <= handoffTime; all {
		s.cursor, s.cycleStart = len(s.at), time.Time{}
	}
	if s.cursor == len(s.at) || s.cycleStart.IsZero() {
		s.stretch = max(s.period, over(s.size, s.rate))
		if !s.cycleStart.IsZero() && now.Sub(s.cycleStart) < s.stretch {
			return nil, nil
		}
		s.cursor, s.cycleStart = 0, now
	}
	// The first transaction of a cycle already takes a share.
	due := 1 + int(float64(len(s.at))*float64(now.Sub(s.cycleStart))/float64(s.stretch))
	if all {
		due = len(s.at)
	}
	var records []*kgo.Record
	for ; s.cursor < min(due, len(s.at)); s.cursor++ {
		shard, err := s.shard(p, s.cursor)
		if err != nil {
			return nil, err
		}
		records = append(records, shard...)
	}
	if s.cursor == len(s.at) {
		s.complete = s.cycleStart
	}
	return records, nil
}

func (s *rolling) written() (oldest time.Time, size int) { return s.complete, s.size }

// resize keeps the sum of the sizes.
func (s *rolling) resize(shard, size int) {
	s.size += size - s.sizes[shard]
	s.sizes[shard] = size
}

func (s *rolling) shard(p *partition, shard int) ([]*kgo.Record, error) {
	s.at[shard] = p.position
	s.w[shard] = p.machine.W()
	s.restart[shard] = p.restartOffset()
	data := p.machine.AppendShard(nil, shard)
	s.resize(shard, len(data))
	records, err := chunk(s.topic, p.id, "s/"+strconv.Itoa(shard), data, &goodhartv1.SnapshotChunk{
		Format:        snapshotFormat,
		Position:      positionProto(p.position),
		W:             s.w[shard],
		RestartOffset: s.restart[shard],
	})
	if err != nil {
		return nil, err
	}
	n := len(records)
	for i := n; i < s.chunks[shard]; i++ {
		records = append(records, &kgo.Record{Topic: s.topic, Partition: p.id, Key: chunkKey("s/"+strconv.Itoa(shard), i)})
	}
	s.chunks[shard] = n
	return records, nil
}

func (s *rolling) describe(h *goodhartv1.SnapshotHeader) {
	h.RestartOffset = math.MaxInt64
	for _, offset := range s.restart {
		h.RestartOffset = min(h.RestartOffset, offset)
	}
}

func (s *rolling) load(p *partition, h *goodhartv1.SnapshotHeader, records map[string][]byte) (replay, error) {
	loaded := 0
	for shard := range s.at {
		first, data, n, err := unchunk("s/"+strconv.Itoa(shard), records)
		if err != nil {
			return replay{}, fmt.Errorf("shard %d: %w", shard, err)
		}
		if first == nil {
			s.restart[shard] = h.RestartOffset
			continue
		}
		if err := p.machine.LoadShard(shard, data); err != nil {
			return replay{}, fmt.Errorf("shard %d: %w", shard, err)
		}
		s.at[shard], s.w[shard] = positionOf(first.Position), first.W
		s.restart[shard], s.chunks[shard] = first.RestartOffset, n
		s.resize(shard, len(data))
		loaded++
	}
	r := replay{from: h.RestartOffset, w: math.MaxInt64, at: s.at, shards: loaded}
	for shard, offset := range s.restart {
		if offset == r.from {
			r.w = min(r.w, s.w[shard])
		}
	}
	return r, nil
}

// whole snapshots a machine whose keys are not independent: the state at one
// position, its chunks spread over the following transactions under the epoch
// that is not in force, which the header adopts with the last chunk.
type whole struct {
	period time.Duration
	rate   int
	topic  string

	epoch    uint64 // in force; 0: none
	position machine.Position
	w        int64
	restart  int64
	chunks   [2]int // how many keys per parity of the epoch may have a value

	writing     []*kgo.Record // rest of the coming epoch
	coming      *goodhartv1.SnapshotChunk
	comingCount int
	started     time.Time
	sent        int       // bytes of the coming epoch
	complete    time.Time // start of the epoch in force
	bytes       int       // of the newest epoch
}

func newWhole(cfg *Config) *whole {
	return &whole{period: cfg.SnapshotPeriod, rate: cfg.SnapshotRate, topic: cfg.Stage.State, w: math.MinInt64}
}

func (s *whole) begin(offset int64) { s.restart = offset }

func (s *whole) next(p *partition, now time.Time, all bool) ([]*kgo.Record, error) {
	if all = all && over(s.bytes, s.rate) <= handoffTime; all {
		s.writing, s.coming = nil, nil
	}
	if s.coming == nil {
		stretch := max(s.period, over(s.bytes, s.rate))
		if !all && !s.started.IsZero() && now.Sub(s.started) < stretch {
			return nil, nil
		}
		if err := s.encode(p, now); err != nil {
			return nil, err
		}
	}
	// A chunk goes out once the rate has paid for those before it, however short
	// or long the transactions are.
	n := 0
	for ; n < len(s.writing) && (all || over(s.sent, s.rate) <= now.Sub(s.started)); n++ {
		s.sent += len(s.writing[n].Value)
	}
	records := s.writing[:n]
	s.writing = s.writing[n:]
	if len(s.writing) == 0 {
		s.adopt()
	}
	return records, nil
}

func (s *whole) encode(p *partition, now time.Time) error {
	s.started, s.sent = now, 0
	data := p.machine.AppendShard(nil, 0)
	s.bytes = len(data)
	s.coming = &goodhartv1.SnapshotChunk{
		Format:        snapshotFormat,
		Position:      positionProto(p.position),
		W:             p.machine.W(),
		RestartOffset: p.restartOffset(),
	}
	parity := (s.epoch + 1) % 2
	prefix := wholePrefix(parity)
	records, err := chunk(s.topic, p.id, prefix, data, s.coming)
	if err != nil {
		return err
	}
	s.comingCount = len(records)
	for i := s.comingCount; i < s.chunks[parity]; i++ {
		records = append(records, &kgo.Record{Topic: s.topic, Partition: p.id, Key: chunkKey(prefix, i)})
	}
	// Until the last of them is out, an abandoned epoch leaves pieces behind.
	s.chunks[parity] = max(s.chunks[parity], s.comingCount)
	s.writing = records
	return nil
}

func (s *whole) adopt() {
	s.epoch++
	s.position, s.w, s.restart = positionOf(s.coming.Position), s.coming.W, s.coming.RestartOffset
	s.coming, s.complete = nil, s.started
	s.chunks[s.epoch%2] = s.comingCount
}

func (s *whole) written() (oldest time.Time, size int) { return s.complete, s.bytes }

func (s *whole) describe(h *goodhartv1.SnapshotHeader) {
	h.RestartOffset = s.restart
	h.Epoch = s.epoch
	h.EpochPosition = positionProto(s.position)
}

func (s *whole) load(p *partition, h *goodhartv1.SnapshotHeader, records map[string][]byte) (replay, error) {
	s.restart = h.RestartOffset
	// An abandoned epoch leaves gaps.
	for key := range records {
		var parity, i int
		if n, _ := fmt.Sscanf(key, "w/%d/%d", &parity, &i); n == 2 && parity < len(s.chunks) {
			s.chunks[parity] = max(s.chunks[parity], i+1)
		}
	}
	if h.Epoch == 0 {
		return replay{from: h.RestartOffset, w: math.MinInt64, at: make([]machine.Position, 1)}, nil
	}
	first, data, _, err := unchunk(wholePrefix(h.Epoch), records)
	if err != nil {
		return replay{}, err
	}
	if first == nil || positionOf(first.Position) != positionOf(h.EpochPosition) {
		return replay{}, fmt.Errorf("snapshot of epoch %d is missing", h.Epoch)
	}
	if err := p.machine.LoadShard(0, data); err != nil {
		return replay{}, err
	}
	s.epoch, s.position, s.w, s.bytes = h.Epoch, positionOf(first.Position), first.W, len(data)
	return replay{from: h.RestartOffset, w: first.W, at: []machine.Position{s.position}, shards: 1}, nil
}

// wholePrefix begins the keys of the pieces of an epoch.
func wholePrefix(epoch uint64) string { return "w/" + strconv.FormatUint(epoch%2, 10) }

func chunkKey(prefix string, i int) []byte { return []byte(prefix + "/" + strconv.Itoa(i)) }

// chunk cuts data into records of at most maxChunk, at least one; the first
// carries the count and what like holds.
func chunk(topic string, partition int32, prefix string, data []byte, like *goodhartv1.SnapshotChunk) ([]*kgo.Record, error) {
	count := max(1, (len(data)+maxChunk-1)/maxChunk)
	records := make([]*kgo.Record, count)
	for i := range records {
		piece := &goodhartv1.SnapshotChunk{
			Format: like.Format, Position: like.Position, W: like.W, RestartOffset: like.RestartOffset,
			Data: data[i*maxChunk : min(len(data), (i+1)*maxChunk)],
		}
		if i == 0 {
			piece.Count = uint32(count)
		}
		value, err := piece.MarshalVT()
		if err != nil {
			return nil, fmt.Errorf("encode snapshot: %w", err)
		}
		records[i] = &kgo.Record{Topic: topic, Partition: partition, Key: chunkKey(prefix, i), Value: value}
	}
	return records, nil
}

// unchunk puts the pieces under prefix together; first is nil if there are none.
func unchunk(prefix string, records map[string][]byte) (first *goodhartv1.SnapshotChunk, data []byte, count int, err error) {
	for i := 0; first == nil || i < count; i++ {
		value, ok := records[string(chunkKey(prefix, i))]
		if !ok && i == 0 {
			return nil, nil, 0, nil
		}
		if !ok {
			return nil, nil, 0, fmt.Errorf("chunk %d of %d is missing", i, count)
		}
		piece := &goodhartv1.SnapshotChunk{}
		if err := piece.UnmarshalVT(value); err != nil {
			return nil, nil, 0, fmt.Errorf("decode chunk %d: %w", i, err)
		}
		if piece.Format != snapshotFormat {
			return nil, nil, 0, fmt.Errorf("snapshot format %d, this program reads %d", piece.Format, snapshotFormat)
		}
		if first == nil {
			first, count = piece, int(piece.Count)
		}
		if positionOf(piece.Position) != positionOf(first.Position) {
			return nil, nil, 0, fmt.Errorf("chunk %d is of another snapshot", i)
		}
		data = append(data, piece.Data...)
	}
	return first, data, count, nil
}
