// Package place is about paths that the host names: folders which are made on the way belong to the user, and an
// error about a path has a Connect code. The agent is root, so whatever is made is given away by descriptor.
package place

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/account"
)

const folderMode = 0o755

// OpenFolder opens the folder at path, an absolute path that may hold symlinks. What is missing of it is made and
// belongs to the user; what is there stays as it is. The descriptor is for the *at calls only (O_PATH).
func OpenFolder(path string, user account.User) (*os.File, error) {
	path = filepath.Clean(path)
	missing := []string{}
	at, err := openPath(unix.AT_FDCWD, path, 0)
	for err == unix.ENOENT && path != "/" {
		missing = append(missing, filepath.Base(path))
		path = filepath.Dir(path)
		at, err = openPath(unix.AT_FDCWD, path, 0)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	for i := len(missing) - 1; i >= 0; i-- {
		path = filepath.Join(path, missing[i])
		next, err := makeFolder(at, missing[i], folderMode, user)
		if err == unix.EEXIST { // someone else was faster, or it is a symlink that leads nowhere
			next, err = openPath(at, missing[i], 0)
		}
		unix.Close(at)
		if err != nil {
			return nil, &os.PathError{Op: "mkdir", Path: path, Err: err}
		}
		at = next
	}
	return os.NewFile(uintptr(at), path), nil
}

// MakeFolder makes the folder at path as OpenFolder does.
func MakeFolder(path string, user account.User) error {
	folder, err := OpenFolder(path, user)
	if err != nil {
		return err
	}
	return folder.Close()
}

// MakeIn makes the folder name in the folder parent; it belongs to the user.
func MakeIn(parent int, name string, mode uint32, user account.User) error {
	made, err := makeFolder(parent, name, mode, user)
	if err == nil {
		unix.Close(made)
	}
	return err
}

func makeFolder(parent int, name string, mode uint32, user account.User) (int, error) {
	if err := unix.Mkdirat(parent, name, mode); err != nil {
		return -1, err
	}
	made, err := openPath(parent, name, unix.O_NOFOLLOW)
	if err != nil {
		return -1, err
	}
	if err := Give(made, user); err != nil {
		unix.Close(made)
		return -1, err
	}
	return made, nil
}

// Give makes the user the owner of what was opened, which may be with O_PATH. By descriptor, because a name could
// have become a hard link to a file of root's. Only root can give.
func Give(opened int, user account.User) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return unix.Fchownat(opened, "", int(user.Uid), int(user.Gid), unix.AT_EMPTY_PATH)
}

func openPath(at int, path string, flags int) (int, error) {
	for {
		fd, err := unix.Openat(at, path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC|flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// HasNul: no path of Linux does, and the kernel would see only what is before it.
func HasNul(path string) bool { return strings.ContainsRune(path, 0) }
