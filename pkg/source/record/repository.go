package record

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/goodhartlabs/goodhart/pkg/event"
)

// Repository is where the work was done, by the conventions for version control.
// Read the resource first, then the record.
type Repository struct{ url, owner, name string }

// Read takes an attribute that names the repository and reports whether it was
// one.
func (r *Repository) Read(key string, value pcommon.Value) bool {
	var to *string
	switch key {
	case "vcs.repository.url.full", "github.copilot.git.repository":
		to = &r.url
	case "vcs.owner.name":
		to = &r.owner
	case "vcs.repository.name":
		to = &r.name
	default:
		return false
	}
	if s := Text(value); s != "" {
		*to = s
	}
	return true
}

// ID spells the repository as the people file does, host/owner/name, with as much
// of it as is known; empty if nothing is.
func (r *Repository) ID() string {
	if r.url != "" {
		return repositoryOf(r.url)
	}
	if r.owner != "" && r.name != "" && !strings.Contains(r.name, "/") {
		return r.owner + "/" + r.name
	}
	return r.name
}

// repositoryOf reduces the URL of a repository, or what git clones from, to host
// and path.
func repositoryOf(url string) string {
	_, rest, schemed := strings.Cut(url, "://")
	if !schemed {
		rest = url
	}
	rest, _, _ = strings.Cut(rest, "?")
	rest, _, _ = strings.Cut(rest, "#")
	host, path, _ := strings.Cut(rest, "/")
	if !schemed {
		if h, p, ok := strings.Cut(host, ":"); ok && !strings.Contains(h, "/") { // user@host:path
			host, path = h, strings.Trim(p+"/"+path, "/")
		}
	}
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	return event.RepositoryID(host, strings.TrimSuffix(strings.Trim(path, "/"), ".git"))
}
