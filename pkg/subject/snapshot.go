package subject

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/machine"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// AppendShard appends a goodhart.v1.SubjectShard, nothing for an empty shard.
func (f *Fold) AppendShard(dst []byte, shard int) []byte {
	subjects := make([]*subject, 0, len(f.shards[shard]))
	for _, s := range f.shards[shard] {
		subjects = append(subjects, s)
	}
	slices.SortFunc(subjects, func(a, b *subject) int { return strings.Compare(a.key, b.key) })
	var m goodhartv1.SubjectShard
	for _, s := range subjects {
		m.Subjects = append(m.Subjects, s.save())
	}
	return appendMessage(dst, &m)
}

// save returns the state of a subject, panes in order of (due, start).
func (s *subject) save() *goodhartv1.SubjectState {
	m := &goodhartv1.SubjectState{Key: s.key}
	if s.known {
		m.Habit = s.habit.Save()
	}
	for _, p := range s.panes {
		m.Panes = append(m.Panes, &goodhartv1.SubjectPane{
			StartMs:      p.start,
			DueMs:        p.due,
			Delta:        p.delta,
			IdentityType: p.identity,
			Role:         p.role,
			Cells:        p.cells,
		})
	}
	slices.SortFunc(m.Panes, func(a, b *goodhartv1.SubjectPane) int {
		return cmp.Or(cmp.Compare(a.DueMs, b.DueMs), cmp.Compare(a.StartMs, b.StartMs))
	})
	return m
}

// LoadShard replaces a shard by what AppendShard wrote.
func (f *Fold) LoadShard(shard int, data []byte) error {
	var m goodhartv1.SubjectShard
	if err := m.UnmarshalVT(data); err != nil {
		return fmt.Errorf("decode subject shard %d: %w", shard, err)
	}
	for _, state := range m.Subjects {
		if at := machine.Shard([]byte(state.Key)); at != shard {
			return fmt.Errorf("load subject shard %d: a key of shard %d", shard, at)
		}
	}
	f.empty(shard)
	for _, state := range m.Subjects {
		s := f.newSubject([]byte(state.Key), shard)
		for _, p := range state.Panes {
			f.restore(s, p)
		}
		if state.Habit == nil {
			continue
		}
		s.known = true
		if err := s.habit.Load(state.Habit); err != nil {
			return fmt.Errorf("load subject shard %d: %w", shard, err)
		}
		f.schedule(s)
	}
	return nil
}

// empty forgets a shard.
func (f *Fold) empty(shard int) {
	f.queue.remove(func(p *pane) bool { return p.subject.shard == shard })
	f.calendar.remove(func(s *subject) bool { return s.shard == shard })
	for _, s := range f.shards[shard] {
		f.stats.Subjects--
		f.stats.OpenPanes -= int64(len(s.panes))
	}
	clear(f.shards[shard])
}

// restore adds a saved pane.
func (f *Fold) restore(s *subject, saved *goodhartv1.SubjectPane) {
	p := s.blank()
	p.subject, p.start, p.due, p.delta = s, saved.StartMs, saved.DueMs, saved.Delta
	p.identity, p.role = saved.IdentityType, saved.Role
	for _, c := range saved.Cells {
		p.cells = append(p.cells, c)
		p.reindex(c)
	}
	at, _ := slices.BinarySearchFunc(s.panes, p.start, byStart)
	s.panes = slices.Insert(s.panes, at, p)
	f.queue.push(p.due, p)
	f.stats.OpenPanes++
}

// AppendHeader appends the watermark, which stands still during a replay.
func (f *Fold) AppendHeader(dst []byte) []byte {
	w := f.w
	if f.replaying {
		w = f.headerW
	}
	return appendMessage(dst, &goodhartv1.SubjectHeader{W: w})
}

// LoadHeader replaces the watermark. An empty data is the empty state.
func (f *Fold) LoadHeader(data []byte) error {
	f.w = math.MinInt64
	if len(data) > 0 {
		var m goodhartv1.SubjectHeader
		if err := m.UnmarshalVT(data); err != nil {
			return fmt.Errorf("decode subject header: %w", err)
		}
		f.w = m.W
	}
	f.headerW = f.w
	return nil
}

// appendMessage appends the bytes of m.
func appendMessage(dst []byte, m machine.Message) []byte {
	n := m.SizeVT()
	dst = slices.Grow(dst, n)
	at := len(dst)
	dst = dst[:at+n]
	if _, err := m.MarshalToSizedBufferVT(dst[at:]); err != nil {
		panic("subject: message does not fill its own size") // a bug in generated code
	}
	return dst
}
