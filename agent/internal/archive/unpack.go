package archive

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/place"
)

const (
	entriesMax = 10_000_000
	stickyBit  = 0o1000
	// What a tar writer may add after its end (GNU's record is 10 KiB); read, so that the host can end its stream.
	afterEndMaxBytes = 1 << 20
)

type unpacked struct {
	Entries int64 `json:"entries"`
	Bytes   int64 `json:"bytes"`
}

type unpacker struct {
	to     *beneath
	done   unpacked
	buffer []byte
	// Folders that were made get mode and time at the end: before, their entries would change the time, and a mode
	// without `w` would keep them out.
	folders []*tar.Header
}

// unpack stores what a tar holds in the folder at path. When it fails, what was stored until then stays.
func unpack(body io.Reader, path string, user account.User) (unpacked, error) {
	to, err := openBeneath(path, user)
	if err != nil {
		return unpacked{}, place.Error("unpack into", path, err)
	}
	defer to.close()
	u := &unpacker{to: to, buffer: make([]byte, copyBufferBytes)}
	entries := tar.NewReader(body)
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return u.done, broken(err)
		}
		if u.done.Entries++; u.done.Entries > entriesMax {
			return u.done, connect.Errorf("resource_exhausted", "cannot unpack: more than %d entries", entriesMax)
		}
		if err := u.entry(header, entries); err != nil {
			return u.done, err
		}
	}
	_, _ = io.CopyN(io.Discard, body, afterEndMaxBytes)
	return u.done, u.finishFolders()
}

func (u *unpacker) entry(header *tar.Header, content io.Reader) error {
	if header.Typeflag == tar.TypeXGlobalHeader { // a comment for all entries, as `git archive` writes
		u.done.Entries--
		return nil
	}
	name, err := parseName(header.Name)
	if err != nil {
		return err
	}
	header.Name = name
	if name == "." { // the destination, which is the user's as it is
		if header.Typeflag != tar.TypeDir {
			return connect.Errorf("invalid_argument", "cannot unpack %q: it is not a folder", name)
		}
		return nil
	}
	switch header.Typeflag {
	case tar.TypeDir:
		return u.folder(header)
	case tar.TypeReg, tar.TypeGNUSparse:
		return u.regular(header, content)
	case tar.TypeSymlink:
		return u.symlink(header)
	case tar.TypeLink:
		return u.link(header)
	}
	return connect.Errorf("invalid_argument", "cannot unpack %q: it is neither file, folder nor link", name)
}

// folder makes a folder. One that is there keeps owner, mode and time: it may be /etc.
func (u *unpacker) folder(header *tar.Header) error {
	parent, err := u.to.folder(path.Dir(header.Name))
	if err != nil {
		return err
	}
	err = place.MakeIn(int(parent.Fd()), path.Base(header.Name), 0o700, u.to.user)
	if err == unix.EEXIST {
		_, err = u.to.folder(header.Name)
		return err
	}
	if err != nil {
		return refusal(header.Name, err)
	}
	u.folders = append(u.folders, &tar.Header{Name: header.Name, Mode: header.Mode, ModTime: header.ModTime})
	return nil
}

// clear makes room for a new entry: it replaces what is there, unless that is a folder.
func (u *unpacker) clear(name string) (parent int, base string, err error) {
	folder, err := u.to.folder(path.Dir(name))
	if err != nil {
		return 0, "", err
	}
	parent, base = int(folder.Fd()), path.Base(name)
	switch err := unix.Unlinkat(parent, base, 0); err {
	case nil, unix.ENOENT:
		return parent, base, nil
	case unix.EISDIR:
		return 0, "", connect.Errorf("failed_precondition", "cannot unpack %q: a folder is there", name)
	default:
		return 0, "", refusal(name, err)
	}
}

func (u *unpacker) regular(header *tar.Header, content io.Reader) error {
	parent, base, err := u.clear(header.Name)
	if err != nil {
		return err
	}
	fd, err := unix.Openat(parent, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return refusal(header.Name, err)
	}
	file := os.NewFile(uintptr(fd), header.Name)
	defer file.Close()
	err = func() error {
		if err := place.Give(fd, u.to.user); err != nil {
			return err
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{file}, struct{ io.Reader }{content}, u.buffer)
		u.done.Bytes += n
		if err != nil {
			return err
		}
		if err := unix.Fchmod(fd, uint32(header.Mode&0o777)); err != nil {
			return err
		}
		return setTime(fd, header.ModTime)
	}()
	if err != nil {
		_ = unix.Unlinkat(parent, base, 0) // half a file is worse than none
		var number unix.Errno
		if errors.As(err, &number) {
			return refusal(header.Name, number)
		}
		return broken(err)
	}
	return nil
}

func (u *unpacker) symlink(header *tar.Header) error {
	parent, base, err := u.clear(header.Name)
	if err != nil {
		return err
	}
	if err := unix.Symlinkat(header.Linkname, parent, base); err != nil {
		return refusal(header.Name, err)
	}
	made, err := unix.Openat(parent, base, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return refusal(header.Name, err)
	}
	defer unix.Close(made)
	if err := place.Give(made, u.to.user); err != nil {
		return refusal(header.Name, err)
	}
	return refusal(header.Name, setTime(made, header.ModTime))
}

// link makes another name of a file beneath the destination, which stays its owner's.
func (u *unpacker) link(header *tar.Header) error {
	target, err := parseName(header.Linkname)
	if err != nil {
		return err
	}
	if target == header.Name {
		return connect.Errorf("invalid_argument", "cannot unpack %q: it is a link to itself", header.Name)
	}
	found, err := u.to.open(path.Dir(target), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return refusal(target, err)
	}
	defer found.Close()
	var stat unix.Stat_t
	if err := unix.Fstatat(int(found.Fd()), path.Base(target), &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return refusal(target, err)
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return connect.Errorf("invalid_argument", "cannot unpack %q: its target %q is not a file", header.Name, target)
	}
	parent, base, err := u.clear(header.Name)
	if err != nil {
		return err
	}
	return refusal(header.Name, unix.Linkat(int(found.Fd()), path.Base(target), parent, base, 0))
}

// finishFolders goes from the last to the first, so that a folder's own entries come before it.
func (u *unpacker) finishFolders() error {
	for i := len(u.folders) - 1; i >= 0; i-- {
		header := u.folders[i]
		folder, err := u.to.open(header.Name, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil { // moved or removed meanwhile: no longer ours
			continue
		}
		fd := int(folder.Fd())
		err = unix.Fchmod(fd, uint32(header.Mode&(0o777|stickyBit)))
		if err == nil {
			err = setTime(fd, header.ModTime)
		}
		folder.Close()
		if err != nil {
			return refusal(header.Name, err)
		}
	}
	return nil
}

// setTime sets when an opened thing was changed; O_PATH will do, so it works for symlinks.
func setTime(opened int, modified time.Time) error {
	to, err := unix.TimeToTimespec(modified)
	if err != nil {
		return nil // a year that the kernel cannot say
	}
	return unix.UtimesNanoAt(opened, "", []unix.Timespec{{Nsec: unix.UTIME_OMIT}, to}, unix.AT_EMPTY_PATH)
}

func broken(err error) error {
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) {
		return connect.Errorf("invalid_argument", "cannot unpack: the body is no tar, or it ended early: %v", err)
	}
	return connect.Errorf("canceled", "cannot unpack: %v", err)
}
