package alerter

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// webhook posts each revision as it lies in the topic, signed as
// standardwebhooks.com has it, so that receivers find a library for it.
type webhook struct {
	endpoint

	secret []byte
}

func (w *webhook) most() int { return 1 }

func (w *webhook) tell(ctx context.Context, group []*notice) error {
	n := group[0]
	at := time.Now()
	return w.post(ctx, n.value, map[string]string{
		"Idempotency-Key":   n.sig.key(),
		"Webhook-Id":        n.sig.key(),
		"Webhook-Timestamp": strconv.FormatInt(at.Unix(), 10),
		"Webhook-Signature": sign(w.secret, n.sig.key(), at, n.value),
	})
}

// sign returns "v1," and the base64 of HMAC-SHA256 over id.timestamp.body.
func sign(secret []byte, id string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + strconv.FormatInt(at.Unix(), 10) + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// secretPrefix begins a secret in the standard's form, the rest being base64.
const secretPrefix = "whsec_"

// parseSecret reads a webhook's secret, which has at least 24 bytes.
func parseSecret(s string) ([]byte, error) {
	encoded, standard := strings.CutPrefix(s, secretPrefix)
	secret, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case !standard || err != nil:
		return nil, fmt.Errorf("want %s and base64, as `echo %s$(openssl rand -base64 32)` prints", secretPrefix, secretPrefix)
	case len(secret) < 24:
		return nil, fmt.Errorf("has %d bytes, want 24 or more", len(secret))
	default:
		return secret, nil
	}
}
