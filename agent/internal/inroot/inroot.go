// Package inroot opens paths inside another root than the agent's own: symlinks are resolved by the kernel as a program
// in that root would see them, so that none leads out of it. The root "" is the agent's own.
package inroot

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Open opens a path of the tree at root.
func Open(root, path string, flags int) (*os.File, error) {
	if root == "" {
		return os.OpenFile(path, flags, 0)
	}
	top, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(top)
	return OpenAt(top, path, flags)
}

// OpenAt opens a path of the tree whose root is open.
func OpenAt(top int, path string, flags int) (*os.File, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS}
	for {
		fd, err := unix.Openat2(top, path, &how)
		switch err {
		case nil:
			return os.NewFile(uintptr(fd), path), nil
		case unix.EINTR, unix.EAGAIN: // EAGAIN: something was renamed meanwhile
			continue
		}
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
}

// Stat follows symlinks within the tree.
func Stat(root, path string) (os.FileInfo, error) {
	if root == "" {
		return os.Stat(path)
	}
	file, err := Open(root, path, unix.O_PATH)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return file.Stat()
}

// ReadFile reads at most maxBytes of a file of the tree.
func ReadFile(root, path string, maxBytes int64) ([]byte, error) {
	file, err := Open(root, path, os.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxBytes))
}
