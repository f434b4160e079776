package alerter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// receiver is a place that signals are told to.
type receiver interface {
	// tell delivers notices of one group, oldest revision first, in one request.
	// An error says nothing of whether the receiver has them.
	tell(ctx context.Context, group []*notice) error
	// most is how many notices a request may hold.
	most() int
}

// patience is how long an answer may take.
const patience = 10 * time.Second

// endpoint is where a receiver is posted to. Its URL may be a secret: no error
// names it.
type endpoint struct {
	client *http.Client
	url    string
	header map[string]string
}

func newEndpoint(transport http.RoundTripper, address string, header map[string]string) endpoint {
	return endpoint{url: address, header: header, client: &http.Client{
		Transport: transport,
		Timeout:   patience,
		// A redirect is a wrong address: what is signed or secret goes nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answerError is an answer that is no success.
type answerError struct {
	status int
	// text is the beginning of the body, on one line.
	text string
	// after is how long the receiver asks to be left alone; 0 if it does not.
	after time.Duration
}

func (e *answerError) Error() string {
	return strings.TrimRight(fmt.Sprintf("%d %s: %s", e.status, http.StatusText(e.status), e.text), ": ")
}

// post sends a JSON body; more are headers of this request.
func (e *endpoint) post(ctx context.Context, body []byte, more map[string]string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return errors.New("the url is none") // which the error would repeat
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "goodhart-alerter")
	for _, h := range []map[string]string{e.header, more} {
		for name, value := range h {
			req.Header.Set(name, value)
		}
	}
	resp, err := e.client.Do(req)
	if err != nil {
		if where := new(url.Error); errors.As(err, &where) {
			err = where.Err
		}
		return fmt.Errorf("post: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // what there is of it says enough
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 == 2 {
		return nil
	}
	return &answerError{resp.StatusCode, line(string(text)), retryAfter(resp.Header.Get("Retry-After"), time.Now())}
}

// line is the beginning of a text, on one line.
func line(s string) string {
	const most = 200
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + " …"
	}
	return s
}

// longestAfter bounds what a receiver may ask for.
const longestAfter = 5 * time.Minute

// retryAfter reads a header in seconds or as a date.
func retryAfter(s string, now time.Time) time.Duration {
	after := time.Duration(0)
	if n, err := strconv.ParseUint(s, 10, 32); err == nil {
		after = time.Duration(n) * time.Second
	} else if at, err := http.ParseTime(s); err == nil {
		after = at.Sub(now)
	}
	return min(max(after, 0), longestAfter)
}

// fate is what becomes of what failed.
type fate int

const (
	// retry: it may succeed later; nothing is lost meanwhile.
	retry fate = iota
	// bury: this record will never pass; it becomes a dead letter.
	bury
	// stop: we are wrong, and going on would do harm.
	stop
)

// fateOf decides by the error alone, whether a receiver, a record or Kafka is at
// fault.
func fateOf(err error) fate {
	var (
		answer *answerError
		record *unusable
	)
	switch {
	case errors.As(err, &record):
		return bury // it is no signal, today and tomorrow
	case errors.As(err, &answer):
		switch answer.status {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
			http.StatusProxyAuthRequired, http.StatusGone:
			return retry // the address or the credential is wrong for all records: to be mended, then they pass
		case http.StatusRequestTimeout, http.StatusLocked, http.StatusTooEarly, http.StatusTooManyRequests:
			return retry // later
		}
		if answer.status/100 == 4 {
			return bury // this request is refused for what it says
		}
		return retry // theirs, for now; or a redirect, see above
	case errors.Is(err, kerr.FencedInstanceID):
		return stop // another process runs under this name
	case errors.Is(err, kerr.GroupAuthorizationFailed), errors.Is(err, kerr.TopicAuthorizationFailed):
		return stop // rights are missing
	case errors.Is(err, kerr.UnknownTopicID):
		return stop // the topic was made anew: offsets mean something else now
	default:
		return retry // lost connections, timeouts, brokers that move
	}
}
