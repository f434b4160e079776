// Package collector is the role that lets events in: OTLP over HTTP and gRPC
// and CloudEvents over HTTP, authenticated, decoded, priced, pseudonymised and
// produced to goodhart.events.v1.
//
// Delivery: a request gets its 2xx only after Kafka acknowledged every record of
// it with acks=all. A 503 means unknown: some records may be in Kafka already,
// the client sends the whole request again and the ledger fold recognises the
// repetition. What can never be used is refused with its index, field and reason,
// described in goodhart.dead.v1 without its content, and tallied; a bad record
// costs its neighbours nothing.
//
// Privacy: raw ids, addresses and content end in package event. Nothing here
// logs, stores or returns a value that a client sent.
//
// Time: in clock mode wall, acceptance time is the wall clock. In clock mode
// header (simulations, loopback only), it is the greatest Goodhart-Clock header
// seen so far. Ticks carry that clock to every partition of events.v1, so that
// watermarks move where nothing else does.
package collector
