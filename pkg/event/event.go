// Package event turns what an adapter decoded (a Draft: raw ids, no identity,
// no price) into an Event that may enter Kafka: keyed hashes instead of ids,
// pseudonyms instead of people, a price, allow-listed labels, an event id. It is
// where content ends.
package event

import (
	"slices"
	"strings"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Draft is one announcement as an adapter decoded it. Its raw strings never
// leave the collector.
type Draft struct {
	// Event holds what needs no key, no people file and no price: kind, source,
	// signal, time, tool, payload. Stamping completes it in place.
	Event *goodhartv1.Event
	// Natural is the natural key of the announcement, without tenant, source
	// and signal.
	Natural []string
	// Request names the model request, whoever announces it; nil if unknown.
	Request []string
	// Conversation, ParentConversation, Prompt and Repository are raw ids, empty
	// where the source has none.
	Conversation, ParentConversation, Prompt, Repository string
	// RawID is the source's stable raw id, the last resort for the Kafka key.
	RawID string
	// Commit is the full sha of a commit that the activity made, or empty.
	Commit string
	Actor  Actor
	// Content reads what the announcement quotes of a conversation; nil where it
	// quotes nothing. It is asked once, and not at all if nobody wants to know.
	Content func() Content
	// Outcome holds the raw ids of an outcome; nil for other kinds.
	Outcome *OutcomeIDs
	// Path says where the record lay in the request body.
	Path string
}

// OutcomeIDs are the raw ids of an outcome object and of those who touched it;
// each may be empty.
type OutcomeIDs struct {
	// Object is the natural id of the object: host, repository, kind and number,
	// as ObjectID spells it.
	Object            string
	MergeSHA, HeadSHA string
	MergedBy          Actor
	Reviewers         []Actor
	// Closes, Reverts and CherryPicks name other objects or commits.
	Closes, Reverts, CherryPicks []Ref
}

// Ref names an outcome object, or a commit by its full sha.
type Ref struct {
	Object string
	SHA    string
}

// ObjectID spells the natural id of an outcome object, so that every source of
// the same object spells it alike. Kind is pr, issue, ticket, commit or
// deployment.
func ObjectID(host, repository, kind, id string) string {
	return strings.ToLower(host) + "\x00" + repository + "\x00" + kind + "\x00" + id
}

// RepositoryID spells a repository or tracker project as the people file does:
// host/repository.
func RepositoryID(host, repository string) string {
	switch {
	case repository == "":
		return ""
	case host == "":
		return repository
	}
	return strings.ToLower(host) + "/" + repository
}

// Actor is who did it, in the source's own words; every field may be empty.
type Actor struct {
	Email     string
	Login     string
	AccountID string
	// UserID is per install: one person may have many.
	UserID string
	// Declared is a self-declared person id or team, used only if it agrees with
	// the credential.
	Declared     string
	DeclaredTeam string
	Service      bool
}

// Rejection says why a record cannot be used, without quoting its content.
type Rejection struct {
	// Path is the record's place in the body, e.g.
	// resourceLogs[0].scopeLogs[0].logRecords[3].
	Path string
	// Field is the attribute at fault, an allow-listed name or empty.
	Field string
	// Reason is a code from a fixed list, e.g. bad_time.
	Reason string
	// Detail is a sentence for the sender, without values.
	Detail string
	Source string
	// Hash is the SHA-256 of the bytes at fault, Size their length, Shape the
	// key names and value types.
	Hash  [32]byte
	Size  int
	Shape string
}

// String says where, what and why, on one line.
func (r *Rejection) String() string {
	parts := []string{r.Path, r.Field, r.Reason, r.Detail}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": ")
}

// Credential is what an API key stands for.
type Credential struct {
	ID         string
	Tenant     string
	Accounting goodhartv1.Accounting
	// CountsAlone lists the signals whose announcements count without a
	// conversation id.
	CountsAlone []goodhartv1.Signal
	// Person is the people-file id of the key's owner, empty for shared keys.
	Person string
	// Service marks a machine's key.
	Service bool
}
