package build

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/inroot"
)

const (
	folderMode = 0o755
	linksMax   = 40
)

// owner of what a step makes by itself. The zero value is root.
type owner struct{ uid, gid uint32 }

// parseOwner reads a --chown: USER, USER:GROUP or :GROUP, names by the tree's own files. As container engines have it, a
// number without a group stands for both.
func parseOwner(root, text string) (*owner, error) {
	if text == "" {
		return nil, nil
	}
	made := &owner{}
	user, group, hasGroup := strings.Cut(text, ":")
	if user != "" {
		if number, err := strconv.ParseUint(user, 10, 32); err == nil {
			made.uid, made.gid = uint32(number), uint32(number)
		} else {
			found, err := account.LookupIn(root, user)
			if err != nil {
				return nil, connect.Errorf("invalid_argument", "cannot change the owner to %q: %v", text, err)
			}
			made.uid, made.gid = found.Uid, found.Gid
		}
	}
	if hasGroup && group != "" {
		gid, err := account.GroupIn(root, group)
		if err != nil {
			return nil, connect.Errorf("invalid_argument", "cannot change the owner to %q: %v", text, err)
		}
		made.gid = gid
	}
	return made, nil
}

// makeFolders opens a folder of the tree; what is missing of the way is made: it belongs to by, and has 0755 as mode
// changes it (nil: not). Symlinks lead where a program of the tree would be led, also those that lead nowhere yet.
func makeFolders(root, wanted string, by owner, mode changeMode) (*os.File, error) {
	top, err := os.OpenFile(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer top.Close()
	return makeFoldersAt(top, wanted, by, mode, 0)
}

func makeFoldersAt(top *os.File, wanted string, by owner, mode changeMode, links int) (*os.File, error) {
	wanted = path.Clean("/" + wanted)
	if folder, err := openFolder(top, wanted); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return folder, err
	}
	parent, err := makeFoldersAt(top, path.Dir(wanted), by, mode, links)
	if err != nil {
		return nil, err
	}
	defer parent.Close()
	name := path.Base(wanted)
	switch err := unix.Mkdirat(int(parent.Fd()), name, folderMode); {
	case err == unix.EEXIST && links < linksMax:
		target, err := readlinkAt(parent, name)
		if err != nil {
			return nil, err
		}
		if !path.IsAbs(target) {
			target = path.Join(path.Dir(wanted), target)
		}
		return makeFoldersAt(top, target, by, mode, links+1)
	case err != nil:
		return nil, &fs.PathError{Op: "mkdir", Path: wanted, Err: err}
	}
	fd, err := unix.Openat(int(parent.Fd()), name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: wanted, Err: err}
	}
	folder := os.NewFile(uintptr(fd), wanted)
	err = give(folder, by.uid, by.gid)
	if err == nil && mode != nil {
		err = unix.Fchmodat(unix.AT_FDCWD, fdPath(folder), mode(folderMode, true), 0)
	}
	if err != nil {
		folder.Close()
		return nil, err
	}
	return folder, nil
}

func openFolder(top *os.File, wanted string) (*os.File, error) {
	return inroot.OpenAt(int(top.Fd()), wanted, unix.O_PATH|unix.O_DIRECTORY)
}

// isFolder: symlinks followed within the tree.
func isFolder(root, wanted string) bool {
	found, err := inroot.Stat(root, wanted)
	return err == nil && found.IsDir()
}

// give changes the owner of what is open, also by O_PATH. Not root (in tests), nothing can be given.
func give(file *os.File, uid, gid uint32) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return unix.Fchownat(int(file.Fd()), "", int(uid), int(gid), unix.AT_EMPTY_PATH)
}

type folderRequest struct {
	Stage string `json:"stage"`
	Path  string `json:"path"`
	// User owns what is made; "" is root.
	User string `json:"user"`
}
