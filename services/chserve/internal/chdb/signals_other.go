//go:build !linux

package chdb

// savedSignals are nothing on systems where the engine was never tried.
type savedSignals struct{}

func saveSignals() *savedSignals { return &savedSignals{} }

func (*savedSignals) restore() {}
