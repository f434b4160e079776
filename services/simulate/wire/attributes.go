// Package wire puts the simulator's traffic into the bytes that real clients
// send: OTLP logs, metrics and traces as Claude Code and instrumented programs
// export them, and CloudEvents over HTTP. Content (prompts, commands, paths,
// error texts) is there as it would be, and carries traffic.Mark.
package wire

import (
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/goodhartlabs/goodhart/services/simulate/traffic"
)

// organisation is the account of the company with the tool's vendor.
const organisation = "6d1c2f0a-5b7e-4c1d-9a55-0c9e7f1b2a34"

// claudeResource describes an installation of the tool.
func claudeResource(m pcommon.Map, s *traffic.Session) {
	m.EnsureCapacity(6)
	m.PutStr("host.arch", "arm64")
	m.PutStr("host.name", traffic.Mark+"-laptop.corp.example")
	m.PutStr("os.type", "darwin")
	m.PutStr("os.version", "25.5.0")
	m.PutStr("service.name", "claude-code")
	m.PutStr("service.version", s.Version)
}

// claudeStandard are the attributes on every point, event and span.
func claudeStandard(m pcommon.Map, s *traffic.Session) {
	m.PutStr("user.id", s.Person.Install)
	m.PutStr("session.id", s.ID)
	if s.Person.SignedIn {
		m.PutStr("organization.id", organisation)
		m.PutStr("user.email", s.Person.Email)
		m.PutStr("user.account_uuid", s.Person.Account)
	}
	m.PutStr("terminal.type", s.Terminal)
}

// numbers spells counts the way a version of the tool does.
type numbers struct {
	m       pcommon.Map
	strings bool
}

func numbersOf(m pcommon.Map, s *traffic.Session) numbers {
	return numbers{m: m, strings: s.Version == traffic.OldVersion}
}

func (n numbers) int(key string, v int64) {
	if n.strings {
		n.m.PutStr(key, strconv.FormatInt(v, 10))
		return
	}
	n.m.PutInt(key, v)
}

func (n numbers) double(key string, v float64) {
	if n.strings {
		n.m.PutStr(key, strconv.FormatFloat(v, 'g', -1, 64))
		return
	}
	n.m.PutDouble(key, v)
}

func stamp(ms int64) pcommon.Timestamp { return pcommon.Timestamp(ms * int64(time.Millisecond)) }

func iso(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

// runs calls f for each run of items of one session, and for each item of it.
func runs(items []traffic.Item, begin func(*traffic.Session), each func(*traffic.Item)) {
	var last *traffic.Session
	for i := range items {
		if s := items[i].Session; s != last {
			begin(s)
			last = s
		}
		each(&items[i])
	}
}
