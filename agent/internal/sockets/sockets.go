// Package sockets tells which process owns a TCP socket of this machine, as /proc says it.
package sockets

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// StateListen is a listening socket's.
const StateListen = 0x0a

// Row is a line of /proc/net/tcp or tcp6.
type Row struct {
	Local, Remote netip.AddrPort
	State         byte
	UID           uint32
	Inode         uint64
}

var errLate = errors.New("the time is over")

// Each reads the rows of both tables until visit returns false.
func Each(visit func(Row) bool) error { return each(time.Time{}, visit) }

const lookAtClockEvery = 64

func each(deadline time.Time, visit func(Row) bool) error {
	for _, path := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		file, err := os.Open(path)
		if err != nil {
			if os.IsNotExist(err) {
				continue
			}
			return err
		}
		lines := bufio.NewScanner(file)
		more := true
		for n := 0; more && lines.Scan(); n++ {
			if n%lookAtClockEvery == 0 && !deadline.IsZero() && time.Now().After(deadline) {
				file.Close()
				return errLate
			}
			if row, ok := parseRow(lines.Text()); ok {
				more = visit(row)
			}
		}
		err = lines.Err()
		file.Close()
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// parseRow reads `sl local remote state queues timer retransmits uid timeout inode …`.
func parseRow(line string) (row Row, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 10 {
		return Row{}, false
	}
	var fine [3]bool
	row.Local, fine[0] = parseAddress(fields[1])
	row.Remote, fine[1] = parseAddress(fields[2])
	state, err := strconv.ParseUint(fields[3], 16, 8)
	fine[2] = err == nil
	uid, uidErr := strconv.ParseUint(fields[7], 10, 32)
	inode, inodeErr := strconv.ParseUint(fields[9], 10, 64)
	row.State, row.UID, row.Inode = byte(state), uint32(uid), inode
	return row, fine == [3]bool{true, true, true} && uidErr == nil && inodeErr == nil
}

// parseAddress reads an address as words in the machine's byte order, and a port.
func parseAddress(text string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(text, ":")
	number, err := strconv.ParseUint(port, 16, 16)
	bytes, hexErr := hex.DecodeString(address)
	if err != nil || hexErr != nil || len(bytes)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for at := 0; at < len(bytes); at += 4 {
		binary.NativeEndian.PutUint32(bytes[at:], binary.BigEndian.Uint32(bytes[at:]))
	}
	parsed, ok := netip.AddrFromSlice(bytes)
	return netip.AddrPortFrom(parsed.Unmap(), uint16(number)), ok
}

// Owners finds the processes that hold sockets, by inode. Of several the first that is found counts.
func Owners(inodes map[uint64]int) { owners(time.Time{}, inodes, func(string) bool { return true }) }

// owners fills in the process of each inode, the youngest processes first, and stops when it has all.
func owners(deadline time.Time, inodes map[uint64]int, consider func(folder string) bool) {
	left := 0
	for _, pid := range inodes {
		if pid == 0 {
			left++
		}
	}
	processes := pids()
	for i := len(processes) - 1; i >= 0 && left > 0; i-- {
		if !deadline.IsZero() && time.Now().After(deadline) {
			return
		}
		folder := "/proc/" + strconv.Itoa(processes[i])
		if !consider(folder) {
			continue
		}
		descriptors, err := names(folder + "/fd")
		if err != nil {
			continue
		}
		for n := len(descriptors) - 1; n >= 0; n-- {
			if n%lookAtClockEvery == 0 && !deadline.IsZero() && time.Now().After(deadline) {
				return
			}
			link, err := os.Readlink(folder + "/fd/" + descriptors[n])
			if err != nil || !strings.HasPrefix(link, "socket:[") {
				continue
			}
			inode, err := strconv.ParseUint(link[len("socket:["):len(link)-1], 10, 64)
			if pid, asked := inodes[inode]; err == nil && asked && pid == 0 {
				inodes[inode] = processes[i]
				left--
			}
		}
	}
}

// pids are the machine's processes in the kernel's order, which is by number.
func pids() []int {
	all, err := names("/proc")
	if err != nil {
		return nil
	}
	found := make([]int, 0, len(all))
	for _, name := range all {
		if pid, err := strconv.Atoi(name); err == nil {
			found = append(found, pid)
		}
	}
	return found
}

func names(folder string) ([]string, error) {
	opened, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	return opened.Readdirnames(-1)
}
