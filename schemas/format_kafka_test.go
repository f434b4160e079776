package schemas

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	messagesBegin = "<!-- generated: kafka messages -->\n"
	messagesEnd   = "<!-- end generated: kafka messages -->\n"
)

// protoFiles are described in FORMAT.md, in this order.
func protoFiles() []string {
	return []string{"event", "fact", "feature", "dead", "meta", "state", "ledger_state", "subject_state", "tenant_state"}
}

// The tables of FORMAT.md are those of the proto files.
func TestFormatListsMessages(t *testing.T) {
	raw, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), messagesBegin)
	_, after, ok2 := strings.Cut(rest, messagesEnd)
	if !ok || !ok2 {
		t.Fatal("FORMAT.md has no place for the Kafka messages")
	}
	want := before + messagesBegin + describe(t) + messagesEnd + after
	if want == string(raw) {
		return
	}
	if !*update {
		t.Fatal("FORMAT.md does not describe the proto files: run go test -run Format -update")
	}
	if err := os.WriteFile("FORMAT.md", []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The table of topics of FORMAT.md agrees with Topics.
func TestFormatListsTopics(t *testing.T) {
	raw, err := os.ReadFile("FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range Topics() {
		kept := "for ever"
		if topic.Retention > 0 {
			kept = fmt.Sprintf("%d d", int(topic.Retention/day))
		}
		cleanup := "delete"
		switch {
		case topic.Compact && topic.Retention > 0:
			cleanup = "compact,delete"
		case topic.Compact:
			cleanup = "compact"
		}
		row := regexp.MustCompile(`(?m)^\| ` + "`" + regexp.QuoteMeta(topic.Name) + "`" + ` \|.*\| ` + kept + ` \| ` + cleanup + ` \|$`)
		if !row.Match(raw) {
			t.Errorf("no row %s … %s, %s", topic.Name, kept, cleanup)
		}
	}
}

// describe renders the messages and enums of the proto files as Markdown.
func describe(t *testing.T) string {
	t.Helper()
	all, err := filepath.Glob("proto/goodhart/v1/*.proto")
	if err != nil || len(all) != len(protoFiles()) {
		t.Fatalf("%d proto files, %d are described (%v)", len(all), len(protoFiles()), err)
	}
	var b strings.Builder
	for _, name := range protoFiles() {
		raw, err := os.ReadFile("proto/goodhart/v1/" + name + ".proto")
		if err != nil {
			t.Fatal(err)
		}
		describeFile(t, &b, string(raw))
	}
	return b.String()
}

var (
	blockLine = regexp.MustCompile(`^(message|enum) (\w+) \{$`)
	fieldLine = regexp.MustCompile(`^(?:(optional|repeated) )?([\w.]+) (\w+) = (\d+);$`)
	valueLine = regexp.MustCompile(`^(\w+) = (\d+);$`)
)

// describeFile reads the proto file line by line: the house keeps one field to a
// line, its comment above it, and no nested types.
func describeFile(t *testing.T, b *strings.Builder, text string) {
	t.Helper()
	var comment []string
	inside := ""
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		about := strings.ReplaceAll(strings.Join(comment, " "), "|", `\|`)
		switch block, field, value := blockLine.FindStringSubmatch(line), fieldLine.FindStringSubmatch(line), valueLine.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "//"):
			comment = append(comment, strings.TrimSpace(strings.TrimPrefix(line, "//")))
			continue
		case block != nil:
			inside = block[1]
			header := "| no. | field | type | meaning |\n|---|---|---|---|\n"
			if inside == "enum" {
				header = "| no. | value | meaning |\n|---|---|---|\n"
			}
			fmt.Fprintf(b, "\n#### `%s`\n\n%s\n\n%s", block[2], about, header)
		case inside == "message" && field != nil:
			kind := strings.TrimSpace(field[1] + " " + field[2])
			fmt.Fprintf(b, "| %s | `%s` | %s | %s |\n", field[4], field[3], kind, about)
		case inside == "enum" && value != nil:
			fmt.Fprintf(b, "| %s | `%s` | %s |\n", value[2], value[1], about)
		case line == "}":
			inside = ""
		case inside != "" && line != "" && !slices.Contains([]string{"reserved"}, strings.Fields(line)[0]):
			t.Fatalf("cannot read the line %q", line)
		}
		comment = nil
	}
}
