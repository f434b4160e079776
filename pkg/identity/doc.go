// Package identity finds who an announcement belongs to: a person of the people
// file with team and role at the time of the event, a service, an account that
// no file knows, or only the API key it came with.
//
// It deals in raw ids and is keyless: what it returns must be turned into a
// pseudonym by the caller before it leaves the collector. A Directory is
// immutable and safe for concurrent use.
package identity
