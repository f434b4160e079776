// Package e2e holds tests that cross packages: from the bytes that a tool sends
// to what is counted, and whole pipelines of real processes.
package e2e
