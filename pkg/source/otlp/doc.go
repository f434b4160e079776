// Package otlp decodes the bodies of OTLP requests, protobuf or JSON and already
// decompressed, and hands each record to the adapter that claims it.
//
// One bad record never fails its batch: it becomes a Rejection with its path,
// and so does every record that no adapter claims. Only a body that is not OTLP
// at all is an error. The functions are pure and safe for concurrent use.
package otlp
