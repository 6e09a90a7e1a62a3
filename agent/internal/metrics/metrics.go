// Package metrics is envd's /metrics: how busy the machine is. The CPU's share is that since the call before (the
// first one's is since boot), so nothing runs between calls.
package metrics

import (
	"net/http"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/connect"
)

// sample is envd's answer. Sizes are bytes where no unit is said.
type sample struct {
	Ts          int64   `json:"ts"` // seconds of Unix time
	CpuCount    int     `json:"cpu_count"`
	CpuUsedPct  float64 `json:"cpu_used_pct"` // 0 to 100, of all CPUs together
	MemTotalMib uint64  `json:"mem_total_mib"`
	MemUsedMib  uint64  `json:"mem_used_mib"`
	MemTotal    uint64  `json:"mem_total"`
	MemUsed     uint64  `json:"mem_used"`
	MemCache    uint64  `json:"mem_cache"`
	DiskUsed    uint64  `json:"disk_used"`
	DiskTotal   uint64  `json:"disk_total"`
}

type service struct {
	lock sync.Mutex
	last cpuTime
	pct  float64
}

// Register adds the call.
func Register(mux *http.ServeMux) {
	s := &service{}
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		taken, err := s.sample()
		if err != nil {
			connect.WriteError(w, err)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		connect.WriteJSON(w, http.StatusOK, taken)
	})
}

func (s *service) sample() (sample, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return sample{}, err
	}
	meminfo, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return sample{}, err
	}
	now, err := parseStat(string(stat))
	if err != nil {
		return sample{}, err
	}
	memory, err := parseMeminfo(string(meminfo))
	if err != nil {
		return sample{}, err
	}
	var disk unix.Statfs_t
	if err := unix.Statfs("/", &disk); err != nil {
		return sample{}, err
	}
	block := uint64(disk.Bsize)
	return sample{
		Ts: time.Now().Unix(), CpuCount: runtime.NumCPU(), CpuUsedPct: s.used(now),
		MemTotalMib: memory.total >> 20, MemUsedMib: memory.used >> 20,
		MemTotal: memory.total, MemUsed: memory.used, MemCache: memory.cache,
		DiskUsed: (disk.Blocks - disk.Bfree) * block, DiskTotal: disk.Blocks * block,
	}, nil
}

func (s *service) used(now cpuTime) float64 {
	s.lock.Lock()
	defer s.lock.Unlock()
	if pct, known := now.usedSince(s.last); known {
		s.last, s.pct = now, pct
	}
	return s.pct
}
