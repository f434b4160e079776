package console

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/event"
)

// Token says who may see what concerns them. Whoever holds its text is that person.
type Token struct {
	Tenant, Subject string
	// Issued and Expires are in whole seconds.
	Issued, Expires time.Time
}

// mostLife is how long a token may live.
const mostLife = 90 * 24 * time.Hour

// prefix begins the text of a token, so that a scanner of secrets knows it.
const prefix = "ghme_"

var pseudonym = regexp.MustCompile(`^[pak]_[0-9a-f]{32}$`)

// Text signs a token with its tenant's key.
func (t Token) Text(ring event.Keyring) (string, error) {
	key, err := ring.Key(t.Tenant)
	if err != nil {
		return "", err
	}
	if !pseudonym.MatchString(t.Subject) {
		return "", errors.New("subject: want the pseudonym of a person, an account or a personal key")
	}
	if life := t.Expires.Sub(t.Issued); life <= 0 || life > mostLife {
		return "", fmt.Errorf("life of %v: want at most %v", life, mostLife)
	}
	content := fmt.Sprintf("1|%s|%s|%d|%d", t.Tenant, t.Subject, t.Issued.Unix(), t.Expires.Unix())
	encode := base64.RawURLEncoding.EncodeToString
	return prefix + encode([]byte(content)) + "." + encode(sign(key, content)), nil
}

// sign is an HMAC under a key of its own, which the tenant's gives.
func sign(tenantKey []byte, content string) []byte {
	derive := hmac.New(sha256.New, tenantKey)
	derive.Write([]byte("console|token|v1"))
	mac := hmac.New(sha256.New, derive.Sum(nil))
	mac.Write([]byte(content))
	return mac.Sum(nil)
}

// errToken is why no token is good: who may not come in is not told more.
var errToken = errors.New("a valid personal token is needed: Authorization: Bearer <token>")

// readToken reads the text of a token that is in force.
func readToken(text string, ring event.Keyring, now, since time.Time) (Token, error) {
	body, signed, ok := strings.Cut(strings.TrimPrefix(text, prefix), ".")
	content, err := base64.RawURLEncoding.Strict().DecodeString(body)
	mac, macErr := base64.RawURLEncoding.Strict().DecodeString(signed)
	if !ok || !strings.HasPrefix(text, prefix) || err != nil || macErr != nil {
		return Token{}, errToken
	}
	parts := strings.Split(string(content), "|")
	if len(parts) != 5 || parts[0] != "1" {
		return Token{}, errToken
	}
	key, known := ring[parts[1]]
	if !known {
		key = make([]byte, event.MinKey) // it takes as long to say no
	}
	if !hmac.Equal(mac, sign(key, string(content))) || !known {
		return Token{}, errToken
	}
	issued, err := strconv.ParseInt(parts[3], 10, 64)
	expires, expErr := strconv.ParseInt(parts[4], 10, 64)
	if err != nil || expErr != nil {
		return Token{}, errToken
	}
	t := Token{Tenant: parts[1], Subject: parts[2], Issued: time.Unix(issued, 0), Expires: time.Unix(expires, 0)}
	if !now.Before(t.Expires) || t.Issued.Before(since) || t.Expires.Sub(t.Issued) > mostLife || !pseudonym.MatchString(t.Subject) {
		return Token{}, errToken
	}
	return t, nil
}
