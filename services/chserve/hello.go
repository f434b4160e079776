package chserve

import (
	"encoding/binary"
	"strings"
)

// isHello recognises the question with which clickhouse-go opens a connection.
func isHello(text string) bool {
	return strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), ";")) ==
		"SELECT displayName(), version(), revision(), timezone()"
}

// displayName is what the server calls itself.
const displayName = "goodhart-chserve"

// helloBlock answers isHello in the Native format of the newest protocol, which
// the client assumes here and nowhere else. It says revision 0, so that the
// client reads all later blocks as revision 0: those are what the engine's
// Native format writes.
func helloBlock(version, timezone string) []byte {
	var b []byte
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	b = append(b, 1, 0)                                 // block info, field 1: not an overflow block
	b = append(b, 2)                                    // field 2: bucket number
	b = binary.LittleEndian.AppendUint32(b, 0xFFFFFFFF) // −1: none
	b = append(b, 0)                                    // end of block info
	b = append(b, 4, 1)                                 // columns, rows
	for _, c := range []struct{ name, kind, value string }{
		{"displayName()", "String", displayName},
		{"version()", "String", version},
		{"revision()", "UInt32", "\x00\x00\x00\x00"},
		{"timezone()", "String", timezone},
	} {
		text(c.name)
		text(c.kind)
		b = append(b, 0) // no custom serialisation
		if c.kind == "String" {
			text(c.value)
			continue
		}
		b = append(b, c.value...)
	}
	return b
}
