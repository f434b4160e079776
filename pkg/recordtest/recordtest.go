// Package recordtest is for tests of what writes the JSON of records: the published
// schemas, compiled, and the order of fields.
package recordtest

import (
	"bytes"
	"encoding/json"
	"testing"

	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/goodhartlabs/goodhart/schemas/jsonschema"
)

// File returns the text of a published schema.
func File(tb testing.TB, name string) []byte {
	tb.Helper()
	raw, err := jsonschema.FS().ReadFile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// Schema returns a published schema by its file name, such as scores.v1.json.
func Schema(tb testing.TB, name string) *validator.Schema {
	tb.Helper()
	doc, err := validator.UnmarshalJSON(bytes.NewReader(File(tb, name)))
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	c := validator.NewCompiler()
	c.DefaultDraft(validator.Draft2020)
	id, _ := doc.(map[string]any)["$id"].(string)
	if err := c.AddResource(id, doc); err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	schema, err := c.Compile(id)
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	return schema
}

// Fields returns the names in a JSON object, in order.
func Fields(tb testing.TB, raw []byte) []string {
	tb.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil { // the opening brace
		tb.Fatal(err)
	}
	var names []string
	for d.More() {
		name, err := d.Token()
		if err != nil {
			tb.Fatal(err)
		}
		var skip json.RawMessage
		if err := d.Decode(&skip); err != nil {
			tb.Fatal(err)
		}
		text, _ := name.(string)
		names = append(names, text)
	}
	return names
}
