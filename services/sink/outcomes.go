package sink

import (
	"math"

	"github.com/goodhartlabs/goodhart/pkg/chsink"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

var tableOutcomes = chsink.Table{Name: "core.outcomes"}

// outcomeRows fills core.outcomes, which holds announced outcomes and changes of
// credit.
type outcomeRows struct {
	*chsink.Block
	tenant, team                               *chsink.Words
	record, kind, signal, accounting           *chsink.Enum
	identity, method, transport, change        *chsink.Enum
	eventTime, receivedAt, acceptedAt          *chsink.Fixed[int64]
	source, role, credential, tool, adapter    *chsink.Words
	repository, class, conclusion, environment *chsink.Words
	eventID                                    *chsink.FixedString
	observational, late                        *chsink.Fixed[uint8]
	subject, object, mergeSHA, headSHA         *chsink.String
	mergedBy                                   *chsink.String
	quality                                    *chsink.EnumSet
	schema                                     *chsink.Fixed[uint16]
	objectDay                                  *chsink.Fixed[uint16]
	provisional, final, reverted               *chsink.Fixed[int8]
	value, additions, deletions, files         *chsink.Nullable[int64]
	commits, finalises                         *chsink.Nullable[int64]
	reviewers, closes, reverts, picks          *chsink.Strings
	bot, selfMerged, ai                        *chsink.Nullable[uint8]
	approvals, attempt                         *chsink.Nullable[uint32]
	provenance
}

const (
	recordAnnounced int32 = iota
	recordTransition
)

func newOutcomeRows(o chsink.Origin) *outcomeRows {
	b := chsink.NewBlock(tableOutcomes, o)
	return &outcomeRows{
		Block: b, tenant: b.Words("tenant"), team: b.Words("team"),
		record:     b.Enum("record", []string{"announced", "transition"}),
		kind:       b.Enum("kind", names(goodhartv1.OutcomeKind_name, "OUTCOME_KIND_")),
		signal:     b.Enum("signal", names(goodhartv1.Signal_name, "SIGNAL_")),
		accounting: b.Enum("accounting", names(goodhartv1.Accounting_name, "ACCOUNTING_")),
		identity:   b.Enum("identity_type", names(goodhartv1.IdentityType_name, "IDENTITY_TYPE_")),
		method:     b.Enum("identity_method", names(goodhartv1.IdentityMethod_name, "IDENTITY_METHOD_")),
		transport:  b.Enum("transport", names(goodhartv1.Transport_name, "TRANSPORT_")),
		change:     b.Enum("transition", names(goodhartv1.TransitionKind_name, "TRANSITION_KIND_")),
		eventTime:  b.Millis("event_time"), receivedAt: b.Millis("received_at"), acceptedAt: b.Millis("accepted_at"),
		source: b.Words("source"), role: b.Words("role"), credential: b.Words("credential"), tool: b.Words("tool"),
		adapter: b.Words("adapter_version"), repository: b.Words("repository"), class: b.Words("repository_class"),
		conclusion: b.Words("conclusion"), environment: b.Words("environment"),
		eventID:       b.FixedString("event_id", 16),
		observational: b.UInt8("observational"), late: b.UInt8("late"),
		subject: b.String("subject"), object: b.String("object"), mergeSHA: b.String("merge_sha"),
		headSHA: b.String("head_sha"), mergedBy: b.String("merged_by"),
		quality: b.EnumSet("quality", names(goodhartv1.Quality_name, "QUALITY_")),
		schema:  b.UInt16("schema_version"), objectDay: b.Date("object_day"),
		provisional: b.Int8("provisional_delta"), final: b.Int8("final_delta"), reverted: b.Int8("reverted_delta"),
		value: b.NullableInt64("value_millipoints"), additions: b.NullableInt64("additions"), deletions: b.NullableInt64("deletions"),
		files: b.NullableInt64("files"), commits: b.NullableInt64("commits"), finalises: b.NullableMillis("finalises_at"),
		reviewers: b.Strings("reviewers"), closes: b.Strings("closes"), reverts: b.Strings("reverts"), picks: b.Strings("cherry_picks"),
		bot: b.NullableBool("is_bot"), selfMerged: b.NullableBool("self_merged"), ai: b.NullableBool("evidence_of_ai"),
		approvals: b.NullableUInt32("independent_approvals"), attempt: b.NullableUInt32("run_attempt"),
		provenance: newProvenance(b),
	}
}

// announced appends an outcome event as published.
func (c *outcomeRows) announced(f *goodhartv1.Fact) *reject {
	e, o := f.Event, f.Event.Outcome
	if o == nil {
		return missing("event.outcome")
	}
	day, dayFits := days(e.TimeMs)
	switch {
	case !storable(e.TimeMs), !dayFits:
		return badTime("event.time_ms", e.TimeMs)
	case !storable(e.ReceivedMs):
		return badTime("event.received_ms", e.ReceivedMs)
	case o.FinalisesAtMs != nil && !storable(*o.FinalisesAtMs):
		return badTime("event.outcome.finalises_at_ms", *o.FinalisesAtMs)
	case e.SchemaVersion < 0 || e.SchemaVersion > math.MaxUint16:
		return outOfRange("event.schema_version", int64(e.SchemaVersion))
	case !c.kind.Append(int32(o.Kind)):
		return outOfRange("event.outcome.kind", int64(o.Kind))
	case !c.signal.Append(int32(e.Signal)):
		return outOfRange("event.signal", int64(e.Signal))
	case !c.accounting.Append(int32(e.Accounting)):
		return outOfRange("event.accounting", int64(e.Accounting))
	case !c.identity.Append(int32(e.IdentityType)):
		return outOfRange("event.identity_type", int64(e.IdentityType))
	case !c.method.Append(int32(e.IdentityMethod)):
		return outOfRange("event.identity_method", int64(e.IdentityMethod))
	case !c.transport.Append(int32(e.Transport)):
		return outOfRange("event.transport", int64(e.Transport))
	case !c.eventID.Append(e.EventId):
		return outOfRange("event.event_id", int64(len(e.EventId)))
	}
	for _, q := range e.Quality {
		if !c.quality.Elem.Append(int32(q)) {
			return outOfRange("event.quality", int64(q))
		}
	}
	c.record.Append(recordAnnounced)
	c.change.Append(0)
	c.eventTime.Append(e.TimeMs)
	c.receivedAt.Append(e.ReceivedMs)
	c.objectDay.Append(day)
	c.schema.Append(uint16(e.SchemaVersion))
	c.who(e.Tenant, e.Team, e.Subject, e.Role, e.Source)
	c.how(e.Credential, e.Tool, e.AdapterVersion)
	c.what(o.Object, e.Repository, o.RepositoryClass)
	c.credit(0, 0, 0, o.ValueMillipoints)
	c.details(o)
	c.finish(f, e.TimeMs)
	return nil
}

// transition appends a change of an object's credit.
func (c *outcomeRows) transition(f *goodhartv1.Fact) *reject {
	t := f.Transition
	if t == nil {
		return missing("transition")
	}
	// A timer has no event behind it: it is received when it fires.
	received := t.TimeMs
	if f.Event.ReceivedMs != 0 {
		received = f.Event.ReceivedMs
	}
	day, dayFits := days(t.ObjectDayMs)
	switch {
	case !storable(t.TimeMs):
		return badTime("transition.time_ms", t.TimeMs)
	case !storable(received):
		return badTime("event.received_ms", received)
	case !dayFits:
		return badTime("transition.object_day_ms", t.ObjectDayMs)
	case !small(t.ProvisionalDelta) || !small(t.FinalDelta) || !small(t.RevertedDelta):
		return &reject{reason: reasonOutOfRange, field: "transition", detail: "a delta is not in -127..127"}
	case !c.kind.Append(int32(t.Outcome)):
		return outOfRange("transition.outcome", int64(t.Outcome))
	case t.Kind == goodhartv1.TransitionKind_TRANSITION_KIND_UNSPECIFIED || !c.change.Append(int32(t.Kind)):
		return outOfRange("transition.kind", int64(t.Kind))
	case !c.identity.Append(int32(t.IdentityType)):
		return outOfRange("transition.identity_type", int64(t.IdentityType))
	case !c.eventID.Append(t.TransitionId):
		return outOfRange("transition.transition_id", int64(len(t.TransitionId)))
	}
	c.record.Append(recordTransition)
	c.signal.Append(0)
	c.accounting.Append(0)
	c.method.Append(0)
	c.transport.Append(0)
	c.eventTime.Append(t.TimeMs)
	c.receivedAt.Append(received)
	c.objectDay.Append(day)
	c.schema.Append(0)
	c.who(t.Tenant, t.Team, t.Subject, t.Role, t.Source)
	c.how("", "", "")
	c.what(t.Object, t.Repository, t.RepositoryClass)
	c.credit(int8(t.ProvisionalDelta), int8(t.FinalDelta), int8(t.RevertedDelta), t.ValueMillipoints)
	c.details(&goodhartv1.Outcome{})
	c.finish(f, t.TimeMs)
	return nil
}

func small(delta int32) bool { return delta >= -127 && delta <= 127 }

func (c *outcomeRows) who(tenant, team, subject, role, source string) {
	c.tenant.Append(tenant)
	c.team.Append(team)
	c.subject.Append(subject)
	c.role.Append(role)
	c.source.Append(source)
}

func (c *outcomeRows) how(credential, tool, adapter string) {
	c.credential.Append(credential)
	c.tool.Append(tool)
	c.adapter.Append(adapter)
}

func (c *outcomeRows) what(object, repository, class string) {
	c.object.Append(object)
	c.repository.Append(repository)
	c.class.Append(class)
}

func (c *outcomeRows) credit(provisional, final, reverted int8, value *int64) {
	c.provisional.Append(provisional)
	c.final.Append(final)
	c.reverted.Append(reverted)
	c.value.Append(value)
}

func (c *outcomeRows) details(o *goodhartv1.Outcome) {
	c.mergeSHA.Append(o.MergeSha)
	c.headSHA.Append(o.HeadSha)
	c.mergedBy.Append(o.MergedBy)
	all(c.reviewers, o.Reviewers)
	all(c.closes, o.Closes)
	all(c.reverts, o.Reverts)
	all(c.picks, o.CherryPicks)
	truth(c.bot, o.IsBot)
	truth(c.selfMerged, o.SelfMerged)
	truth(c.ai, o.EvidenceOfAi)
	c.approvals.Append(o.IndependentApprovals)
	c.additions.Append(o.Additions)
	c.deletions.Append(o.Deletions)
	c.files.Append(o.Files)
	c.commits.Append(o.Commits)
	c.finalises.Append(o.FinalisesAtMs)
	c.conclusion.Append(o.Conclusion)
	c.environment.Append(o.Environment)
	c.attempt.Append(o.RunAttempt)
}

func (c *outcomeRows) finish(f *goodhartv1.Fact, ms int64) {
	c.acceptedAt.Append(f.AcceptedMs)
	c.observational.Append(bit(f.Observational))
	c.late.Append(bit(f.Late))
	c.quality.End()
	c.addProvenance(f)
	c.EndIn(ms)
}

func all(c *chsink.Strings, list []string) {
	for _, s := range list {
		c.Elem.Append(s)
	}
	c.End()
}

func truth(c *chsink.Nullable[uint8], v *bool) {
	if v == nil {
		c.Append(nil)
		return
	}
	c.AppendValue(bit(*v))
}
