package sink

import "github.com/goodhartlabs/goodhart/pkg/chsink"

var tableActivity = chsink.Table{Name: "core.activity"}

// activityRows fills core.activity.
type activityRows struct {
	*chsink.Block
	envelope
	name    *chsink.Words
	numbers *chsink.NumberMap
	labels  *chsink.WordMap
}

func newActivityRows(o chsink.Origin) *activityRows {
	b := chsink.NewBlock(tableActivity, o)
	return &activityRows{
		Block: b, envelope: newEnvelope(b),
		name: b.Words("name"), numbers: b.NumberMap("numbers"), labels: b.WordMap("labels"),
	}
}

func (c *activityRows) add(v *view) *reject {
	if !v.is(eventActivity) {
		return missing("event.activity")
	}
	c.name.Append(v.activity.Name)
	for _, n := range v.activity.Numbers {
		c.numbers.Keys.Append(n.Key)
		c.numbers.Values.Append(n.Value)
	}
	c.numbers.End()
	for _, l := range v.activity.Labels {
		c.labels.Keys.Append(l.Key)
		c.labels.Values.Append(l.Value)
	}
	c.labels.End()
	return c.envelope.add(v)
}
