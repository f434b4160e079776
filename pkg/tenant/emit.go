package tenant

import (
	"cmp"
	"strconv"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/kpi"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/signal"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
)

// emitter renders records; it holds buffers and no state.
type emitter struct {
	body, key []byte
	rolling   score.Rolling
}

// emitRolling emits a window of a scope.
func (f *Fold) emitRolling(t *tenant, s *scope, w *window.Window, end int64, rev uint32, out *machine.Outputs) {
	f.stats.Rolling++
	if rev > 0 {
		f.stats.Revisions++
	}
	if out.Silent {
		return
	}
	r := &f.emit.rolling
	*r = score.Rolling{
		Tenant: t.name, ScopeKind: kindName(s.kind), Scope: s.name,
		Window: w.Name, Start: end - w.Size, End: end,
		Rev: rev, W: f.w, Totals: s.sum(w, end),
		Status: score.StatusRolling, ConfigVersion: t.config.GetVersion(),
	}
	if w.Pane == window.Day {
		r.Status = score.StatusInsufficient
	}
	r.People, r.PeopleKnown = s.people(w, end)
	f.emit.body = r.AppendJSON(f.emit.body[:0])
	f.send(out, envelope{
		eventType: score.TypeRolling,
		tenant:    t.name,
		object:    [3]string{r.ScopeKind, s.name, w.Name},
		at:        end, rev: rev,
	})
}

// emitGroup emits the group size of a team and week.
func (f *Fold) emitGroup(g *score.GroupSize, out *machine.Outputs) {
	f.stats.GroupSizes++
	if out.Silent {
		return
	}
	f.emit.body = g.AppendJSON(f.emit.body[:0])
	f.send(out, envelope{
		eventType: score.TypeGroupSize,
		tenant:    g.Tenant,
		object:    [3]string{score.KindGroupSize, g.Team, g.Week},
		at:        g.WeekStart, rev: g.Rev,
	})
}

// emitCoverage emits what one signal could look at in a week.
func (f *Fold) emitCoverage(c *signal.WeekCoverage, out *machine.Outputs) {
	if out.Silent {
		return
	}
	f.emit.body = c.AppendJSON(f.emit.body[:0])
	f.send(out, envelope{
		eventType: signal.TypeCoverage,
		tenant:    c.Tenant, object: [3]string{signal.KindCoverage, c.Code, window.WeekName(c.WeekStart)},
		at: c.WeekStart,
	})
}

// emitScore emits an efficiency score.
func (f *Fold) emitScore(e *score.Efficiency, out *machine.Outputs) {
	if out.Silent {
		return
	}
	f.emit.body = e.AppendJSON(f.emit.body[:0])
	f.send(out, envelope{
		eventType: score.TypeEfficiency, kind: score.KindEfficiency,
		tenant: e.Rolling.Tenant, object: [3]string{e.Rolling.ScopeKind, e.Rolling.Scope, e.Rolling.Window},
		at: e.Rolling.End, rev: e.Rolling.Rev,
	})
}

// emitPersonal tells a person the efficiency of their own.
func (f *Fold) emitPersonal(p *score.Personal, out *machine.Outputs) {
	f.emit.body = p.AppendJSON(f.emit.body[:0])
	f.send(out, envelope{
		eventType: score.TypePersonal, topic: schemas.TopicSelf, key: p.Tenant + "|" + p.Subject,
		tenant: p.Tenant, object: [3]string{score.KindEfficiency, p.Subject, p.Window},
		at: p.End,
	})
}

// emitSignal emits a revision of a signal: on self.v1 if it concerns a person.
func (f *Fold) emitSignal(s *signal.Signal, out *machine.Outputs) {
	f.stats.Signals++
	if out.Silent {
		return
	}
	f.emit.body = s.AppendJSON(f.emit.body[:0])
	e := envelope{
		eventType: signal.TypeSignal, topic: schemas.TopicSignals, key: s.ID,
		tenant: s.Tenant, object: [3]string{signal.KindSignal, s.ID, s.Code},
		at: s.UpdatedAt, rev: s.Rev,
	}
	if s.Private() {
		e.eventType, e.topic, e.key = signal.TypeSelf, schemas.TopicSelf, s.Tenant+"|"+s.Scope
	}
	f.send(out, e)
}

// sendCard emits the health card of a target.
func (f *Fold) sendCard(c *kpi.Card, out *machine.Outputs) {
	f.emit.body = c.AppendJSON(f.emit.body[:0])
	f.send(out, envelope{
		eventType: kpi.Type, topic: schemas.TopicKPI,
		tenant: c.Tenant, object: [3]string{kpi.Kind, c.Target, c.Scope},
		at: c.WeekStart, rev: c.Rev,
	})
}

// envelope is what a record's key and CloudEvents headers say.
type envelope struct {
	eventType string
	tenant    string
	// topic is scores.v1, and key what object says, unless they are set.
	topic, key string
	// object names what the record states, whatever its time and revision: with
	// the tenant, and the kind if there are several about an object, it is the key,
	// so that a compacted copy holds the latest.
	kind   string
	object [3]string
	at     int64
	rev    uint32
}

// send emits the rendered body with the headers of a CloudEvent in binary mode.
// The labels of an object hold no "|", so that key and id are unambiguous.
func (f *Fold) send(out *machine.Outputs, e envelope) {
	key := append(f.emit.key[:0], e.tenant...)
	if e.kind != "" {
		key = append(append(key, '|'), e.kind...)
	}
	for _, part := range e.object {
		key = append(append(key, '|'), part...)
	}
	f.emit.key = key

	const source = "//goodhart/"
	buf := make([]byte, 0, len(key)+len(source)+len(e.tenant)+len(time.RFC3339)+48)
	buf = append(buf, key...)
	buf = append(strconv.AppendInt(append(buf, '|'), e.at, 10), '|')
	buf = strconv.AppendUint(buf, uint64(e.rev), 10)
	id := len(buf)
	buf = append(append(buf, source...), e.tenant...)
	from := len(buf)
	buf = time.UnixMilli(e.at).UTC().AppendFormat(buf, time.RFC3339)
	topic := cmp.Or(e.topic, schemas.TopicScores)
	if e.key != "" {
		key = []byte(e.key)
	}
	out.EmitBytes(topic, machine.ByKey, key, f.w, f.emit.body, []machine.Header{
		{Key: "ce_specversion", Value: []byte("1.0")},
		{Key: "ce_type", Value: []byte(e.eventType)},
		{Key: "ce_source", Value: buf[id:from:from]},
		{Key: "ce_id", Value: buf[:id:id]},
		{Key: "ce_time", Value: buf[from:]},
		{Key: "content-type", Value: []byte("application/json")},
	})
}
