package event

import (
	"cmp"
	"compress/zlib"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	goodhartv1 "github.com/goodhartlabs/goodhart/schemas/gen/goodhart/v1"
)

// Content is what an announcement quotes of a conversation. It lives as long as
// its draft is stamped, and only what follows from it is kept: numbers and keyed
// hashes.
type Content struct {
	// Turn is what is new since the answer before, empty where nothing is.
	Turn string
	// Target names what the answer acts on, such as a file; empty for nothing.
	// TargetKnown says that the answer was there to look at.
	Target      string
	TargetKnown bool
}

const (
	// contentKeyMS is how long one key hashes content, so that what somebody
	// wrote cannot be linked for longer: 30 days. Keys change at multiples of it
	// since 1970, by event time: a re-send hashes alike.
	contentKeyMS = 30 * 24 * 3600 * 1000
	// minWords is the least number of words that are hashed: fewer are guessed.
	minWords = 8
	// minCompressed and maxCompressed bound, in bytes, what is compressed: short
	// texts say nothing, and of long ones the beginning suffices.
	minCompressed, maxCompressed = 8 << 10, 64 << 10
	// bytesPerToken is the usual estimate.
	bytesPerToken = 4

	scopeTurn   = "turn"
	scopeTarget = "target"
)

// Names of numbers of an activity that follow from content or from the name of a
// tool.
const (
	SideEffects = "side_effects"
	KappaPPM    = "kappa_ppm"
)

// derive sets what follows from content and what the source has not said.
func (s *Stamper) derive(d *Draft, h *hasher) {
	if d.Content == nil || s.blind {
		return
	}
	c := d.Content()
	if d.Event.Activity != nil {
		if ppm := kappa(c.Turn); ppm != nil {
			numbers := append(d.Event.Activity.Numbers, &goodhartv1.Number{Key: KappaPPM, Value: float64(*ppm)})
			slices.SortFunc(numbers, func(a, b *goodhartv1.Number) int { return strings.Compare(a.Key, b.Key) })
			d.Event.Activity.Numbers = numbers
		}
		return
	}
	u := d.Event.Usage
	if u == nil {
		return
	}
	epoch := d.Event.TimeMs / contentKeyMS
	if c.Turn != "" {
		u.NewTurnTokens = cmp.Or(u.NewTurnTokens, tokens(c.Turn))
		u.KappaPpm = cmp.Or(u.KappaPpm, kappa(c.Turn))
	}
	if u.H64 != nil || u.TargetH64 != nil {
		return // the two belong together
	}
	if text, words := normalise(c.Turn); words >= minWords {
		u.H64 = h.content(epoch, scopeTurn, text)
	}
	if c.TargetKnown {
		u.TargetH64 = h.content(epoch, scopeTarget, []byte(c.Target))
	}
}

// content is a keyed hash of 64 bits under the key of an epoch, which follows
// from the tenant's.
func (h *hasher) content(epoch int64, scope string, text []byte) *uint64 {
	k := h.pool.Get().(*keyed)
	k.mac.Reset()
	k.buf = binary.BigEndian.AppendUint64(append(append(k.buf[:0], scope...), '|'), uint64(epoch))
	k.mac.Write(k.buf)
	key := k.mac.Sum(k.sum[:0])
	mac := hmac.New(sha256.New, key)
	h.pool.Put(k)
	mac.Write(text)
	sum := binary.BigEndian.Uint64(mac.Sum(nil))
	return &sum
}

// normalise leaves the words of a text, in lower case with one space between
// them, and counts them: what is typed a little differently hashes alike. Scripts
// without spaces have a word for each letter.
func normalise(text string) (words []byte, n int) {
	words = make([]byte, 0, len(text)+1)
	in := false
	for i := 0; i < len(text); {
		c, size := rune(text[i]), 1
		var letter, alone bool
		if c < utf8.RuneSelf {
			letter = c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
			if c >= 'A' && c <= 'Z' {
				letter, c = true, c+'a'-'A'
			}
		} else {
			c, size = utf8.DecodeRuneInString(text[i:])
			letter = unicode.IsLetter(c) || unicode.IsDigit(c) || unicode.IsMark(c)
			alone = letter && unicode.In(c, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
			c = unicode.ToLower(c)
		}
		i += size
		if !letter {
			in = false
			continue
		}
		if !in || alone {
			if n++; n > 1 {
				words = append(words, ' ')
			}
		}
		in = !alone
		words = utf8.AppendRune(words, c)
	}
	return words, n
}

// tokens estimates the length of a text.
func tokens(text string) *int64 {
	n := int64(len(text)+bytesPerToken-1) / bytesPerToken
	return &n
}

// compressors are ready to be used again: each takes most of a megabyte.
var compressors sync.Pool

// counter counts the bytes that are written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// kappa is the compression ratio of a long text in parts per million, nil for a
// short one.
func kappa(text string) *int32 {
	if len(text) < minCompressed {
		return nil
	}
	text = text[:min(len(text), maxCompressed)]
	var size counter
	z, _ := compressors.Get().(*zlib.Writer)
	if z == nil {
		z = zlib.NewWriter(&size)
	} else {
		z.Reset(&size)
	}
	_, err := z.Write([]byte(text))
	if err != nil || z.Close() != nil {
		return nil // a counter takes everything
	}
	compressors.Put(z)
	ppm := int32(int64(size) * 1e6 / int64(len(text)))
	return &ppm
}
