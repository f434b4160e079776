package score

import "github.com/goodhartlabs/goodhart/pkg/record"

// Reasons why a GroupSize is not publishable.
const (
	// ReasonOK: it is.
	ReasonOK = ""
	// ReasonSize: fewer people than k.
	ReasonSize = "group_size"
	// ReasonDominance: one person or two make up too much of it.
	ReasonDominance = "dominance"
	// ReasonUnknown: neither cost nor tokens are known, so that nobody can say
	// who makes up how much.
	ReasonUnknown = "unknown"
	// ReasonComplementary: publishing it would reveal a group that is not.
	ReasonComplementary = "complementary"
)

// GroupSize says whether the figures of a team in an ISO week may be published.
type GroupSize struct {
	Tenant, Team string
	// Week is its ISO name, WeekStart its Monday 00:00 UTC in ms.
	Week      string
	WeekStart int64
	// People is how many persons used AI in the team that week.
	People int64
	// Top1 and Top2 are the shares of the person and the two persons who make
	// up most of the cost or of the tokens, whichever is larger.
	Top1, Top2 Millionths
	Reason     string
	// Rev counts the records of this team and week from 0; W is the watermark at
	// emission, ms.
	Rev uint32
	W   int64
}

// Publishable reports whether the figures of the team and week may be shown.
func (g *GroupSize) Publishable() bool { return g.Reason == ReasonOK }

// AppendJSON appends the record, fields in the order of the schema.
func (g *GroupSize) AppendJSON(dst []byte) []byte {
	o := record.Open(dst)
	o.String("kind", KindGroupSize)
	o.String("tenant", g.Tenant)
	o.String("team", g.Team)
	o.String("iso_week", g.Week)
	o.Int("week_start", g.WeekStart)
	o.Int("people", g.People)
	o.Value("top1_share", g.Top1.append)
	o.Value("top2_share", g.Top2.append)
	o.Bool("publishable", g.Publishable())
	o.String("reason", g.Reason)
	o.Int("rev", int64(g.Rev))
	o.Int("w", g.W)
	return o.Close()
}
