// Package cloudevents decodes CloudEvents 1.0 over HTTP, in binary, structured
// and batched mode, of the types ai.usage.v1 and ai.outcome.v1.
//
// It is the way in for everything that has no adapter of its own. An event is
// known by its source and id, which the sender chooses. Unknown members and
// extension attributes are dropped. One bad event never fails its batch.
package cloudevents
