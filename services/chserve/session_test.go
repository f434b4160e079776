package chserve

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/goodhartlabs/goodhart/services/chserve/internal/chdb"
)

func TestSessions(t *testing.T) {
	c := serve(t)
	f := func(path, sql, want string) {
		t.Helper()
		a := post(c, path, sql)
		if a.text != want && (!strings.HasPrefix(want, "Code: ") || !strings.HasPrefix(a.text, want)) {
			t.Errorf("%s %q: %q, want %q", path, sql, a.text, want)
		}
	}
	s := "/?session_id=" + c.db
	f(s+"&session_check=1", "SELECT 1", "Code: 372.")
	f(s+"&session_timeout=99999", "SELECT 1", "Code: 374.")
	f(s, "CREATE TEMPORARY TABLE mine (a UInt8)", "")
	f(s, "INSERT INTO mine VALUES (1), (2)", "")
	f(s, "SELECT sum(a) FROM mine", "3\n")
	f("/", "SELECT sum(a) FROM mine", "Code: 60.")
	f(s, "SET max_threads = 5", "")
	f(s, "SELECT getSetting('max_threads')", "5\n")
	f(s+"&max_threads=6", "SELECT getSetting('max_threads')", "6\n")
	f(s+"&session_check=1", "SELECT getSetting('max_threads')", "5\n")
	f(s+"&database=system", "SELECT currentDatabase()", "system\n")
	f("/?session_id=other", "SELECT sum(a) FROM mine", "Code: 60.")
	f(s, "SELECT nosuch", "Code: 47.")
	f(s+"&session_check=1&close_session=1", "SELECT sum(a) FROM mine", "3\n")
	f(s+"&session_check=1", "SELECT 1", "Code: 372.")
}

func TestSessionEndsAtItsTimeout(t *testing.T) {
	c := serve(t)
	if a := post(c, "/?session_id=short&session_timeout=0", "SELECT 1"); a.StatusCode != http.StatusOK {
		t.Fatal(a.text)
	}
	h, err := served()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool {
		h.sessions.mu.Lock()
		defer h.sessions.mu.Unlock()
		return h.sessions.byID["short"] == nil
	})
}

func TestSessionIsLocked(t *testing.T) {
	serve(t) // skips without the engine
	h, err := served()
	if err != nil {
		t.Fatal(err)
	}
	s := &sessions{connect: h.eng.connect, byID: map[string]*session{}}
	first, err := s.enter(sessionRequest{id: "a", timeout: maxSessionTimeout})
	if err != nil {
		t.Fatal(err)
	}
	var locked *chdb.EngineError
	if _, err := s.enter(sessionRequest{id: "a"}); !errors.As(err, &locked) || locked.Code != codeSessionLocked {
		t.Fatalf("second entry: %v", err)
	}
	s.leave(first, false)
	if again, err := s.enter(sessionRequest{id: "a", timeout: maxSessionTimeout}); err != nil || again != first {
		t.Fatalf("re-entry: %v", err)
	}
	s.leave(first, true)
	if s.count() != 0 {
		t.Fatal("a broken session stayed open")
	}
	rest, err := s.enter(sessionRequest{id: "b", timeout: maxSessionTimeout})
	if err != nil {
		t.Fatal(err)
	}
	s.leave(rest, false)
	s.closeAll()
	if s.count() != 0 {
		t.Fatal("a session outlived closeAll")
	}
}
