package chserve

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
)

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
	if same(firstOf(user, "default"), c.User) && (c.Password == "" || same(password, c.Password)) {
		return c.refuseBrowsers(r)
	}
	return raise(codeAuthentication, "AUTHENTICATION_FAILED",
		"%s: Authentication failed: password is incorrect, or there is no user with such name", firstOf(user, "default"))
}

// same compares in constant time, whatever the lengths.
func same(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// refuseBrowsers keeps foreign web pages out where no password does: a page
// may make the browser of this machine's user send a query to loopback, either
// openly, with its Origin, or under a name that it let point to 127.0.0.1.
func (c Config) refuseBrowsers(r *http.Request) error {
	if c.Password != "" {
		return nil
	}
	if !localName(r.Host) {
		return raise(codeAccessDenied, "ACCESS_DENIED", "The Host %q is not this machine's loopback address, and no password is set", r.Host)
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return nil
	}
	if u, err := url.Parse(origin); err == nil && localName(u.Host) {
		return nil
	}
	return raise(codeAccessDenied, "ACCESS_DENIED", "The web page %q may not query: it is not of this machine, and no password is set", origin)
}

// localName tells whether host[:port] names loopback.
func localName(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	return isLoopback(host)
}
