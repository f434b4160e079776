package chdb

import (
	"syscall"
	"unsafe"
)

// sigaction is the kernel's struct on linux/amd64 and linux/arm64.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// lastSignal is the highest signal number that Linux knows.
const lastSignal = 64

// savedSignals are the process's signal handlers at one moment: Go's own,
// SIGURG (preemption) among them.
type savedSignals [lastSignal + 1]sigaction

func saveSignals() *savedSignals {
	saved := new(savedSignals)
	for sig := 1; sig <= lastSignal; sig++ {
		rtSigaction(sig, nil, &saved[sig])
	}
	return saved
}

// restore puts back each handler that changed since it was saved.
func (s *savedSignals) restore() {
	for sig := 1; sig <= lastSignal; sig++ {
		var now sigaction
		rtSigaction(sig, nil, &now)
		if now != s[sig] {
			rtSigaction(sig, &s[sig], nil)
		}
	}
}

// rtSigaction ignores errors: SIGKILL and SIGSTOP cannot be asked for or set,
// and no other number fails.
func rtSigaction(sig int, set, old *sigaction) {
	_, _, _ = syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), unsafe.Sizeof(sigaction{}.mask), 0, 0)
}
