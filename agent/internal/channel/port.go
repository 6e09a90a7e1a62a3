package channel

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A virtio-serial port of the guest. While no host is connected its read answers 0 at once, so this waits for the
// port's next event on an edge: an agent that polls such a port burns half a core. Nothing here lets the kernel block:
// its read gives 4 KiB at most, so that many are taken at a time, and its blocking write spins until the host has taken
// the bytes, which an emulated CPU has no time for.

type virtioPort struct {
	fd      int
	toRead  int // epoll
	toWrite int // epoll: tells when the host comes
	away    func()
}

// The kernel tells nobody when a full port has room again. That is after 4 MiB.
const fullWait = 200 * time.Microsecond

// OpenPort opens the port that QEMU was told to name so, by what sysfs says (there is no udev here).
func OpenPort(name string) (Port, error) {
	entries, err := filepath.Glob("/sys/class/virtio-ports/*/name")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		said, err := os.ReadFile(entry)
		if err != nil || strings.TrimSpace(string(said)) != name {
			continue
		}
		return openVirtio("/dev/" + filepath.Base(filepath.Dir(entry)))
	}
	return nil, fmt.Errorf("cannot find the virtio port %s", name)
}

func openVirtio(device string) (Port, error) {
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", device, err)
	}
	return newVirtioPort(fd)
}

func newVirtioPort(fd int) (*virtioPort, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, err
	}
	toRead, err := edges(fd, unix.EPOLLIN|unix.EPOLLHUP)
	if err != nil {
		return nil, err
	}
	toWrite, err := edges(fd, unix.EPOLLOUT|unix.EPOLLHUP)
	if err != nil {
		unix.Close(toRead)
		return nil, err
	}
	return &virtioPort{fd: fd, toRead: toRead, toWrite: toWrite}, nil
}

func edges(fd int, events uint32) (int, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return -1, err
	}
	event := unix.EpollEvent{Events: events | unix.EPOLLET, Fd: int32(fd)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		unix.Close(epoll)
		return -1, err
	}
	return epoll, nil
}

// WhenAway sets what Read calls, each time that it finds the host away.
func (p *virtioPort) WhenAway(tell func()) { p.away = tell }

// Read waits for bytes and returns as many as there are.
func (p *virtioPort) Read(into []byte) (int, error) {
	have := 0
	for {
		n, err := p.readSome(into[have:])
		switch {
		case n > 0:
			if have += n; have == len(into) {
				return have, nil
			}
			continue
		case errors.Is(err, unix.EINTR):
			continue
		case have > 0: // whatever it is, the next call finds it again
			return have, nil
		case err == nil: // the host is away
			if p.away != nil {
				p.away()
			}
		case errors.Is(err, unix.EAGAIN):
		case errors.Is(err, unix.ENODEV):
			return 0, io.EOF
		default:
			return 0, err
		}
		if err := wait(p.toRead); err != nil {
			return 0, err
		}
	}
}

// readSome never blocks, so Go's scheduler need not be told.
func (p *virtioPort) readSome(into []byte) (int, error) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(p.fd), uintptr(unsafe.Pointer(unsafe.SliceData(into))), uintptr(len(into)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

func wait(epoll int) error {
	var events [1]unix.EpollEvent
	for {
		_, err := unix.EpollWait(epoll, events[:], -1)
		if err == nil || !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// Write blocks while the host is away or does not read.
func (p *virtioPort) Write(bytes []byte) (int, error) {
	written := 0
	for written < len(bytes) {
		n, err := unix.Write(p.fd, bytes[written:])
		if n > 0 {
			written += n
		}
		switch {
		case err == nil || errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if err := p.waitForRoom(); err != nil {
				return written, err
			}
		default:
			return written, err
		}
	}
	return written, nil
}

func (p *virtioPort) waitForRoom() error {
	poll := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLOUT}}
	if _, err := unix.Poll(poll, 0); err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	switch now := poll[0].Revents; {
	case now&unix.POLLHUP != 0:
		return wait(p.toWrite)
	case now&unix.POLLOUT == 0:
		time.Sleep(fullWait)
	}
	return nil
}

func (p *virtioPort) Close() error {
	_ = unix.Close(p.toRead)
	_ = unix.Close(p.toWrite)
	return unix.Close(p.fd)
}
