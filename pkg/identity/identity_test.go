package identity_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/goodhartlabs/goodhart/pkg/identity"
	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

const (
	byCredential = goodhartv1.IdentityMethod_IDENTITY_METHOD_CREDENTIAL
	byLogin      = goodhartv1.IdentityMethod_IDENTITY_METHOD_LOGIN
	byEmail      = goodhartv1.IdentityMethod_IDENTITY_METHOD_EMAIL
	byDeclared   = goodhartv1.IdentityMethod_IDENTITY_METHOD_DECLARED
	byRaw        = goodhartv1.IdentityMethod_IDENTITY_METHOD_RAW
	human        = goodhartv1.IdentityType_IDENTITY_TYPE_HUMAN
	service      = goodhartv1.IdentityType_IDENTITY_TYPE_SERVICE
)

func at(s string) int64 {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return t.UnixMilli()
}

func directory(t *testing.T) *identity.Directory {
	t.Helper()
	d, err := identity.New(identity.File{
		People: []identity.Person{
			{
				ID: "ada", Role: "developer",
				Identities: []identity.RawID{
					{Kind: identity.KindEmail, Value: "Ada@Example.com"},
					{Kind: identity.KindAccount, Value: "acc-1"},
					{Kind: identity.KindLogin, Value: "AdaL"},
					{Kind: identity.KindAccount, Value: "4711"},
				},
				Memberships: []identity.Membership{
					{Team: "engines", From: "2026-01-01", To: "2026-06-01"},
					{Team: "looms", From: "2026-06-01"},
					{Team: "guild", From: "2026-08-01"},
				},
			},
			{ID: "bob", Identities: []identity.RawID{{Kind: identity.KindUserID, Value: "idp-7"}}, Memberships: []identity.Membership{{Team: "looms"}}},
			{ID: "eve", Tenant: "beta", Identities: []identity.RawID{{Kind: identity.KindEmail, Value: "eve@example.com"}}},
		},
		Services:     []identity.Service{{ID: "nightly", Team: "looms", Credential: "k-ci"}},
		Repositories: []identity.Repository{{ID: "git.example/api", Label: "api", Class: "product"}, {ID: "x", Tenant: "beta", Class: "toy"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestFind(t *testing.T) {
	d := directory(t)
	may, july, august := at("2026-05-31T23:59:59Z"), at("2026-07-01T00:00:00Z"), at("2026-08-01T00:00:00Z")
	ada := func(team string, method goodhartv1.IdentityMethod) identity.Subject {
		return identity.Subject{Prefix: "p_", Scope: "person", Raw: "ada", Team: team, Role: "developer", Type: human, Method: method}
	}
	bob := func(method goodhartv1.IdentityMethod) identity.Subject {
		return identity.Subject{Prefix: "p_", Scope: "person", Raw: "bob", Team: "looms", Type: human, Method: method}
	}
	raw := func(scope, id string) identity.Subject {
		return identity.Subject{Prefix: "a_", Scope: scope, Raw: id, Type: human, Method: byRaw}
	}
	for name, c := range map[string]struct {
		q    identity.Query
		want identity.Subject
	}{
		"owner of the key before all else": {identity.Query{Person: "bob", Email: "ada@example.com", AtMS: july}, bob(byCredential)},
		"owner that the file does not know": {
			identity.Query{Person: "zoe", AtMS: july},
			identity.Subject{Prefix: "p_", Scope: "person", Raw: "zoe", Type: human, Method: byCredential},
		},
		"account before e-mail":            {identity.Query{AccountID: "acc-1", Email: "x@example.com", AtMS: july}, ada("looms", byLogin)},
		"login, whatever its case":         {identity.Query{Login: "ADAl", AtMS: july}, ada("looms", byLogin)},
		"e-mail, whatever its case":        {identity.Query{Email: " ada@EXAMPLE.com ", AtMS: july}, ada("looms", byEmail)},
		"id of the identity provider":      {identity.Query{UserID: "idp-7", AtMS: july}, bob(byLogin)},
		"earlier team":                     {identity.Query{Email: "ada@example.com", AtMS: may}, ada("engines", byEmail)},
		"before any":                       {identity.Query{Email: "ada@example.com", AtMS: at("2025-12-31T23:59:59Z")}, ada("", byEmail)},
		"first of two teams":               {identity.Query{Email: "ada@example.com", AtMS: august}, ada("looms", byEmail)},
		"the declared one of two teams":    {identity.Query{Email: "ada@example.com", DeclaredTeam: "guild", AtMS: august}, ada("guild", byEmail)},
		"a declared team that is not hers": {identity.Query{Email: "ada@example.com", DeclaredTeam: "board", AtMS: august}, ada("looms", byEmail)},
		"a declared team not hers yet":     {identity.Query{Email: "ada@example.com", DeclaredTeam: "guild", AtMS: july}, ada("looms", byEmail)},
		"declared":                         {identity.Query{Declared: "ada", AtMS: july}, ada("looms", byDeclared)},
		"declared by e-mail":               {identity.Query{Declared: "Ada@example.com", AtMS: july}, ada("looms", byDeclared)},
		"declared against the key's owner": {identity.Query{Person: "bob", Declared: "ada", AtMS: july}, bob(byCredential)},
		"declared against a mapped e-mail": {identity.Query{Email: "ada@example.com", Declared: "bob", AtMS: july}, ada("looms", byEmail)},
		"declared and unknown, with team":  {identity.Query{Declared: "zoe", DeclaredTeam: "looms", AtMS: july}, raw("declared", "zoe")},
		"unknown account":                  {identity.Query{AccountID: "acc-9", Email: "zoe@example.com"}, raw("account", "acc-9")},
		"unknown e-mail":                   {identity.Query{Email: "Zoe@example.com", UserID: "u"}, raw("email", "zoe@example.com")},
		"unknown install":                  {identity.Query{UserID: "u-1"}, raw("user_id", "u-1")},
		"noreply with id":                  {identity.Query{Email: "4711+someone@users.noreply.github.com", AtMS: july}, ada("looms", byLogin)},
		"old noreply":                      {identity.Query{Email: "adal@users.noreply.github.com", AtMS: july}, ada("looms", byLogin)},
		"unknown noreply":                  {identity.Query{Email: "21031067+Codertocat@users.noreply.github.com"}, raw("account", "21031067")},
		"known service": {
			identity.Query{Credential: "k-ci", Machine: true, Email: "ada@example.com"},
			identity.Subject{Prefix: "s_", Scope: "service", Raw: "nightly", Team: "looms", Type: service, Method: byCredential},
		},
		"unknown service": {
			identity.Query{Credential: "k-x", Machine: true},
			identity.Subject{Prefix: "s_", Scope: "credential", Raw: "k-x", Type: service, Method: byCredential},
		},
		"a bot, says the source": {
			identity.Query{Login: "dependabot[bot]", Service: true},
			identity.Subject{Prefix: "s_", Scope: "login", Raw: "dependabot[bot]", Type: service, Method: byRaw},
		},
		"nobody":                    {identity.Query{Credential: "k-9"}, identity.Subject{Prefix: "k_", Scope: "credential", Raw: "k-9"}},
		"a person of other tenants": {identity.Query{Email: "eve@example.com", Tenant: "acme"}, raw("email", "eve@example.com")},
		"a person of this tenant": {
			identity.Query{Email: "eve@example.com", Tenant: "beta"},
			identity.Subject{Prefix: "p_", Scope: "person", Raw: "eve", Type: human, Method: byEmail},
		},
	} {
		if c.q.Tenant == "" {
			c.q.Tenant = "acme"
		}
		if diff := cmp.Diff(c.want, d.Find(c.q)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestNilDirectory(t *testing.T) {
	var d *identity.Directory
	if got := d.Find(identity.Query{Person: "ada"}); got.Raw != "ada" || got.Prefix != "p_" {
		t.Errorf("owner: %+v", got)
	}
	if got := d.Find(identity.Query{Login: "Ada"}); got.Raw != "ada" || got.Prefix != "a_" {
		t.Errorf("raw: %+v", got)
	}
	if label, class := d.Repository("acme", "x"); label+class != "" {
		t.Errorf("repository %q %q", label, class)
	}
}

func TestRepository(t *testing.T) {
	d := directory(t)
	for _, c := range [][4]string{
		{"acme", "git.example/api", "api", "product"}, {"beta", "x", "", "toy"}, {"acme", "x", "", ""}, {"acme", "", "", ""},
	} {
		if label, class := d.Repository(c[0], c[1]); label != c[2] || class != c[3] {
			t.Errorf("%s of %s: %q %q, want %q %q", c[1], c[0], label, class, c[2], c[3])
		}
	}
}

func TestNoreply(t *testing.T) {
	for in, want := range map[string]string{
		"21031067+Codertocat@users.noreply.github.com": "21031067 codertocat true",
		"codertocat@users.noreply.github.com":          " codertocat true",
		"x+codertocat@users.noreply.github.com":        "  false",
		"1+@users.noreply.github.com":                  "  false",
		"@users.noreply.github.com":                    "  false",
		"a@users.noreply.github.com.evil.example":      "  false",
		"a@example.com":                                "  false",
		"":                                             "  false",
	} {
		id, login, ok := identity.Noreply(in)
		got := id + " " + login + " false"
		if ok {
			got = id + " " + login + " true"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestValidationReportsEverything(t *testing.T) {
	_, err := identity.New(identity.File{
		People: []identity.Person{
			{ID: "", Role: "lead dev"},
			{ID: "secret-name", Identities: []identity.RawID{{Kind: "phone", Value: "1"}, {Kind: "email", Value: "secret@example.com"}, {Kind: "email"}}},
			{ID: "secret-name", Identities: []identity.RawID{{Kind: "email", Value: "SECRET@example.com"}}, Memberships: []identity.Membership{
				{Team: "a@b"}, {Team: "x", From: "1.2.2026"}, {Team: "x", From: "2026-02-01", To: "2026-02-01"}, {},
			}},
		},
		Services:     []identity.Service{{Team: "two words"}, {ID: "s", Credential: "k"}, {ID: "t", Credential: "k"}},
		Repositories: []identity.Repository{{Label: "a b", Class: "c d"}, {ID: "r"}, {ID: "r"}},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"people[0]: id: missing", "people[0]: role:", "people[1]: identities[0]: kind", "people[1]: identities[2]: value: missing",
		"people[2]: id: given twice", "people[2]: identities[0]: belongs to another", "people[2]: memberships[0]: team:",
		"people[2]: memberships[1]: from:", "people[2]: memberships[2]: to:", "people[2]: memberships[3]: team: missing",
		"services[0]: id: missing", "services[0]: credential: missing", "services[0]: team:", "services[2]: credential: given twice",
		"repositories[0]: id: missing", "repositories[0]: label:", "repositories[0]: class:", "repositories[2]: id: given twice",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not say %q:\n%v", want, err)
		}
	}
	if strings.Contains(strings.ToLower(err.Error()), "secret") {
		t.Errorf("the error names a person: %v", err)
	}
}

func TestReadCSV(t *testing.T) {
	f, err := identity.ReadCSV(strings.NewReader("\ufeffperson,role,kind,value,team,from,to\n" +
		"# a comment\n" +
		"ada,developer,email,ada@example.com,engines,2026-01-01,2026-06-01\n" +
		"ada,,login,adal,looms,2026-06-01,\n" +
		"bob,,account,acc-2,looms,,\n" +
		"bob,,account,acc-2,looms,,\n"))
	want := identity.File{People: []identity.Person{
		{
			ID: "ada", Role: "developer",
			Identities:  []identity.RawID{{Kind: "email", Value: "ada@example.com"}, {Kind: "login", Value: "adal"}},
			Memberships: []identity.Membership{{Team: "engines", From: "2026-01-01", To: "2026-06-01"}, {Team: "looms", From: "2026-06-01"}},
		},
		{ID: "bob", Identities: []identity.RawID{{Kind: "account", Value: "acc-2"}}, Memberships: []identity.Membership{{Team: "looms"}}},
	}}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Error(diff)
	}
	for in, want := range map[string]string{
		"":                             "no header",
		"role\nx":                      "no column person",
		"person,person\na,b":           `column "person"`,
		"person,age\na,1":              `column "age"`,
		"person,role\na":               "row 2: 1 fields",
		"person,role\na,x\na,y":        "row 3: role",
		"person,from\na,2026-01-01":    "without a team",
		"person,role\n\"a":             "quote",
		"person,role,team\na\nb\nc,,,": "row 4: 4 fields",
	} {
		if _, err := identity.ReadCSV(strings.NewReader(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", in, err, want)
		}
	}
}

func FuzzReadCSV(f *testing.F) {
	f.Add("person,role,kind,value,team,from,to\nada,dev,email,a@b.c,t,2026-01-01,\n")
	f.Add("person\n\n\"\"\n")
	f.Fuzz(func(t *testing.T, in string) {
		file, err := identity.ReadCSV(strings.NewReader(in))
		if err != nil {
			return
		}
		d, err := identity.New(file)
		if err != nil {
			return
		}
		for _, p := range file.People {
			if got := d.Find(identity.Query{Person: p.ID}); got.Raw != p.ID {
				t.Errorf("person %q is %+v", p.ID, got)
			}
		}
	})
}
