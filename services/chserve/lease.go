package chserve

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/goodhartlabs/goodhart/services/chserve/internal/chdb"
)

// lease is a connection in the hands of one request: prepare makes it what the
// request asks for, release undoes that.
type lease struct {
	eng  *engine
	conn *chdb.Conn
	sess *session // nil outside a named session

	undo  []string // statements that make the connection what it was
	spent bool     // its state cannot be undone, or the engine may still be at it

	cancel context.CancelFunc // kills the query that runs
	unbind func() bool        // stops watching for the request's end
	done   chan struct{}      // closed by release
	killer chan struct{}      // closed when the killer is gone
}

// lease takes a connection for the request: a session's own, or any. The
// context it returns ends with the request, or when something failed in it.
func (h *handler) lease(ctx context.Context, req *request) (context.Context, *lease, error) {
	if err := h.eng.take(ctx); err != nil {
		return nil, nil, err
	}
	l := &lease{eng: h.eng, done: make(chan struct{}), killer: make(chan struct{})}
	var err error
	if req.session.id != "" {
		if l.sess, err = h.sessions.enter(req.session); err == nil {
			l.conn = l.sess.conn
		}
	} else {
		l.conn, err = h.eng.connect()
	}
	if err != nil {
		h.eng.give()
		return nil, nil, err
	}
	ctx, l.cancel = context.WithCancel(ctx)
	if err := l.prepare(req); err != nil {
		l.release(h.sessions)
		return nil, nil, err
	}
	l.unbind = context.AfterFunc(ctx, func() {
		defer close(l.killer)
		l.eng.kill(req.mark, l.done)
	})
	return ctx, l, nil
}

// prepare applies the request's database, settings and mark.
func (l *lease) prepare(req *request) error {
	if req.database != "" {
		if err := l.use(req.database); err != nil {
			return err
		}
	}
	for _, s := range req.settings {
		l.spent = l.spent || s.name == "readonly"
	}
	if err := l.rememberSettings(req.settings); err != nil {
		return err
	}
	if err := l.command(setStatement(req.settings, req.mark)); err != nil {
		l.spent = l.spent || l.sess == nil
		return err
	}
	return nil
}

// use changes the current database until release.
func (l *lease) use(database string) error {
	current := "default"
	if l.sess != nil && l.sess.changed {
		rows, err := l.strings("SELECT currentDatabase() AS name, '' AS value")
		if err != nil {
			return err
		}
		current = rows[0].Name
	}
	if database == current {
		return nil
	}
	if err := l.command("USE " + quoteName(database)); err != nil {
		return err
	}
	l.undo = append(l.undo, "USE "+quoteName(current))
	return nil
}

// rememberSettings notes how to undo settings. Outside a session they all had
// their defaults; in one, an earlier SET may have changed them.
func (l *lease) rememberSettings(settings []setting) error {
	if len(settings) == 0 || l.spent && l.sess == nil {
		return nil
	}
	old := map[string]string{}
	if l.sess != nil && l.sess.changed {
		names := make([]string, len(settings))
		for i, s := range settings {
			names[i] = quote(s.name)
		}
		rows, err := l.strings("SELECT name, value FROM system.settings WHERE changed AND name IN (" + strings.Join(names, ", ") + ")")
		if err != nil {
			return err
		}
		for _, row := range rows {
			old[row.Name] = row.Value
		}
	}
	parts := make([]string, len(settings))
	for i, s := range settings {
		parts[i] = s.name + " = DEFAULT"
		if value, ok := old[s.name]; ok {
			parts[i] = s.name + " = " + quote(value)
		}
	}
	l.undo = append(l.undo, "SET "+strings.Join(parts, ", "))
	return nil
}

type nameValue struct{ Name, Value string }

// strings runs a query of two text columns, name and value.
func (l *lease) strings(sql string) ([]nameValue, error) {
	res, err := l.conn.Query(sql, "JSONEachRow", nil)
	if err != nil {
		return nil, err
	}
	defer res.Close()
	var rows []nameValue
	dec := json.NewDecoder(strings.NewReader(string(res.Data)))
	for dec.More() {
		var row nameValue
		if err := dec.Decode(&row); err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// command runs a statement that has no result.
func (l *lease) command(sql string) error {
	res, err := l.conn.Query(sql, "Null", nil)
	if err != nil {
		return err
	}
	res.Close()
	return nil
}

// release ends the watch, undoes prepare and gives the connection back, or
// closes it where its state is in doubt.
func (l *lease) release(sessions *sessions) {
	close(l.done)
	if l.unbind != nil && !l.unbind() {
		<-l.killer // it may hit whatever runs on the connection next
		l.spent = true
	}
	l.cancel()
	for i := len(l.undo) - 1; i >= 0 && !l.spent; i-- {
		l.spent = l.command(l.undo[i]) != nil
	}
	switch {
	case l.sess != nil:
		sessions.leave(l.sess, l.spent)
	case l.spent:
		l.conn.Close()
	default:
		l.eng.retire(l.conn)
	}
	l.eng.give()
}
