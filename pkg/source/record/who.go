package record

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/goodhartlabs/goodhart/pkg/event"
)

// Who is the actor and the session of a record, as the attributes that several
// tools share name them. Later reads override earlier ones: read the resource
// first, then the record.
type Who struct {
	Actor   event.Actor
	Session string
	// Parent is the conversation that began this one.
	Parent string
	// accountUUID says that AccountID is the better of two ids.
	accountUUID bool
}

// Read takes an attribute that names the actor or the session and reports
// whether it was one.
func (w *Who) Read(key string, value pcommon.Value) bool {
	var to *string
	switch key {
	case "session.id":
		to = &w.Session
	case "goodhart.parent_conversation_id":
		to = &w.Parent
	case "user.email":
		to = &w.Actor.Email
	case "user.account_uuid":
		if s := Text(value); s != "" {
			w.Actor.AccountID, w.accountUUID = s, true
		}
		return true
	case "user.account_id":
		if s := Text(value); s != "" && !w.accountUUID {
			w.Actor.AccountID = s
		}
		return true
	case "user.id":
		to = &w.Actor.UserID
	case "enduser.id":
		to = &w.Actor.Declared
	case "team", "team.id":
		to = &w.Actor.DeclaredTeam
	default:
		return false
	}
	if s := Text(value); s != "" {
		*to = s
	}
	return true
}

// RawID is the most stable id of the actor, for the Kafka key of a record that
// belongs to no conversation and no request.
func (w *Who) RawID() string {
	for _, id := range []string{w.Actor.AccountID, w.Actor.UserID, w.Actor.Declared, w.Actor.Email} {
		if id != "" {
			return id
		}
	}
	return ""
}
