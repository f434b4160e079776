// Package jsonschema holds the JSON Schemas (draft 2020-12) of the topics whose
// values are JSON: scores.v1, signals.v1, kpi.v1 and self.v1. Schemas grow by
// fields; a reader must accept fields it does not know. policy.v1 is the document
// of a configuration event, which people write: there an unknown field is an
// error.
package jsonschema

import "embed"

//go:embed *.json
var files embed.FS

// FS returns the schemas: one file per topic, named after the topic without its
// prefix, such as scores.v1.json, and policy.v1.json.
func FS() embed.FS { return files }
