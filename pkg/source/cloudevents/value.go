package cloudevents

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/goodhartlabs/goodhart/pkg/event"
)

// number is a JSON number, or a string that holds one.
type number struct {
	text string
	set  bool
}

// UnmarshalJSON keeps the text; what is wrong with it is found when it is read.
func (n *number) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		return nil
	}
	n.text, n.set = string(bytes.Trim(data, `"`)), true
	return nil
}

// id is a string or a number that names something.
type id string

// UnmarshalJSON accepts both.
func (s *id) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err == nil {
		*s = id(text)
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(data, &n); err != nil {
		return err
	}
	*s = id(n.String())
	return nil
}

// person is an actor: an object, or a login, or an e-mail address.
type person struct {
	Email     string `json:"email"`
	Login     string `json:"login"`
	AccountID id     `json:"account_id"`
	UserID    id     `json:"user_id"`
	Declared  string `json:"declared"`
	Team      string `json:"team"`
	Service   bool   `json:"service"`
}

// UnmarshalJSON accepts an object or a string.
func (p *person) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		if strings.Contains(text, "@") {
			p.Email = text
		} else {
			p.Login = text
		}
		return nil
	}
	type plain person
	return json.Unmarshal(data, (*plain)(p))
}

func (p *person) actor() event.Actor {
	return event.Actor{
		Email: p.Email, Login: p.Login, AccountID: string(p.AccountID), UserID: string(p.UserID),
		Declared: p.Declared, DeclaredTeam: p.Team, Service: p.Service,
	}
}

// fault is the first bad value of an event.
type fault struct {
	reason, field, detail string
}

// reader reads numbers and stops at the first fault.
type reader struct{ fault *fault }

func (r *reader) fail(reason, field, detail string) {
	if r.fault == nil {
		r.fault = &fault{reason, field, detail}
	}
}

func (r *reader) float(field string, n number) (float64, bool) {
	if !n.set || r.fault != nil {
		return 0, false
	}
	f, err := strconv.ParseFloat(n.text, 64)
	if err != nil && f == 0 { // beyond the range it is infinite
		r.fail(event.ReasonBadNumber, field, string(event.NotNumber))
		return 0, false
	}
	return f, true
}

// count reads a whole number from 0 to limit.
func (r *reader) count(field string, n number, limit int64) *int64 {
	f, ok := r.float(field, n)
	if !ok {
		return nil
	}
	count, problem := event.Count(f, limit)
	if problem != "" {
		r.fail(event.ReasonBadNumber, field, string(problem))
		return nil
	}
	return &count
}

func (r *reader) count32(field string, n number) *uint32 {
	c := r.count(field, n, 1<<31)
	if c == nil {
		return nil
	}
	u := uint32(*c)
	return &u
}

// hash reads 64 bits: 16 hex digits, or a whole number.
func (r *reader) hash(field string, n number) *uint64 {
	if !n.set || r.fault != nil {
		return nil
	}
	h, ok := event.ParseHash(n.text)
	if !ok {
		var err error
		if h, err = strconv.ParseUint(n.text, 10, 64); err != nil {
			r.fail(event.ReasonBadNumber, field, "want 16 hex digits or a whole number of 64 bits")
			return nil
		}
	}
	return &h
}

// ratio reads a number from 0 to 1000 as parts per million.
func (r *reader) ratio(field string, n number) *int32 {
	f, ok := r.float(field, n)
	if !ok {
		return nil
	}
	problem := event.Measure(f)
	if problem == "" && f > 1000 {
		problem = event.OutOfRange
	}
	if problem != "" {
		r.fail(event.ReasonBadNumber, field, string(problem))
		return nil
	}
	ppm := int32(f*1e6 + 0.5)
	return &ppm
}

// offset reads a time zone in minutes east of UTC.
func (r *reader) offset(field string, n number) *int32 {
	f, ok := r.float(field, n)
	if !ok {
		return nil
	}
	if minutes := int32(f); float64(minutes) == f && minutes >= -14*60 && minutes <= 14*60 {
		return &minutes
	}
	r.fail(event.ReasonBadNumber, field, string(event.OutOfRange))
	return nil
}
