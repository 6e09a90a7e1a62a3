package archive

import (
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/place"
)

// beneath is the destination: everything is made through it, and no symlink leads out of it.
type beneath struct {
	top  *os.File
	user account.User

	// The folder of the last entry: the next one is mostly in it too.
	lastName string
	last     *os.File
}

const resolveBeneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

func openBeneath(path string, user account.User) (*beneath, error) {
	top, err := place.OpenFolder(path, user)
	if err != nil {
		return nil, err
	}
	return &beneath{top: top, user: user, lastName: "."}, nil
}

func (b *beneath) close() {
	if b.last != nil {
		b.last.Close()
	}
	b.top.Close()
}

// parseName answers a name of the archive without `.` parts and slashes at its end; "." is the destination.
func parseName(name string) (string, error) {
	if name == "" || strings.HasPrefix(name, "/") || place.HasNul(name) {
		return "", connect.Errorf("invalid_argument", "cannot unpack %q: its name is empty or absolute", name)
	}
	for _, part := range strings.Split(name, "/") {
		if part == ".." {
			return "", connect.Errorf("invalid_argument", "cannot unpack %q: its name leads out", name)
		}
	}
	return path.Clean(name), nil
}

// folder opens the folder name, a cleaned name; what is missing of it is made. Valid until the next call.
func (b *beneath) folder(name string) (*os.File, error) {
	if name == "." {
		return b.top, nil
	}
	if b.last != nil && name == b.lastName {
		return b.last, nil
	}
	opened, err := b.open(name, unix.O_PATH|unix.O_DIRECTORY)
	if err == unix.ENOENT {
		var parent *os.File
		if parent, err = b.folder(path.Dir(name)); err != nil {
			return nil, err
		}
		if err = place.MakeIn(int(parent.Fd()), path.Base(name), 0o755, b.user); err == nil {
			opened, err = b.open(name, unix.O_PATH|unix.O_DIRECTORY)
		}
	}
	if err != nil {
		return nil, refusal(name, err)
	}
	if b.last != nil {
		b.last.Close()
	}
	b.last, b.lastName = opened, name
	return opened, nil
}

// open opens what is at name beneath the destination.
func (b *beneath) open(name string, flags int) (*os.File, error) {
	how := &unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: resolveBeneath}
	for {
		fd, err := unix.Openat2(int(b.top.Fd()), name, how)
		switch err {
		case nil:
			return os.NewFile(uintptr(fd), name), nil
		case unix.EINTR, unix.EAGAIN: // EAGAIN: someone renames folders meanwhile
		default:
			return nil, err
		}
	}
}

// refusal names the reason that a person would not guess from the kernel's.
func refusal(name string, err error) error {
	switch err {
	case unix.ELOOP, unix.EXDEV, unix.ENOTDIR:
		return connect.Errorf("failed_precondition", "cannot unpack %q: a symlink or a file is where a folder of it belongs", name)
	}
	return place.Error("unpack", name, err)
}

func timeOf(t unix.Timespec) time.Time { return time.Unix(t.Unix()) }
