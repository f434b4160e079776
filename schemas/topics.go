package schemas

import "time"

// Names of the Kafka topics.
const (
	TopicEvents       = "goodhart.events.v1"
	TopicFacts        = "goodhart.facts.v1"
	TopicFeatures     = "goodhart.features.v1"
	TopicScores       = "goodhart.scores.v1"
	TopicSignals      = "goodhart.signals.v1"
	TopicKPI          = "goodhart.kpi.v1"
	TopicSelf         = "goodhart.self.v1"
	TopicDead         = "goodhart.dead.v1"
	TopicMeta         = "goodhart.meta.v1"
	TopicPurpose      = "goodhart.purpose.v1"
	TopicLedgerState  = "goodhart.ledger.state.v1"
	TopicSubjectState = "goodhart.subject.state.v1"
	TopicTenantState  = "goodhart.tenant.state.v1"
)

// Names of the Kafka consumer groups.
const (
	GroupLedger  = "goodhart.ledger"
	GroupSubject = "goodhart.subject"
	GroupTenant  = "goodhart.tenant"
	GroupSink    = "goodhart.sink"
	// GroupAlerter begins the names of the alerter's groups, one for each of its
	// receivers: goodhart.alerter.<receiver>.
	GroupAlerter = "goodhart.alerter"
)

// Topic says how a topic is created. Partition counts are the deployment's
// choice (Partitioned topics share one number per stage) and are recorded in
// TopicMeta; everything else is fixed here.
type Topic struct {
	Name string
	// Stage is the fold whose partition numbers this topic follows.
	Stage Stage
	// Retention is how long records are kept; zero means for ever.
	Retention time.Duration
	// Compact keeps the newest value of each key.
	Compact bool
	// LogAppendTime makes the broker's clock the record timestamp.
	LogAppendTime bool
}

// Stage groups topics that must have the same partition count.
type Stage int

// The stages, in the order in which data flows.
const (
	// StageEvents: events.v1 and the ledger fold's state.
	StageEvents Stage = iota
	// StageFacts: facts.v1 and the subject fold's state.
	StageFacts
	// StageFeatures: features.v1, the tenant fold's state and its outputs.
	StageFeatures
	// StageDead: dead.v1.
	StageDead
	// StageMeta: meta.v1 and purpose.v1, always one partition.
	StageMeta
)

const (
	day       = 24 * time.Hour
	quarter   = 13 * 7 * day
	eventDays = 35 * day
)

// Topics lists every topic in the order of creation.
func Topics() []Topic {
	return []Topic{
		{Name: TopicMeta, Stage: StageMeta},
		{Name: TopicEvents, Stage: StageEvents, Retention: eventDays, LogAppendTime: true},
		{Name: TopicLedgerState, Stage: StageEvents, Compact: true},
		{Name: TopicFacts, Stage: StageFacts, Retention: 14 * day},
		{Name: TopicSubjectState, Stage: StageFacts, Compact: true},
		{Name: TopicFeatures, Stage: StageFeatures, Retention: quarter},
		{Name: TopicTenantState, Stage: StageFeatures, Compact: true},
		{Name: TopicScores, Stage: StageFeatures, Retention: quarter},
		{Name: TopicSignals, Stage: StageFeatures, Retention: quarter, Compact: true},
		{Name: TopicKPI, Stage: StageFeatures, Retention: quarter, Compact: true},
		{Name: TopicSelf, Stage: StageFeatures, Retention: quarter},
		{Name: TopicDead, Stage: StageDead, Retention: eventDays},
		{Name: TopicPurpose, Stage: StageMeta},
	}
}
