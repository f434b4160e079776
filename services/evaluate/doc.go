// Package evaluate measures what the detectors are worth, on simulated companies
// whose truth is known: how often honest people are asked, how much gaming is
// found and when, whether the health card says what is so, beside the cheap rules
// that people would otherwise use.
//
// Each seed of package organisation is played in a few scenarios. Its events go
// straight through the real folds (ledger, subject, tenant), without Kafka between
// them; what the tenant fold publishes is compared with the truth. Nothing is read
// that a user could not read, but for the chances that signals computed of weeks on
// which they did not open.
//
// Package traces reads public traces of real usage; gaming is injected into them and
// goes the same way.
package evaluate
