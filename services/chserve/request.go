package chserve

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"sort"
	"strings"

	"github.com/goodhartlabs/goodhart/services/chserve/internal/chdb"
)

// request is one HTTP request in ClickHouse's terms.
type request struct {
	id       string // query id: the client's, else a fresh UUID
	database string // "" for default
	format   string // what the result has where the query names none
	params   []chdb.Param
	settings []setting
	readOnly bool // GET: nothing may change

	compress  bool   // answer in native block frames
	zstd      bool   // frames are ZSTD, else LZ4
	encoding  string // HTTP content coding of the answer, "" for none
	buffered  bool   // wait_end_of_query: hold the answer back until it is known good
	handshake bool   // client_protocol_version was given

	text     string    // the beginning of the query, whole unless it brings data
	rest     io.Reader // what follows text in the body
	urlQuery bool      // the URL held a query, so the body is data or its end
}

// setting is a name and value that go into a SET statement.
type setting struct{ name, value string }

// maxQueryText bounds the text of a query, unless max_query_size says else.
// Data after an INSERT does not count.
const maxQueryText = 1 << 20

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]{0,127}$`)

// parseRequest reads the URL, the headers and as much of the body as the
// query's text can take.
func parseRequest(r *http.Request) (*request, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, raise(codeBadArguments, "BAD_ARGUMENTS", "Cannot parse the URL's query string: %s", err)
	}
	req := &request{
		id:       firstOf(q.Get("query_id"), r.Header.Get("X-ClickHouse-Query-Id")),
		database: firstOf(q.Get("database"), r.Header.Get("X-ClickHouse-Database")),
		format:   firstOf(r.Header.Get("X-ClickHouse-Format"), q.Get("default_format"), "TabSeparated"),
		readOnly: r.Method == http.MethodGet || r.Method == http.MethodHead,
		compress: isTrue(q.Get("compress")),
		zstd:     strings.EqualFold(q.Get("network_compression_method"), "ZSTD"),
		buffered: isTrue(q.Get("wait_end_of_query")),

		handshake: q.Get("client_protocol_version") != "",
		urlQuery:  q.Get("query") != "",
	}
	if req.id == "" {
		req.id = newUUID()
	}
	if !validFormat(req.format) {
		return nil, raise(73, "UNKNOWN_FORMAT", "Unknown format %s", req.format)
	}
	if isTrue(q.Get("enable_http_compression")) {
		req.encoding = chooseEncoding(r.Header.Get("Accept-Encoding"))
	}
	if err := req.readSettings(q); err != nil {
		return nil, err
	}
	return req, req.readBody(r, q)
}

// reserved are the URL parameters that the interface itself consumes; all
// others are settings.
func reserved(name string) bool {
	switch name {
	case "query", "database", "default_format", "query_id", "user", "password", "quota_key", "stacktrace",
		"compress", "decompress", "buffer_size", "wait_end_of_query", "client_protocol_version",
		"session_id", "session_timeout", "session_check", "close_session", "role":
		return true
	}
	return strings.HasPrefix(name, "param_")
}

func (req *request) readSettings(q url.Values) error {
	for name, values := range q {
		value := values[len(values)-1]
		switch {
		case strings.HasPrefix(name, "param_"):
			req.params = append(req.params, chdb.Param{Name: strings.TrimPrefix(name, "param_"), Value: value})
		case reserved(name):
		case name == "format": // of the external table, or nothing we know
		case !settingName.MatchString(name):
			return raise(codeBadArguments, "BAD_ARGUMENTS", "%q in the URL is not the name of a setting", name)
		default:
			req.settings = append(req.settings, setting{name, value})
		}
	}
	sort.Slice(req.settings, func(i, j int) bool {
		// readonly last: it forbids setting anything after it.
		if a, b := req.settings[i].name == "readonly", req.settings[j].name == "readonly"; a != b {
			return b
		}
		return req.settings[i].name < req.settings[j].name
	})
	return nil
}

// setStatement is the SET that applies settings, "" for none.
func setStatement(settings []setting) string {
	if len(settings) == 0 {
		return ""
	}
	parts := make([]string, len(settings))
	for i, s := range settings {
		parts[i] = s.name + " = " + quote(s.value)
	}
	return "SET " + strings.Join(parts, ", ")
}

// unsetStatement undoes setStatement.
func unsetStatement(settings []setting) string {
	parts := make([]string, len(settings))
	for i, s := range settings {
		parts[i] = s.name + " = DEFAULT"
	}
	return "SET " + strings.Join(parts, ", ")
}

var quoter = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

func quote(s string) string { return "'" + quoter.Replace(s) + "'" }

func quoteName(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(s) + "`"
}

// readBody joins the URL's query and the body, and reads the query's text.
func (req *request) readBody(r *http.Request, q url.Values) error {
	body, err := decodeBody(r.Body, r.Header.Get("Content-Encoding"), isTrue(q.Get("decompress")))
	if err != nil {
		return err
	}
	source := body
	if text := q.Get("query"); text != "" {
		source = io.MultiReader(strings.NewReader(text+"\n"), body)
	}
	limit := maxQueryText
	if text := q.Get("query"); len(text) >= limit {
		return raise(codeSyntax, "SYNTAX_ERROR", "Max query size exceeded: the query in the URL has %d bytes", len(text))
	}
	head := make([]byte, limit)
	n, err := io.ReadFull(source, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read request body: %w", err)
	}
	req.text = string(head[:n])
	req.rest = source
	return nil
}

// longText tells whether more follows than a query's text may have.
func (req *request) longText() bool {
	var one [1]byte
	n, _ := io.ReadFull(req.rest, one[:])
	return n > 0
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func isTrue(s string) bool { return s == "1" || strings.EqualFold(s, "true") }

var formatName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)

func validFormat(s string) bool { return formatName.MatchString(s) }

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// credentials finds user and password in the places where ClickHouse looks.
func credentials(r *http.Request) (user, password string) {
	if u := r.Header.Get("X-ClickHouse-User"); u != "" {
		return u, r.Header.Get("X-ClickHouse-Key")
	}
	if u, p, ok := r.BasicAuth(); ok {
		return u, p
	}
	q := r.URL.Query()
	return q.Get("user"), q.Get("password")
}

// authenticate checks the credentials against the one user there is.
func (c Config) authenticate(r *http.Request) error {
	user, password := credentials(r)
	if user == "" {
		user = "default"
	}
	userOK := subtle.ConstantTimeCompare([]byte(user), []byte(c.User)) == 1
	passwordOK := c.Password == "" || subtle.ConstantTimeCompare([]byte(password), []byte(c.Password)) == 1
	if userOK && passwordOK {
		return nil
	}
	return raise(codeAuthentication, "AUTHENTICATION_FAILED",
		"%s: Authentication failed: password is incorrect, or there is no user with such name", user)
}
