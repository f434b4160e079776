package chserve

import (
	"crypto/rand"
	"encoding/hex"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/goodhartlabs/goodhart/services/chserve/internal/chdb"
)

// request is one HTTP request in ClickHouse's terms.
type request struct {
	id       string // query id: the client's, else a fresh UUID
	mark     string // unlike any other request's
	database string // "" for default
	format   string // what the result has where the query names none
	params   []chdb.Param
	settings []setting
	session  sessionRequest
	readOnly bool // GET: nothing may change

	compress  bool   // answer in native block frames
	zstd      bool   // frames are ZSTD, else LZ4
	encoding  string // HTTP content coding of the answer, "" for none
	buffered  bool   // wait_end_of_query: hold the answer back until it is known good
	handshake bool   // client_protocol_version was given

	text     string    // the beginning of the query, whole unless it brings data
	limit    int       // bytes of text that a query may have
	rest     io.Reader // what follows text in the body
	external []externalTable
}

// setting is a name and value that go into a SET statement.
type setting struct{ name, value string }

// maxQueryText bounds the text of a query, unless max_query_size says else.
// Data behind an INSERT does not count.
const maxQueryText = 256 << 10

var (
	settingPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]{0,127}$`)
	formatPattern  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)
)

// parseRequest reads the URL, the headers and as much of the body as the
// query's text can take.
func parseRequest(r *http.Request) (*request, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, raise(codeBadArguments, "BAD_ARGUMENTS", "Cannot parse the URL's query string: %s", err)
	}
	if form := multipartForm(r); form != nil {
		return parseForm(r, q, form)
	}
	req, err := newRequest(r, q)
	if err != nil {
		return nil, err
	}
	return req, req.readBody(r, q)
}

// newRequest reads everything but the body.
func newRequest(r *http.Request, q url.Values) (*request, error) {
	req := &request{
		id:       firstOf(q.Get("query_id"), r.Header.Get("X-ClickHouse-Query-Id"), newUUID()),
		mark:     newUUID(),
		database: firstOf(q.Get("database"), r.Header.Get("X-ClickHouse-Database")),
		format:   firstOf(r.Header.Get("X-ClickHouse-Format"), q.Get("default_format"), "TabSeparated"),
		readOnly: r.Method == http.MethodGet || r.Method == http.MethodHead,
		compress: isTrue(q.Get("compress")),
		zstd:     strings.EqualFold(q.Get("network_compression_method"), "ZSTD"),
		buffered: isTrue(q.Get("wait_end_of_query")),
		limit:    maxQueryText,

		handshake: q.Get("client_protocol_version") != "",
	}
	if !formatPattern.MatchString(req.format) {
		return nil, raise(codeUnknownFormat, "UNKNOWN_FORMAT", "Unknown format %s", req.format)
	}
	if isTrue(q.Get("enable_http_compression")) {
		req.encoding = chooseEncoding(r.Header.Get("Accept-Encoding"))
	}
	if err := req.readSession(q); err != nil {
		return nil, err
	}
	return req, req.readSettings(q)
}

func (req *request) readSession(q url.Values) error {
	req.session = sessionRequest{
		id: q.Get("session_id"), timeout: defaultSessionTimeout,
		check: isTrue(q.Get("session_check")), close: isTrue(q.Get("close_session")),
	}
	text := q.Get("session_timeout")
	if text == "" {
		return nil
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil || time.Duration(seconds)*time.Second > maxSessionTimeout {
		return raise(codeSessionTimeout, "INVALID_SESSION_TIMEOUT", "Invalid session timeout %q: want 0 to %d seconds", text, int(maxSessionTimeout.Seconds()))
	}
	req.session.timeout = time.Duration(seconds) * time.Second
	return nil
}

// reserved are the URL parameters that the interface itself consumes; all
// others are settings.
func reserved(name string) bool {
	switch name {
	case "query", "database", "default_format", "query_id", "user", "password", "quota_key", "stacktrace",
		"compress", "decompress", "buffer_size", "wait_end_of_query", "client_protocol_version",
		"session_id", "session_timeout", "session_check", "close_session", "role", markSetting:
		return true
	}
	return false
}

func (req *request) readSettings(q url.Values) error {
	for name, values := range q {
		value := values[len(values)-1]
		switch param, isParam := strings.CutPrefix(name, "param_"); {
		case isParam:
			req.params = append(req.params, chdb.Param{Name: param, Value: value})
		case reserved(name):
		case !settingPattern.MatchString(name):
			return raise(codeBadArguments, "BAD_ARGUMENTS", "%q in the URL is not the name of a setting", name)
		default:
			req.settings = append(req.settings, setting{name, value})
		}
		if name == "max_query_size" {
			if n, err := strconv.Atoi(value); err == nil && n > 0 {
				req.limit = min(n, 64<<20)
			}
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

// setStatement is the SET that applies a request's mark and settings.
func setStatement(settings []setting, mark string) string {
	parts := []string{markSetting + " = " + quote(mark)}
	for _, s := range settings {
		parts = append(parts, s.name+" = "+quote(s.value))
	}
	return "SET " + strings.Join(parts, ", ")
}

func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

func quoteName(s string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(s) + "`"
}

// readBody joins the URL's query and the body, and reads the query's text.
func (req *request) readBody(r *http.Request, q url.Values) error {
	body, err := decodeBody(r.Body, r.Header.Get("Content-Encoding"), isTrue(q.Get("decompress")))
	if err != nil {
		return err
	}
	if text := q.Get("query"); text != "" {
		body = io.MultiReader(strings.NewReader(text+"\n"), body)
	}
	head, err := io.ReadAll(io.LimitReader(body, int64(req.limit)))
	if err != nil {
		return raise(codeNetwork, "NETWORK_ERROR", "Cannot read the request body: %s", err)
	}
	req.text, req.rest = string(head), body
	return nil
}

// checkLength fails if more follows than a query's text may have.
func (req *request) checkLength() error {
	var one [1]byte
	if n, _ := io.ReadFull(req.rest, one[:]); n == 0 {
		return nil
	}
	return raise(codeSyntax, "SYNTAX_ERROR", "Max query size exceeded (can be increased with the `max_query_size` setting): %d bytes", req.limit)
}

func multipartForm(r *http.Request) map[string]string {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" {
		return nil
	}
	return params
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

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
