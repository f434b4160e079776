package signal

import (
	"slices"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/pkg/window"
)

// declaredAt reports whether something that explains a change was declared of a
// place between two times, ms: an event of some kinds or, without any, of all.
// The return from a vacation is explained by it for a week.
func declaredAt(p *policy.Policy, at policy.Place, from, to int64, kinds ...policy.ContextKind) bool {
	return slices.ContainsFunc(p.Covering(at, from-window.Week, to), func(c *policy.Context) bool {
		return (from < int64(c.To) || c.Kind == policy.Vacation) && (len(kinds) == 0 || slices.Contains(kinds, c.Kind))
	})
}

// registered reports whether something may run by itself.
func registered(p *policy.Policy, at policy.Place) bool {
	_, ok := p.Automated(at)
	return ok
}
