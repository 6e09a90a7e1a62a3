package channel

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A virtio-serial port of the guest. While no host is connected its read answers 0 at once, so this waits for the
// port's next event on an edge: an agent that polls such a port burns half a core.

type virtioPort struct {
	fd    int
	epoll int
	away  func()
}

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
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", device, err)
	}
	return newVirtioPort(fd)
}

func newVirtioPort(fd int) (*virtioPort, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLHUP | unix.EPOLLET, Fd: int32(fd)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		return nil, err
	}
	return &virtioPort{fd: fd, epoll: epoll}, nil
}

// WhenAway sets what Read calls, each time that it finds the host away.
func (p *virtioPort) WhenAway(tell func()) { p.away = tell }

func (p *virtioPort) Read(into []byte) (int, error) {
	for {
		n, err := unix.Read(p.fd, into)
		switch {
		case n > 0:
			return n, nil
		case err == nil: // the host is away
			if p.away != nil {
				p.away()
			}
			if err := p.wait(); err != nil {
				return 0, err
			}
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
		case errors.Is(err, unix.ENODEV):
			return 0, io.EOF
		default:
			return 0, err
		}
	}
}

func (p *virtioPort) wait() error {
	var events [1]unix.EpollEvent
	for {
		_, err := unix.EpollWait(p.epoll, events[:], -1)
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
		if err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.EAGAIN) {
			return written, err
		}
		if n > 0 {
			written += n
		}
	}
	return written, nil
}

func (p *virtioPort) Close() error {
	_ = unix.Close(p.epoll)
	return unix.Close(p.fd)
}
