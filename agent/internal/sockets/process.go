package sockets

import (
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Process is who owns a socket. What was not found out is left out of its JSON.
type Process struct {
	PID     int    `json:"pid,omitempty"`
	UID     uint32 `json:"uid"`
	Comm    string `json:"comm,omitempty"`
	Cmdline string `json:"cmdline,omitempty"`
}

const cmdlineMaxBytes = 400

// Find looks for the process whose socket is local and connected to remote. It gives up when the time is over, and
// then may know the user only; found is false when it knows nothing.
func Find(local, remote netip.AddrPort, within time.Duration) (process Process, found bool) {
	deadline := time.Now().Add(within)
	var inode uint64
	err := each(deadline, func(row Row) bool {
		if row.Local != local || row.Remote != remote {
			return true
		}
		process.UID, inode, found = row.UID, row.Inode, true
		return false
	})
	if err != nil || !found || inode == 0 {
		return process, found
	}
	wanted := map[uint64]int{inode: 0}
	owners(deadline, wanted, func(folder string) bool {
		stat, err := os.Stat(folder)
		if err != nil {
			return false
		}
		owner, ok := stat.Sys().(*syscall.Stat_t)
		return ok && owner.Uid == process.UID
	})
	if process.PID = wanted[inode]; process.PID != 0 {
		process.Comm = Comm(process.PID)
		process.Cmdline = cmdline(process.PID)
	}
	return process, true
}

// Comm is a process's short name.
func Comm(pid int) string {
	text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return strings.TrimSuffix(string(text), "\n")
}

func cmdline(pid int) string {
	file, err := os.Open("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return ""
	}
	defer file.Close()
	text := make([]byte, cmdlineMaxBytes)
	n, _ := file.Read(text)
	return strings.TrimRight(strings.ReplaceAll(strings.ToValidUTF8(string(text[:n]), "?"), "\x00", " "), " ")
}
