package explain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/goodhartlabs/goodhart/pkg/kschema"
	"github.com/goodhartlabs/goodhart/pkg/score"
	"github.com/goodhartlabs/goodhart/pkg/window"
	"github.com/goodhartlabs/goodhart/schemas"
	"github.com/goodhartlabs/goodhart/services/kafka"
	"github.com/goodhartlabs/goodhart/services/purpose"
)

// statement is what every published record says of itself.
type statement struct {
	Kind    string `json:"kind"`
	Tenant  string `json:"tenant"`
	W       int64  `json:"w"`
	Rev     int64  `json:"rev"`
	Version uint64 `json:"config_version"`

	// Of a signal.
	ID        string `json:"signal_id"`
	Code      string `json:"code"`
	Title     string `json:"title"`
	Status    string `json:"status"`
	Subject   string `json:"subject"`
	ScopeKind string `json:"scope_kind"`
	Scope     string `json:"scope"`

	// Of a score.
	Window string `json:"window"`
	End    int64  `json:"window_end"`

	// Of a group size.
	Team        string `json:"team"`
	Week        int64  `json:"week_start"`
	Publishable bool   `json:"publishable"`
}

// said is a record on its topic.
type said struct {
	*kgo.Record
	statement
	// shown is of the teams of the tenant, where the record is a score.
	shown groups
}

// finder finds the record that is asked about.
type finder struct {
	cfg    Config
	client *kgo.Client
	layout kschema.Layout
}

func (f *finder) find(ctx context.Context) (*said, error) {
	switch {
	case f.cfg.What == Score:
		return f.score(ctx)
	case f.cfg.Grant != "":
		return f.private(ctx)
	}
	key := []byte(f.cfg.ID)
	found, err := f.newest(ctx, schemas.TopicSignals, key, func(s *statement) bool { return s.ID == f.cfg.ID })
	if err == nil && found == nil {
		err = fmt.Errorf("%s is not on %s. A question to a person is on %s alone, and is explained to others for a recorded purpose only: --purpose, --key; docs/privacy.md",
			f.describe(), schemas.TopicSignals, schemas.TopicSelf)
	}
	return found, err
}

func (f *finder) describe() string {
	if f.cfg.Rev >= 0 {
		return fmt.Sprintf("revision %d of %s", f.cfg.Rev, f.cfg.ID)
	}
	return f.cfg.ID
}

// private finds a question to the person that a purpose names. The look is
// recorded before the topic is read.
func (f *finder) private(ctx context.Context) (*said, error) {
	grant, err := purpose.Use(ctx, f.cfg.Kafka, f.cfg.Purpose, f.cfg.Key, f.cfg.Grant, "explain signal "+f.cfg.ID)
	if err != nil {
		return nil, err
	}
	key := []byte(grant.Tenant + "|" + grant.Subject)
	found, err := f.newest(ctx, schemas.TopicSelf, key, func(s *statement) bool {
		return s.ID == f.cfg.ID && s.Tenant == grant.Tenant && s.Subject == grant.Subject
	})
	if err == nil && found == nil {
		err = fmt.Errorf("%s is no question to the person that the purpose names", f.describe())
	}
	return found, err
}

// newest is the record of a key with the revision that is asked for, or the
// newest; nil if the topic holds none.
func (f *finder) newest(ctx context.Context, topic string, key []byte, is func(*statement) bool) (*said, error) {
	partition := schemas.Partition(key, f.layout.Partitions(topic))
	var found *said
	err := f.read(ctx, topic, partition, func(rec *kgo.Record) error {
		if !bytes.Equal(rec.Key, key) {
			return nil
		}
		s := said{Record: rec}
		if err := json.Unmarshal(rec.Value, &s.statement); err != nil {
			return fmt.Errorf("%s/%d at offset %d: %w", topic, partition, rec.Offset, err)
		}
		if is(&s.statement) && (f.cfg.Rev < 0 || s.Rev == f.cfg.Rev) && (found == nil || s.Rev >= found.Rev) {
			found = &s
		}
		return nil
	})
	return found, err
}

// read reads what a partition holds, all of them for a negative one.
func (f *finder) read(ctx context.Context, topic string, partition int32, apply func(*kgo.Record) error) error {
	spans, err := kafka.Spans(ctx, f.client, topic, time.Time{})
	if err != nil {
		return err
	}
	for _, s := range spans {
		if partition >= 0 && s.Partition != partition {
			continue
		}
		if err := s.Read(ctx, f.cfg.Kafka.Options(), apply); err != nil {
			return err
		}
	}
	return nil
}

// score finds the newest revision of the score of a team and window.
func (f *finder) score(ctx context.Context) (*said, error) {
	day, err := time.Parse(time.DateOnly, f.cfg.Day)
	if err != nil {
		return nil, err
	}
	end := day.UnixMilli() + window.Day
	var found *said
	shown := groups{}
	err = f.read(ctx, schemas.TopicScores, -1, func(rec *kgo.Record) error {
		kind := header(rec, "ce_type")
		if kind != score.TypeEfficiency && kind != score.TypeGroupSize {
			return nil
		}
		s := said{Record: rec, shown: shown}
		if err := json.Unmarshal(rec.Value, &s.statement); err != nil {
			return fmt.Errorf("%s/%d at offset %d: %w", rec.Topic, rec.Partition, rec.Offset, err)
		}
		if kind == score.TypeGroupSize {
			if s.Tenant == f.cfg.Tenant {
				shown[teamWeek{s.Team, s.Week}] = s.Publishable
			}
			return nil
		}
		if s.Tenant == f.cfg.Tenant && s.ScopeKind == score.ScopeTeam && s.Scope == f.cfg.Team && s.Window == f.cfg.Window && s.End == end &&
			(f.cfg.Rev < 0 || s.Rev == f.cfg.Rev) && (found == nil || s.Rev >= found.Rev) {
			found = &s
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, errors.New("no efficiency of team " + f.cfg.Team + " for the " + f.cfg.Window + " that end with " + f.cfg.Day + " is on " + schemas.TopicScores)
	}
	return found, nil
}

func header(rec *kgo.Record, key string) string {
	for _, h := range rec.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}
