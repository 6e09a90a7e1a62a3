package build

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/inroot"
	"warren.dev/agent/internal/place"
)

// writer stores a tar's entries in a folder: with their owners, modes, times and attributes, devices too. Symlinks on
// the way are followed as if the folder were the root, so nothing gets out of it.
type writer struct {
	top    *os.File
	by     *owner     // nil: as the entries say
	mode   changeMode // nil: as the entries say
	buffer []byte
	// replace: whatever is in the way of an entry goes, folders too.
	replace bool
	// topTime is when the top was changed, in the end; zero leaves it.
	topTime time.Time
	// Folders that were made get mode and time at the end: before, their entries would change the time, and a mode
	// without `w` might keep them out.
	later []*tar.Header

	// The folder of the last entry: the next one is mostly in it too.
	lastName string
	last     *os.File
}

func (w *writer) close() {
	w.forget()
	w.top.Close()
}

func (w *writer) forget() {
	if w.last != nil {
		w.last.Close()
	}
	w.lastName, w.last = "", nil
}

func (w *writer) all(entries *tar.Reader) error {
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return connect.Errorf("invalid_argument", "the archive is broken: %v", err)
		}
		if err := w.entry(header, entries); err != nil {
			return err
		}
	}
}

func (w *writer) entry(header *tar.Header, content io.Reader) error {
	if header.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name := path.Clean("/" + header.Name)[1:]
	if strings.ContainsRune(header.Name, 0) || len(header.Name) >= unix.PathMax {
		return connect.Errorf("invalid_argument", "%.100q is no path", header.Name)
	}
	if name == "" {
		return nil
	}
	header.Name = name
	if err := w.store(header, content); err != nil {
		return place.Error("copy", name, err)
	}
	return nil
}

func (w *writer) store(header *tar.Header, content io.Reader) error {
	parent, err := w.folder(path.Dir(header.Name))
	if err != nil {
		return err
	}
	base := path.Base(header.Name)
	at := int(parent.Fd())
	if header.Typeflag == tar.TypeDir {
		return w.makeFolder(parent, base, header)
	}
	if header.Typeflag == tar.TypeLink {
		return w.link(parent, base, header)
	}
	if err := w.clear(parent, base, header.Name); err != nil {
		return err
	}
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		return w.regular(at, base, header, content)
	case tar.TypeSymlink:
		if err := unix.Symlinkat(header.Linkname, at, base); err != nil {
			return err
		}
	case tar.TypeChar:
		err = unix.Mknodat(at, base, unix.S_IFCHR|0o600, int(unix.Mkdev(uint32(header.Devmajor), uint32(header.Devminor))))
	case tar.TypeBlock:
		err = unix.Mknodat(at, base, unix.S_IFBLK|0o600, int(unix.Mkdev(uint32(header.Devmajor), uint32(header.Devminor))))
	case tar.TypeFifo:
		err = unix.Mknodat(at, base, unix.S_IFIFO|0o600, 0)
	default:
		return connect.Errorf("invalid_argument", "%q is of a type that cannot be copied", header.Name)
	}
	if err != nil {
		return err
	}
	made, err := openAt(parent, base, unix.O_PATH)
	if err != nil {
		return err
	}
	defer made.Close()
	return w.dress(made, header)
}

// clear makes room: an entry replaces what is there, unless that is a folder.
func (w *writer) clear(parent *os.File, base, name string) error {
	switch err := unix.Unlinkat(int(parent.Fd()), base, 0); err {
	case nil, unix.ENOENT:
		return nil
	case unix.EISDIR:
		if w.replace {
			w.forget()
			return os.RemoveAll(fdPath(parent) + "/" + base)
		}
		return connect.Errorf("failed_precondition", "cannot copy %q: a folder is there", name)
	default:
		return err
	}
}

func (w *writer) makeFolder(parent *os.File, base string, header *tar.Header) error {
	switch err := unix.Mkdirat(int(parent.Fd()), base, 0o700); err {
	case nil:
	case unix.EEXIST:
		folder, err := openAt(parent, base, unix.O_PATH|unix.O_DIRECTORY)
		if err != nil && w.replace {
			if err := w.clear(parent, base, header.Name); err != nil {
				return err
			}
			return w.makeFolder(parent, base, header)
		}
		if err != nil {
			return connect.Errorf("failed_precondition", "cannot copy the folder %q: what is there is none", header.Name)
		}
		folder.Close()
		// As container engines do: the folder that comes says how it looks.
		w.later = append(w.later, header)
		return nil
	default:
		return err
	}
	w.later = append(w.later, header)
	return nil
}

func (w *writer) link(parent *os.File, base string, header *tar.Header) error {
	target := path.Clean("/" + header.Linkname)[1:]
	from, err := w.folderOf(target)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := w.clear(parent, base, header.Name); err != nil {
		return err
	}
	return unix.Linkat(int(from.Fd()), path.Base(target), int(parent.Fd()), base, 0)
}

func (w *writer) regular(at int, base string, header *tar.Header, content io.Reader) error {
	fd, err := unix.Openat(at, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), header.Name)
	defer file.Close()
	if _, err := io.CopyBuffer(struct{ io.Writer }{file}, struct{ io.Reader }{content}, w.buffer); err != nil {
		return err
	}
	return w.dress(file, header)
}

// dress gives owner, attributes, mode and time, in this order: a new owner takes setuid and capabilities away.
func (w *writer) dress(made *os.File, header *tar.Header) error {
	by := owner{uint32(header.Uid), uint32(header.Gid)}
	if w.by != nil {
		by = *w.by
	}
	if err := give(made, by.uid, by.gid); err != nil {
		return err
	}
	at := fdPath(made)
	for key, value := range header.PAXRecords {
		name, found := strings.CutPrefix(key, "SCHILY.xattr.")
		if !found || strings.HasPrefix(name, overlayXattrs) || strings.HasPrefix(name, aclXattrs) || header.Typeflag == tar.TypeSymlink {
			continue
		}
		if err := unix.Setxattr(at, name, []byte(value), 0); err != nil && os.Geteuid() == 0 {
			return &fs.PathError{Op: "set attribute " + name, Path: header.Name, Err: err}
		}
	}
	if header.Typeflag != tar.TypeSymlink {
		mode := uint32(header.Mode & 0o7777)
		if w.mode != nil {
			mode = w.mode(mode, header.Typeflag == tar.TypeDir)
		}
		if err := unix.Fchmodat(unix.AT_FDCWD, at, mode, 0); err != nil {
			return err
		}
	}
	return setTime(made, header.ModTime)
}

func setTime(made *os.File, modified time.Time) error {
	if modified.IsZero() {
		return nil
	}
	stamp := unix.NsecToTimespec(modified.UnixNano())
	err := unix.UtimesNanoAt(int(made.Fd()), "", []unix.Timespec{stamp, stamp}, unix.AT_EMPTY_PATH)
	if errors.Is(err, unix.EINVAL) { // a time that the file system cannot keep
		return nil
	}
	return err
}

// finish dresses the folders, inner ones first.
func (w *writer) finish() error {
	for n := len(w.later) - 1; n >= 0; n-- {
		header := w.later[n]
		folder, err := openFolder(w.top, header.Name)
		if err != nil {
			return err
		}
		err = w.dress(folder, header)
		folder.Close()
		if err != nil {
			return err
		}
	}
	w.later = nil
	return setTime(w.top, w.topTime)
}

// folder opens a folder within the top; a missing one is made. The descriptor is the writer's.
func (w *writer) folder(name string) (*os.File, error) {
	if name == "." || name == "/" {
		return w.top, nil
	}
	if w.last != nil && w.lastName == name {
		return w.last, nil
	}
	by := owner{}
	if w.by != nil {
		by = *w.by
	}
	folder, err := makeFoldersAt(w.top, name, by, w.mode, 0)
	if err != nil {
		return nil, err
	}
	w.forget()
	w.lastName, w.last = name, folder
	return folder, nil
}

// folderOf opens the folder that a path lies in; it must be there.
func (w *writer) folderOf(name string) (*os.File, error) {
	return inroot.OpenAt(int(w.top.Fd()), path.Dir("/"+name), unix.O_PATH|unix.O_DIRECTORY)
}
