package up

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// minEngineMemory is what chserve wants at least.
const minEngineMemory = 256 << 20

// engineMemory is what the engine may take; 0 leaves it to the engine, which
// would take nine tenths of the machine from everything beside it.
func (c Config) engineMemory() int64 {
	if c.ClickHouseMemory != 0 {
		return c.ClickHouseMemory
	}
	var machine syscall.Sysinfo_t
	if err := syscall.Sysinfo(&machine); err != nil {
		return 0
	}
	memory := int64(machine.Totalram) * int64(machine.Unit)
	if limit, ok := containerMemory("/sys/fs/cgroup/memory.max"); ok {
		memory = min(memory, limit)
	}
	return max(memory/2, minEngineMemory)
}

// containerMemory reads the limit of a control group; there is none in "max".
func containerMemory(path string) (int64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return limit, err == nil
}
