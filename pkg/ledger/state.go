package ledger

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// appender is what the generated messages offer.
type appender interface {
	SizeVT() int
	MarshalToSizedBufferVT(dst []byte) (int, error)
}

func appendMessage(dst []byte, m appender) []byte {
	n := m.SizeVT()
	dst = slices.Grow(dst, n)
	dst = dst[:len(dst)+n]
	if _, err := m.MarshalToSizedBufferVT(dst[len(dst)-n:]); err != nil {
		panic("ledger: encode state: " + err.Error()) // a bug in generated code
	}
	return dst
}

// AppendHeader appends the header state as LedgerHeader.
func (f *Fold) AppendHeader(dst []byte) []byte {
	h := &goodhartv1.LedgerHeader{Tallies: f.tallies.sorted()}
	w := f.w
	if f.replaying {
		w = f.headerW
	}
	if w != math.MinInt64 {
		h.W = &w
	}
	for _, name := range slices.Sorted(maps.Keys(f.collectors)) {
		h.Collectors = append(h.Collectors, f.collectors[name])
	}
	return appendMessage(dst, h)
}

// LoadHeader replaces the header state.
func (f *Fold) LoadHeader(data []byte) error {
	h := &goodhartv1.LedgerHeader{}
	if err := h.UnmarshalVT(data); err != nil {
		return fmt.Errorf("decode ledger header: %w", err)
	}
	w := int64(math.MinInt64)
	if h.W != nil {
		w = *h.W
	}
	f.w, f.headerW = w, w
	f.tallies.clear()
	for _, t := range h.Tallies {
		f.tallies.put(t)
	}
	clear(f.collectors)
	for _, c := range h.Collectors {
		f.collectors[c.Collector] = c
	}
	return nil
}

// AppendShard appends the state of a shard as LedgerShard; nothing for an empty
// shard.
func (f *Fold) AppendShard(dst []byte, index int) []byte {
	s := &f.shards[index]
	m := &goodhartv1.LedgerShard{RecordMs: s.now}
	if s.seen.newest != 0 {
		m.Seen = &goodhartv1.LedgerSeen{
			NewestHour: s.seen.newest, OldestHour: s.seen.oldest, ForgottenMs: s.seen.forgotten,
		}
		m.Seen.Hashes, m.Seen.Ages = s.seen.encode()
	}
	m.Conversations = slices.Sorted(maps.Keys(s.conversations))
	for _, key := range m.Conversations {
		c := s.conversations[key]
		m.Classes = append(m.Classes, byte(c.class))
		m.ConversationHours = append(m.ConversationHours, c.hour)
	}
	for _, key := range slices.Sorted(maps.Keys(s.holds)) {
		h := &goodhartv1.LedgerHold{Conversation: key, DueMs: s.holds[key].due}
		for _, rec := range s.holds[key].records {
			h.Records = append(h.Records, &goodhartv1.LedgerHeld{AcceptedMs: rec.accepted, Event: rec.event})
		}
		m.Holds = append(m.Holds, h)
	}
	for _, o := range s.sortedObjects() {
		m.Objects = append(m.Objects, o.encode())
	}
	return appendMessage(dst, m)
}

// sortedObjects returns each object once, by id.
func (s *shard) sortedObjects() []*object {
	all := make([]*object, 0, len(s.objects))
	for name, o := range s.objects {
		if name == o.id {
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b *object) int { return cmp.Compare(a.id, b.id) })
	return all
}

// LoadShard replaces the state of a shard.
func (f *Fold) LoadShard(index int, data []byte) error {
	m := &goodhartv1.LedgerShard{}
	if err := m.UnmarshalVT(data); err != nil {
		return fmt.Errorf("decode ledger shard %d: %w", index, err)
	}
	s := &f.shards[index]
	s.reset(index)
	f.stale = true
	if err := s.load(m); err != nil {
		s.reset(index)
		return fmt.Errorf("load ledger shard %d: %w", index, err)
	}
	return nil
}

func (s *shard) load(m *goodhartv1.LedgerShard) error {
	s.now = m.RecordMs
	if seen := m.Seen; seen != nil {
		s.seen.newest, s.seen.oldest, s.seen.forgotten = seen.NewestHour, seen.OldestHour, seen.ForgottenMs
		if err := s.seen.load(seen.Hashes, seen.Ages); err != nil {
			return fmt.Errorf("seen ids: %w", err)
		}
	}
	n := len(m.Conversations)
	if len(m.Classes) != n || len(m.ConversationHours) != n {
		return fmt.Errorf("conversations: %d keys, %d classes, %d hours", n, len(m.Classes), len(m.ConversationHours))
	}
	for i, key := range m.Conversations {
		s.conversations[key] = conversation{hour: m.ConversationHours[i], class: class(m.Classes[i])}
	}
	sh := newShapes()
	for _, h := range m.Holds {
		loaded := &hold{due: h.DueMs}
		for i, rec := range h.Records {
			var v view
			if err := v.decode(&sh, rec.Event); err != nil {
				return fmt.Errorf("held record %d of conversation %x: %w", i, h.Conversation, err)
			}
			loaded.records = append(loaded.records, held{event: rec.Event, accepted: rec.AcceptedMs, class: classOf(v.signal)})
		}
		s.holds[h.Conversation] = loaded
	}
	for _, o := range m.Objects {
		loaded := decodeObject(o)
		for _, name := range loaded.names {
			s.objects[name] = loaded
		}
		if s.objects[loaded.id] != loaded {
			return fmt.Errorf("object %x does not bear its own name", loaded.id)
		}
	}
	return nil
}

func (o *object) encode() *goodhartv1.LedgerObject {
	names := slices.Clone(o.names)
	slices.Sort(names)
	return &goodhartv1.LedgerObject{
		Id: o.id, Names: names, State: o.state, Outcome: o.outcome,
		Tenant: o.tenant, Object: o.object, Subject: o.subject, Team: o.team, Role: o.role,
		Repository: o.repository, RepositoryClass: o.repositoryClass, Source: o.source,
		IdentityType: o.identity, ValueMillipoints: o.value, ObjectDayMs: o.day,
		FinalisesAtMs: o.finalisesAt, SurviveMs: o.survive, Transitions: o.transitions,
		SucceededMs: o.succeeded, FailedMs: o.failed, Sealed: o.sealed,
		Undone: o.undone, UndoneMs: o.undoneAt, Reverters: o.reverters, Targets: o.targets,
		KeepUntilMs: o.keepUntil, DueMs: o.due,
		Ticket: o.ticket, Linked: o.linked, Unreviewed: o.unreviewed,
	}
}

func decodeObject(m *goodhartv1.LedgerObject) *object {
	return &object{
		id: m.Id, names: m.Names, state: m.State, outcome: m.Outcome,
		tenant: m.Tenant, object: m.Object, subject: m.Subject, team: m.Team, role: m.Role,
		repository: m.Repository, repositoryClass: m.RepositoryClass, source: m.Source,
		identity: m.IdentityType, value: m.ValueMillipoints, day: m.ObjectDayMs,
		finalisesAt: m.FinalisesAtMs, survive: m.SurviveMs, transitions: m.Transitions,
		succeeded: m.SucceededMs, failed: m.FailedMs, sealed: m.Sealed,
		undone: m.Undone, undoneAt: m.UndoneMs, reverters: m.Reverters, targets: m.Targets,
		keepUntil: m.KeepUntilMs, due: m.DueMs,
		ticket: m.Ticket, linked: m.Linked, unreviewed: m.Unreviewed,
	}
}

// collectTimers makes the heap anew from the shards: their state holds all
// timers.
func (f *Fold) collectTimers() {
	f.timers = f.timers[:0]
	for i := range f.shards {
		s := &f.shards[i]
		for key, h := range s.holds {
			f.timers.push(timer{due: h.due, key: key, shard: uint8(i), kind: timerHold})
		}
		for name, o := range s.objects {
			if name == o.id {
				f.timers.push(timer{due: o.due, key: name, shard: uint8(i), kind: timerObject})
			}
		}
	}
	f.stale = false
}
