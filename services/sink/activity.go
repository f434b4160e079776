package sink

import (
	"github.com/goodhartlabs/goodhart/pkg/chsink"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

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

func (c *activityRows) add(f *goodhartv1.Fact) *reject {
	a := f.Event.Activity
	if a == nil {
		return missing("event.activity")
	}
	if why := c.envelope.add(f); why != nil {
		return why
	}
	c.name.Append(a.Name)
	for _, n := range a.Numbers {
		c.numbers.Keys.Append(n.Key)
		c.numbers.Values.Append(n.Value)
	}
	c.numbers.End()
	for _, l := range a.Labels {
		c.labels.Keys.Append(l.Key)
		c.labels.Values.Append(l.Value)
	}
	c.labels.End()
	c.EndIn(f.Event.TimeMs)
	return nil
}
