package apply

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/goodhartlabs/goodhart/pkg/policy"
	"github.com/goodhartlabs/goodhart/services/config"
)

// readPolicy reads a policy file, which must speak of the tenant; one that names
// none speaks of it. Every problem is in the error.
func readPolicy(path, tenant string) (*policy.Policy, error) {
	var tree any
	if err := config.Read(path, &tree); err != nil {
		return nil, fmt.Errorf("policy file: %w", err)
	}
	tree = plain(tree)
	if root, ok := tree.(map[string]any); ok && tenant != "" {
		if named, ok := root["tenant"]; ok && named != tenant {
			return nil, fmt.Errorf("policy file %s: tenant: %v: want %s, as --tenant says", path, named, tenant)
		}
		root["tenant"] = tenant
	}
	document, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("policy file %s: %w", path, err)
	}
	p, err := policy.Parse(document)
	if err != nil {
		return nil, fmt.Errorf("policy file %s:\n%w", path, err)
	}
	if size := len(p.Document()); size > policy.MaxDocument {
		return nil, fmt.Errorf("policy file %s: %d bytes as a document: want at most %d", path, size, policy.MaxDocument)
	}
	return p, nil
}

// plain turns what YAML knows and JSON does not into text: days, keys that are
// no text, numbers that are none.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			v[key] = plain(value)
		}
		return v
	case map[any]any:
		m := make(map[string]any, len(v))
		for key, value := range v {
			m[fmt.Sprint(key)] = plain(value)
		}
		return m
	case []any:
		for i, value := range v {
			v[i] = plain(value)
		}
		return v
	case time.Time:
		if day := v.Format(time.DateOnly); v.Equal(v.Truncate(24*time.Hour)) && v.Location() == time.UTC {
			return day
		}
		return v.Format(time.RFC3339Nano)
	case float64:
		if v != v || v-v != 0 { // not a number, or infinite
			return fmt.Sprint(v)
		}
		return v
	default:
		return v
	}
}
