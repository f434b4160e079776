package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"
)

// IDSize is the length of event ids and request keys in bytes.
const IDSize = 16

// MinKey is the least length of a tenant's key in bytes.
const MinKey = 32

// Keyring holds the HMAC key of each tenant. The keys are not rotated: a new
// key makes every pseudonym and conversation a new one.
type Keyring map[string][]byte

// Key returns a tenant's key.
func (k Keyring) Key(tenant string) ([]byte, error) {
	key, ok := k[tenant]
	if !ok {
		return nil, fmt.Errorf("tenant %q: no key", tenant)
	}
	return key, nil
}

// Validate reports every tenant whose name is not a label or whose key is too
// short, joined.
func (k Keyring) Validate() error {
	var errs []error
	if len(k) == 0 {
		errs = append(errs, errors.New("keys: want at least one tenant"))
	}
	for tenant, key := range k {
		if !IsLabel(tenant) {
			errs = append(errs, fmt.Errorf("keys: tenant %q: want 1 to 128 of A-Z a-z 0-9 . _ : / -", tenant))
		}
		if len(key) < MinKey {
			errs = append(errs, fmt.Errorf("keys: tenant %q: key of %d bytes: want at least %d", tenant, len(key), MinKey))
		}
	}
	slices.SortFunc(errs, func(a, b error) int {
		if a.Error() < b.Error() {
			return -1
		}
		return 1
	})
	return errors.Join(errs...)
}

// Scopes of keyed hashes. The same raw string in two scopes has two hashes.
const (
	scopeConversation = "conversation"
	scopePrompt       = "prompt"
	scopeRepository   = "repository"
	scopeRaw          = "raw"
	scopeObject       = "object"
	scopeSHA          = "sha"
)

// hasher makes the keyed hashes of one tenant; safe for concurrent use.
type hasher struct{ pool sync.Pool }

// keyed is a ready HMAC with room for its input and output, and with what it
// made last: the events of a request mostly share session, prompt and person.
type keyed struct {
	mac  hash.Hash
	buf  []byte
	sum  [sha256.Size]byte
	memo [memoSize]memo
}

// memo is one remembered hash.
type memo struct{ prefix, scope, raw, hash string }

const (
	// memoSize is the number of hashes that are remembered.
	memoSize = 64
	// maxRemembered is the length of the longest id that is.
	maxRemembered = 256
)

// slot is where the hash of raw is remembered. Ids differ at their ends.
func slot(raw string) int {
	h := uint32(len(raw))
	for i := max(0, len(raw)-8); i < len(raw); i++ {
		h = h*31 + uint32(raw[i])
	}
	return int(h % memoSize)
}

func newHasher(key []byte) *hasher {
	key = slices.Clone(key)
	return &hasher{pool: sync.Pool{New: func() any { return &keyed{mac: hmac.New(sha256.New, key)} }}}
}

// hash returns prefix and 32 hex digits: the first 16 bytes of
// HMAC-SHA256(key, scope "|" raw). It is empty if raw is.
func (h *hasher) hash(prefix, scope, raw string) string {
	if raw == "" {
		return ""
	}
	k := h.pool.Get().(*keyed)
	defer h.pool.Put(k)
	m := &k.memo[slot(raw)]
	if m.raw == raw && m.scope == scope && m.prefix == prefix {
		return m.hash
	}
	k.buf = append(append(append(k.buf[:0], scope...), '|'), raw...)
	k.mac.Reset()
	k.mac.Write(k.buf)
	sum := k.mac.Sum(k.sum[:0])
	k.buf = hex.AppendEncode(append(k.buf[:0], prefix...), sum[:IDSize])
	out := string(k.buf)
	if len(raw) <= maxRemembered {
		*m = memo{prefix: prefix, scope: scope, raw: strings.Clone(raw), hash: out}
	}
	return out
}

// bufs lends buffers for the inputs of plain hashes.
type bufs struct{ pool sync.Pool }

func (b *bufs) get() *[]byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return p
	}
	p := make([]byte, 0, 512)
	return &p
}

// appendPart appends a part with its length, so that no two lists of parts make
// the same bytes.
func appendPart(dst []byte, part string) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(part)))
	return append(dst, part...)
}

// appendID appends the first IDSize bytes of SHA-256 over the parts.
func (b *bufs) appendID(dst []byte, head, tail []string) []byte {
	p := b.get()
	defer b.pool.Put(p)
	buf := (*p)[:0]
	for _, part := range head {
		buf = appendPart(buf, part)
	}
	for _, part := range tail {
		buf = appendPart(buf, part)
	}
	sum := sha256.Sum256(buf)
	*p = buf
	return append(dst, sum[:IDSize]...)
}
