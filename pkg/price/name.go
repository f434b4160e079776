package price

import "strings"

// Unknown is the canonical model of usage that names none.
const Unknown = "unknown"

// Prefixes of Bedrock inference profiles, and vendor prefixes of its model ids.
func regions() []string {
	return []string{"us.", "eu.", "apac.", "global.", "jp.", "au.", "us-gov.", "ca.", "sa."}
}

// neutral lists what may follow a known name without changing its price: how
// hard the model thinks, or which snapshot an alias means. Anything else (mini,
// nano, a digit) is another model.
func neutral() []string {
	return []string{
		"-latest", "-default", "-preview", "-thinking", ":thinking", ":beta",
		"-low", "-medium", "-high", "-xhigh", "-max",
	}
}

// Canonical maps a model name as a source spells it to the name under which
// usage is stored, and reports whether the book has prices for it. In order:
// the name as it is; lower case without a [1m] suffix; without the prefixes of
// providers, routers and Bedrock regions and its -v1:0 suffix; without a date;
// without neutral suffixes. An unknown name is returned in lower case without
// prefixes; an empty one is Unknown.
func (b *Book) Canonical(raw string) (name string, known bool) {
	if raw == "" {
		return Unknown, false
	}
	if b != nil {
		if name, ok := b.names[raw]; ok {
			return name, true
		}
	}
	display := normalise(raw)
	if display == "" {
		return Unknown, false
	}
	if b == nil {
		return display, false
	}
	key := dotless(display)
	for {
		if name, ok := b.names[key]; ok {
			return name, true
		}
		shorter := trimDate(key)
		for _, suffix := range neutral() {
			shorter = strings.TrimSuffix(shorter, suffix)
		}
		if shorter == key {
			return display, false
		}
		key = shorter
	}
}

// normalise lowers a name and strips what does not name the model.
func normalise(raw string) string {
	name := strings.ToLower(strings.TrimSpace(raw))
	if i := strings.LastIndexByte(name, '['); i > 0 && strings.HasSuffix(name, "]") {
		name = name[:i]
	}
	name = name[strings.LastIndexByte(name, '/')+1:]
	for _, region := range regions() {
		if rest, ok := strings.CutPrefix(name, region); ok && strings.Contains(rest, ".") {
			name = rest
			break
		}
	}
	name = strings.TrimPrefix(name, "anthropic.")
	if i := strings.LastIndexByte(name, '@'); i > 0 && isSnapshot(name[i+1:]) {
		name = name[:i] + "-" + name[i+1:]
	}
	return trimRevision(name)
}

// isSnapshot reports whether s is what Vertex puts after the @ of a model id.
func isSnapshot(s string) bool {
	return s == "default" || s == "latest" || len(s) == 8 && digits(s)
}

// trimRevision strips Bedrock's -v1:0 or -v1.
func trimRevision(name string) string {
	base, minor, hasMinor := strings.Cut(name, ":")
	if hasMinor && !digits(minor) {
		return name
	}
	i := strings.LastIndex(base, "-v")
	if i <= 0 || !digits(base[i+2:]) {
		return name
	}
	return base[:i]
}

// trimDate strips a -YYYYMMDD or -YYYY-MM-DD suffix.
func trimDate(name string) string {
	for _, n := range []int{len("-20250929"), len("-2025-09-29")} {
		i := len(name) - n
		if i <= 0 || !strings.HasPrefix(name[i:], "-20") {
			continue
		}
		date := name[i+1:]
		if n > 9 && (date[4] != '-' || date[7] != '-') {
			continue
		}
		if digits(strings.ReplaceAll(date, "-", "")) && len(strings.ReplaceAll(date, "-", "")) == 8 {
			return name[:i]
		}
	}
	return name
}

// dotless spells version numbers with dashes: 4.5 and 4-5 are the same.
func dotless(name string) string {
	b := []byte(name)
	for i := 1; i < len(b)-1; i++ {
		if b[i] == '.' && isDigit(b[i-1]) && isDigit(b[i+1]) {
			b[i] = '-'
		}
	}
	return string(b)
}

func digits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// Clean spells a model name as a label, where it can: without a [1m] suffix, the
// path of an ARN or the @ of a Vertex snapshot. The prefix of a provider stays.
func Clean(raw string) string {
	name := raw
	if i := strings.LastIndexByte(name, '['); i > 0 && strings.HasSuffix(name, "]") {
		name = name[:i]
	}
	if strings.HasPrefix(name, "arn:") {
		name = name[strings.LastIndexByte(name, '/')+1:]
	}
	if i := strings.LastIndexByte(name, '@'); i > 0 && isSnapshot(name[i+1:]) {
		name = name[:i] + "-" + name[i+1:]
	}
	return name
}
