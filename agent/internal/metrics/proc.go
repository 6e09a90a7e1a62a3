package metrics

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// cpuTime is since boot, of all CPUs together, in the kernel's ticks of 10 ms.
type cpuTime struct{ busy, total uint64 }

const idleField, iowaitField = 3, 4

// parseStat reads the first line of /proc/stat (proc_stat(5)). The time of guests is part of user's and nice's.
func parseStat(text string) (cpuTime, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return cpuTime{}, fmt.Errorf("cannot read /proc/stat: %q", line)
	}
	var now cpuTime
	for i, field := range fields[1:9] {
		ticks, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return cpuTime{}, fmt.Errorf("cannot read /proc/stat: %w", err)
		}
		now.total += ticks
		if i != idleField && i != iowaitField {
			now.busy += ticks
		}
	}
	return now, nil
}

// usedSince answers false when no tick has passed.
func (now cpuTime) usedSince(before cpuTime) (float64, bool) {
	if now.total == before.total {
		return 0, false
	}
	if now.total < before.total || now.busy < before.busy { // a CPU was taken away
		return 0, true
	}
	pct := 100 * float64(now.busy-before.busy) / float64(now.total-before.total)
	return math.Round(math.Min(pct, 100)*100) / 100, true
}

// memory is in bytes.
type memory struct{ total, used, cache uint64 }

// parseMeminfo: used is what a new process could not have.
func parseMeminfo(text string) (memory, error) {
	kib := map[string]uint64{}
	for _, line := range strings.Split(text, "\n") {
		name, value, _ := strings.Cut(line, ":")
		if number, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64); err == nil {
			kib[name] = number
		}
	}
	total, available := kib["MemTotal"], kib["MemAvailable"]
	if total == 0 || available > total {
		return memory{}, fmt.Errorf("cannot read /proc/meminfo: %d kB of %d kB are available", available, total)
	}
	return memory{total << 10, (total - available) << 10, kib["Cached"] << 10}, nil
}
