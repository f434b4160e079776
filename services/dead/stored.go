package dead

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
)

// leaveStored takes the records to publish whose event the tables hold already,
// and beyond the horizon those whose request another announcement counts.
func (p *planner) leaveStored(ctx context.Context, steps []*step) error {
	var ids, requests []string
	for _, s := range steps {
		if s.way == wayPublish && s.event != nil {
			ids = append(ids, nameOf(s.event.Tenant, s.event.EventId))
			requests = append(requests, nameOf(s.event.Tenant, s.event.RequestKey))
		}
	}
	if len(ids) == 0 {
		return nil
	}
	events, err := p.among(ctx, ids, `SELECT tenant, event_id AS id FROM core.usage UNION ALL SELECT tenant, event_id AS id FROM core.activity
		UNION ALL SELECT tenant, event_id AS id FROM core.outcomes`)
	if err != nil {
		return fmt.Errorf("look for stored events: %w", err)
	}
	counted, err := p.among(ctx, requests, `SELECT tenant, request_key AS id FROM core.usage WHERE observational = 0`)
	if err != nil {
		return fmt.Errorf("look for counted requests: %w", err)
	}
	for _, s := range steps {
		if s.way != wayPublish || s.event == nil {
			continue
		}
		switch old := p.now.Sub(s.letter.Time) > p.cfg.Horizon; {
		case events[nameOf(s.event.Tenant, s.event.EventId)]:
			s.leave(whyStored)
		case old && len(s.event.RequestKey) > 0 && counted[nameOf(s.event.Tenant, s.event.RequestKey)]:
			s.leave("it is too old to be recognised, and its request counts through another announcement")
		}
	}
	return nil
}

func nameOf(tenant string, id []byte) string {
	return tenant + "|" + strings.ToUpper(hex.EncodeToString(id))
}

// among returns those of the names that the rows of a query have.
func (p *planner) among(ctx context.Context, names []string, from string) (map[string]bool, error) {
	rows, err := p.conn.Query(ctx, "SELECT DISTINCT concat(x.tenant, '|', hex(x.id)) AS name FROM ("+from+") AS x WHERE name IN (?)", names)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	found := map[string]bool{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		found[name] = true
	}
	return found, rows.Err()
}
