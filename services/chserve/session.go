package chserve

import (
	"sync"
	"time"

	"github.com/goodhartlabs/goodhart/services/chserve/internal/chdb"
)

// Bounds of named sessions. Each holds a connection.
const (
	maxSessions           = 512
	defaultSessionTimeout = time.Minute
	maxSessionTimeout     = time.Hour
)

// sessionRequest is what a request says about its session.
type sessionRequest struct {
	id      string // "" for none
	timeout time.Duration
	check   bool // fail if there is no such session yet
	close   bool // end it after this query
}

// session is a connection that keeps its settings, current database and
// temporary tables from one request to the next.
type session struct {
	id      string
	conn    *chdb.Conn
	changed bool // a statement in it changed settings or the database

	uses    int // tells the timer of an earlier rest that it comes too late
	busy    bool
	closing bool
	timeout time.Duration
	timer   *time.Timer // ends the session when it was idle for timeout
}

// sessions are the named sessions by id. Safe for concurrent use.
type sessions struct {
	connect func() (*chdb.Conn, error)
	mu      sync.Mutex
	byID    map[string]*session
}

// enter opens or resumes a session and holds it until leave. A session that
// another request holds is locked: clients get an error rather than a wait.
func (s *sessions) enter(req sessionRequest) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess := s.byID[req.id]
	switch {
	case sess != nil && sess.busy:
		return nil, raise(codeSessionLocked, "SESSION_IS_LOCKED", "Session %s is locked by a concurrent client", req.id)
	case sess == nil && req.check:
		return nil, raise(codeSessionNotFound, "SESSION_NOT_FOUND", "Session %s not found", req.id)
	case sess == nil && len(s.byID) >= maxSessions:
		return nil, raise(codeTooManyQueries, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many sessions: %d are open", maxSessions)
	case sess == nil:
		conn, err := s.connect()
		if err != nil {
			return nil, err
		}
		sess = &session{id: req.id, conn: conn}
		s.byID[req.id] = sess
	default:
		sess.timer.Stop()
	}
	sess.uses++
	sess.busy, sess.closing, sess.timeout = true, req.close, req.timeout
	return sess, nil
}

// leave lets the session rest until its next request or its timeout. A broken
// one ends.
func (s *sessions) leave(sess *session, broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess.busy = false
	if broken || sess.closing {
		s.end(sess)
		return
	}
	uses := sess.uses
	sess.timer = time.AfterFunc(sess.timeout, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if sess.uses == uses && s.byID[sess.id] == sess {
			s.end(sess)
		}
	})
}

func (s *sessions) end(sess *session) {
	delete(s.byID, sess.id)
	sess.conn.Close()
}

// closeAll ends every session. None may be held.
func (s *sessions) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sess := range s.byID {
		if sess.timer != nil {
			sess.timer.Stop()
		}
		s.end(sess)
	}
}

// count is the number of open sessions.
func (s *sessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID)
}
