package schedule

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/ledger"
	"github.com/goodhartlabs/goodhart/pkg/machine"
	"github.com/goodhartlabs/goodhart/pkg/subject"
	"github.com/goodhartlabs/goodhart/pkg/tenant"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/processor"
)

// calm folds a log with plain calls of the machines. It shares no code with the
// runtime of the folds: what an output's stamp, partition and watermark are is
// written down here a second time.
type calm struct {
	counts kschema.Counts
	// facts and features by upstream partition and partition.
	facts, features map[pair][]entry
	// rest is what the folds write elsewhere: by topic and partition, in order
	// where one partition alone writes there.
	rest map[place][]string
}

// pair is an upstream partition and the partition that it writes to.
type pair struct{ from, to int32 }

type place struct {
	topic     string
	partition int32
}

// entry is a stamped record.
type entry struct {
	pos  machine.Position
	text string // key and value
	rec  machine.Record
}

func calmRun(p *plan, log []*kgo.Record) *calm {
	c := &calm{counts: p.counts, facts: map[pair][]entry{}, features: map[pair][]entry{}, rest: map[place][]string{}}
	rules := ledger.Default()
	rules.OutOfOrderness, rules.Partitions = outOfOrderness, p.counts.Facts
	for from := range p.counts.Events {
		rules.Partition = from
		d := c.drive(ledger.New(rules), from, schemas.TopicFacts, c.facts)
		for _, rec := range log {
			if rec.Partition == from {
				d.step(machine.Record{
					Position: machine.Position{Seq: uint64(rec.Offset) + 1}, Time: rec.Timestamp.UnixMilli(),
					Partition: from, Offset: rec.Offset, Key: rec.Key, Value: rec.Value,
				})
			}
		}
	}
	for from := range p.counts.Facts {
		d := c.drive(subject.New(subject.Config{Partition: from, Partitions: p.counts.Facts}), from, schemas.TopicFeatures, c.features)
		merged(c.facts, p.counts.Events, from, d.step)
	}
	for from := range p.counts.Features {
		d := c.drive(tenant.New(tenant.Config{MinimumGroup: processor.Default().Rules.MinimumGroup}), from, "", nil)
		merged(c.features, p.counts.Facts, from, d.step)
	}
	return c
}

// merged calls step with what a partition gets from its upstream partitions, in
// the order of (w, p, seq), as far as every upstream watermark has passed.
func merged(from map[pair][]entry, upstreams, to int32, step func(machine.Record)) {
	low := int64(math.MaxInt64)
	var all []entry
	for p := range upstreams {
		one := from[pair{p, to}]
		last := int64(math.MinInt64)
		for _, e := range one {
			last = max(last, e.pos.W)
		}
		low = min(low, last)
		all = append(all, one...)
	}
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.pos.W, b.pos.W), cmp.Compare(a.pos.P, b.pos.P), cmp.Compare(a.pos.Seq, b.pos.Seq))
	})
	for _, e := range all {
		if e.pos.W < low {
			step(e.rec)
		}
	}
}

// stepper steps one machine.
type stepper struct {
	c       *calm
	m       machine.Machine
	from    int32
	stamped string
	into    map[pair][]entry
	seq     map[int32]uint64
	second  int64
	out     machine.Outputs
}

func (c *calm) drive(m machine.Machine, from int32, stamped string, into map[pair][]entry) *stepper {
	return &stepper{c: c, m: m, from: from, stamped: stamped, into: into, seq: map[int32]uint64{}, second: math.MinInt64}
}

func (d *stepper) step(rec machine.Record) {
	d.m.Step(&rec, &d.out)
	for _, o := range d.out.Records() {
		n := d.c.partitions(o.Topic)
		switch o.Partition {
		case machine.EveryPartition:
			for to := range n {
				d.emit(o.Topic, to, o.Key, o.W, o.Body(), o.Headers)
			}
		case machine.ByKey:
			d.emit(o.Topic, schemas.Partition(o.Key, n), o.Key, o.W, o.Body(), o.Headers)
		default:
			d.emit(o.Topic, o.Partition%n, o.Key, o.W, o.Body(), o.Headers)
		}
	}
	d.out.Reset()
	w := d.m.W()
	if d.stamped == "" || w == math.MinInt64 {
		return
	}
	if second := (w - ((w%1000)+1000)%1000) / 1000; second > d.second {
		d.second = second
		for to := range d.c.partitions(d.stamped) {
			d.emit(d.stamped, to, nil, w, protowire.AppendVarint(protowire.AppendTag(nil, 4, protowire.VarintType), 1), nil)
		}
	}
}

func (d *stepper) emit(topic string, to int32, key []byte, w int64, body []byte, headers []machine.Header) {
	if topic != d.stamped {
		at := place{topic, to}
		d.c.rest[at] = append(d.c.rest[at], text(key, body, headers, func(h machine.Header) (string, []byte) { return h.Key, h.Value }))
		return
	}
	d.seq[to]++
	pos := machine.Position{W: w, P: uint32(d.from), Seq: d.seq[to]}
	var value []byte
	for field, v := range []uint64{uint64(w), uint64(pos.P), pos.Seq} {
		value = protowire.AppendVarint(protowire.AppendTag(value, protowire.Number(field+1), protowire.VarintType), v)
	}
	value = append(value, body...)
	at := pair{d.from, to}
	d.into[at] = append(d.into[at], entry{
		pos: pos, text: text(key, value, headers, func(h machine.Header) (string, []byte) { return h.Key, h.Value }),
		rec: machine.Record{Position: pos, Partition: to, Key: slices.Clone(key), Value: value},
	})
}

func (c *calm) partitions(topic string) int32 {
	switch topic {
	case schemas.TopicFacts:
		return c.counts.Facts
	case schemas.TopicDead:
		return c.counts.Dead
	default:
		return c.counts.Features
	}
}

// text is a record's key, value and headers, for comparing.
func text[H any](key, value []byte, headers []H, of func(H) (string, []byte)) string {
	var b strings.Builder
	b.Grow(len(key) + len(value) + 2)
	b.Write(key)
	b.WriteByte(' ')
	b.Write(value)
	for _, h := range headers {
		k, v := of(h)
		b.WriteByte(' ')
		b.WriteString(k)
		b.WriteByte('=')
		b.Write(v)
	}
	return b.String()
}

// compare returns how what was written differs from the calm run.
func (c *calm) compare(w wrote) (problems []string) {
	differ := func(what string, want, got []string) {
		for i := range max(len(want), len(got)) {
			switch {
			case i >= len(got):
				problems = append(problems, fmt.Sprintf("%s: %d of %d records are missing, the first is %q", what, len(want)-i, len(want), want[i]))
			case i >= len(want):
				problems = append(problems, fmt.Sprintf("%s: %d records too many, the first is %q", what, len(got)-i, got[i]))
			case want[i] != got[i]:
				problems = append(problems, fmt.Sprintf("%s: record %d of %d (calm %d) is %q, in a calm run it is %q", what, i, len(got), len(want), got[i], want[i]))
			default:
				continue
			}
			return
		}
	}
	for topic, want := range map[string]map[pair][]entry{schemas.TopicFacts: c.facts, schemas.TopicFeatures: c.features} {
		got := map[pair][]string{}
		for _, rec := range w[topic] {
			at := pair{int32(stamp(rec.Value).P), rec.Partition}
			got[at] = append(got[at], textOf(rec))
		}
		for at := range got {
			if want[at] == nil {
				problems = append(problems, fmt.Sprintf("%s: records from %d to %d, where none belong", topic, at.from, at.to))
			}
		}
		for at, entries := range want {
			texts := make([]string, len(entries))
			for i, e := range entries {
				texts[i] = e.text
			}
			differ(fmt.Sprintf("%s from %d to %d", topic, at.from, at.to), texts, got[at])
		}
	}
	for _, topic := range []string{schemas.TopicScores, schemas.TopicSignals, schemas.TopicKPI, schemas.TopicSelf, schemas.TopicDead} {
		got := map[int32][]string{}
		for _, rec := range w[topic] {
			if topic == schemas.TopicDead && !fromFold(rec) {
				continue
			}
			got[rec.Partition] = append(got[rec.Partition], textOf(rec))
		}
		for p := range c.partitions(topic) {
			want := c.rest[place{topic, p}]
			if topic == schemas.TopicDead { // partitions of events.v1 take turns
				slices.Sort(want)
				slices.Sort(got[p])
			}
			differ(fmt.Sprintf("%s/%d", topic, p), want, got[p])
		}
	}
	return problems
}

func textOf(rec *kgo.Record) string {
	return text(rec.Key, rec.Value, rec.Headers, func(h kgo.RecordHeader) (string, []byte) { return h.Key, h.Value })
}

// stamp reads the first three fields of a fact or a feature.
func stamp(value []byte) (pos machine.Position) {
	for range 3 {
		number, _, n := protowire.ConsumeTag(value)
		if n < 0 || number > 3 {
			return pos
		}
		v, m := protowire.ConsumeVarint(value[n:])
		switch value = value[n+m:]; number {
		case 1:
			pos.W = int64(v)
		case 2:
			pos.P = uint32(v)
		default:
			pos.Seq = v
		}
	}
	return pos
}
