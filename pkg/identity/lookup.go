package identity

import (
	"strings"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Query is what an announcement says about its actor.
type Query struct {
	Tenant string
	// Credential is the id of the API key; Person its owner's id in the people
	// file, if it has one; Machine marks the key of a service. An announcement
	// about others (an outcome) leaves Person and Machine empty.
	Credential string
	Person     string
	Machine    bool

	AccountID, Login, Email, UserID string
	// Declared and DeclaredTeam are what the actor says of itself.
	Declared, DeclaredTeam string
	// Service: the source calls the actor a machine.
	Service bool
	// AtMS is the time of the event, which decides about memberships.
	AtMS int64
}

// Kinds of subjects: the prefixes of their pseudonyms.
const (
	Human      = "p_"
	Account    = "a_"
	ServiceKey = "s_"
	Key        = "k_"
)

// Subject is who it was.
type Subject struct {
	// Prefix is Human, Account, ServiceKey or Key.
	Prefix string
	// Scope and Raw name the subject within the tenant: the pseudonym is a
	// keyed hash of both.
	Scope, Raw string
	Team, Role string
	Type       goodhartv1.IdentityType
	Method     goodhartv1.IdentityMethod
}

// Find resolves a query; the first that applies wins: the owner of the API key;
// an account id or login of the people file; an e-mail address of it; an id of
// an installation in it; a self-declared person that it knows; the first raw id
// that is there; the API key itself. A pseudonym made of the answer changes
// only when the people file learns who somebody is.
func (d *Directory) Find(q Query) Subject {
	if s, ok := d.owner(q); ok {
		return s
	}
	q = q.folded()
	for _, try := range []struct {
		kind   Kind
		value  string
		method goodhartv1.IdentityMethod
	}{
		{KindAccount, q.AccountID, goodhartv1.IdentityMethod_IDENTITY_METHOD_LOGIN},
		{KindLogin, q.Login, goodhartv1.IdentityMethod_IDENTITY_METHOD_LOGIN},
		{KindEmail, q.Email, goodhartv1.IdentityMethod_IDENTITY_METHOD_EMAIL},
		{KindUserID, q.UserID, goodhartv1.IdentityMethod_IDENTITY_METHOD_LOGIN},
	} {
		if p := d.byID(q.Tenant, try.kind, try.value); p != nil {
			return p.subject(q, try.method)
		}
	}
	if p := d.declared(q); p != nil {
		return p.subject(q, goodhartv1.IdentityMethod_IDENTITY_METHOD_DECLARED)
	}
	return q.raw()
}

// owner answers by the API key alone.
func (d *Directory) owner(q Query) (Subject, bool) {
	const method = goodhartv1.IdentityMethod_IDENTITY_METHOD_CREDENTIAL
	if q.Person != "" {
		if p := d.person(q.Tenant, q.Person); p != nil {
			return p.subject(q, method), true
		}
		return Subject{
			Prefix: Human, Scope: "person", Raw: q.Person,
			Type: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, Method: method,
		}, true
	}
	if !q.Machine {
		return Subject{}, false
	}
	s := Subject{
		Prefix: ServiceKey, Scope: "credential", Raw: q.Credential,
		Type: goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE, Method: method,
	}
	if known := d.service(q.Tenant, q.Credential); known != nil {
		s.Scope, s.Raw, s.Team = "service", known.ID, known.Team
	}
	return s, true
}

// declared finds the person that the actor says it is, by id or by any raw id.
func (d *Directory) declared(q Query) *person {
	if p := d.person(q.Tenant, q.Declared); p != nil {
		return p
	}
	for _, kind := range []Kind{KindEmail, KindLogin, KindAccount, KindUserID} {
		if p := d.byID(q.Tenant, kind, fold(kind, q.Declared)); p != nil {
			return p
		}
	}
	return nil
}

func (p *person) subject(q Query, method goodhartv1.IdentityMethod) Subject {
	return Subject{
		Prefix: Human, Scope: "person", Raw: p.id,
		Team: p.team(q.AtMS, q.DeclaredTeam), Role: p.role,
		Type: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN, Method: method,
	}
}

// raw answers for somebody the people file does not know.
func (q Query) raw() Subject {
	s := Subject{
		Prefix: Account, Type: goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN,
		Method: goodhartv1.IdentityMethod_IDENTITY_METHOD_RAW,
	}
	if q.Service {
		s.Prefix, s.Type = ServiceKey, goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE
	}
	for _, id := range []struct{ scope, value string }{
		{"account", q.AccountID},
		{"login", q.Login},
		{"email", q.Email},
		{"user_id", q.UserID},
		{"declared", q.Declared},
	} {
		if id.value != "" {
			s.Scope, s.Raw = id.scope, id.value
			return s
		}
	}
	return Subject{Prefix: Key, Scope: "credential", Raw: q.Credential}
}

// folded spells the ids the way they are compared and takes noreply addresses
// of GitHub apart.
func (q Query) folded() Query {
	if id, login, ok := Noreply(q.Email); ok {
		q.Email = ""
		if q.AccountID == "" {
			q.AccountID = id
		}
		if q.Login == "" {
			q.Login = login
		}
	}
	q.AccountID = fold(KindAccount, q.AccountID)
	q.Login = fold(KindLogin, q.Login)
	q.Email = fold(KindEmail, q.Email)
	q.UserID = fold(KindUserID, q.UserID)
	q.Declared = strings.TrimSpace(q.Declared)
	return q
}

// Noreply parses an address that GitHub gives to commit authors who hide
// theirs: ID+login@users.noreply.github.com, or the older form without id.
func Noreply(email string) (id, login string, ok bool) {
	local, domain, found := strings.Cut(strings.ToLower(strings.TrimSpace(email)), "@")
	if !found || domain != "users.noreply.github.com" || local == "" {
		return "", "", false
	}
	id, login, found = strings.Cut(local, "+")
	if !found {
		return "", local, true
	}
	if strings.Trim(id, "0123456789") != "" || login == "" {
		return "", "", false
	}
	return id, login, true
}
