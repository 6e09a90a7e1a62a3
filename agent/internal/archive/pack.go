package archive

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/connect"
)

// A folder is walked by descriptors, so that one swapped for a symlink meanwhile leads nowhere else. Hard links are
// sent as files each, because the host takes no links to files.

// Deeper folders would cost a descriptor each.
const depthMax = 500

type source struct {
	name string // of the first entry
	file *os.File
}

type packer struct {
	ctx     context.Context
	entries *tar.Writer
	buffer  []byte
}

// openSource opens a file or folder; the path itself may hold symlinks, and be one.
func openSource(path string) (*source, error) {
	name := filepath.Base(path)
	if name == "/" {
		name = "root"
	}
	found, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !found.IsDir() && !found.Mode().IsRegular() {
		return nil, connect.Errorf("invalid_argument", "cannot read %q: it is neither a file nor a folder", path)
	}
	// Not blocking: it may have become a pipe.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &source{name, file}, nil
}

func (s *source) close() { s.file.Close() }

func (s *source) pack(ctx context.Context, to io.Writer) error {
	p := &packer{ctx, tar.NewWriter(to), make([]byte, copyBufferBytes)}
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	if info.IsDir() {
		err = p.folder(s.file, s.name, info, 0)
	} else {
		err = p.regular(s.file, s.name, info)
	}
	if err != nil {
		return err
	}
	return p.entries.Close()
}

func (p *packer) folder(folder *os.File, name string, info os.FileInfo, depth int) error {
	if depth > depthMax {
		return fmt.Errorf("%q is deeper than %d folders", name, depthMax)
	}
	if err := p.header(tar.TypeDir, name+"/", info); err != nil {
		return err
	}
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return err
	}
	sort.Strings(names)
	for _, child := range names {
		if err := p.ctx.Err(); err != nil {
			return err
		}
		if err := p.child(folder, child, name+"/"+child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// child sends one entry of a folder. One that is gone meanwhile is left out: the archive is true without it.
func (p *packer) child(folder *os.File, child, name string, depth int) error {
	var found unix.Stat_t
	err := unix.Fstatat(int(folder.Fd()), child, &found, unix.AT_SYMLINK_NOFOLLOW)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return err
	}
	switch found.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return p.symlink(folder, child, name, &found)
	case unix.S_IFREG, unix.S_IFDIR:
	default:
		return nil
	}
	fd, err := unix.Openat(int(folder.Fd()), child, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT || err == unix.ELOOP {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot open %q: %w", name, err)
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	info, err := file.Stat()
	switch {
	case err != nil:
		return err
	case info.IsDir() && madeUp(fd):
		return nil
	case info.IsDir():
		return p.folder(file, name, info, depth)
	case info.Mode().IsRegular():
		return p.regular(file, name, info)
	}
	return nil
}

// madeUp: the kernel's own file systems, whose files have no size and no end. They matter when `/` is read.
func madeUp(fd int) bool {
	var system unix.Statfs_t
	if unix.Fstatfs(fd, &system) != nil {
		return false
	}
	switch uint32(system.Type) {
	case unix.PROC_SUPER_MAGIC, unix.SYSFS_MAGIC, unix.CGROUP2_SUPER_MAGIC, unix.CGROUP_SUPER_MAGIC,
		unix.DEBUGFS_MAGIC, unix.TRACEFS_MAGIC, unix.DEVPTS_SUPER_MAGIC:
		return true
	}
	return false
}

func (p *packer) symlink(folder *os.File, child, name string, found *unix.Stat_t) error {
	buffer := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(folder.Fd()), child, buffer)
	if err == unix.ENOENT || err == unix.EINVAL { // gone, or no link any more
		return nil
	}
	if err != nil {
		return err
	}
	return p.entries.WriteHeader(&tar.Header{
		Typeflag: tar.TypeSymlink, Name: name, Linkname: string(buffer[:n]), Mode: 0o777,
		ModTime: timeOf(found.Mtim), Format: tar.FormatPAX,
	})
}

// regular sends as many bytes as the header says, or fails.
func (p *packer) regular(file *os.File, name string, info os.FileInfo) error {
	if err := p.header(tar.TypeReg, name, info); err != nil {
		return err
	}
	for left := info.Size(); left > 0; {
		if err := p.ctx.Err(); err != nil {
			return err
		}
		n, err := file.Read(p.buffer[:min(left, int64(len(p.buffer)))])
		if err != nil {
			return fmt.Errorf("%q has shrunk while it was read: %w", name, err)
		}
		if _, err := p.entries.Write(p.buffer[:n]); err != nil {
			return err
		}
		left -= int64(n)
	}
	if n, _ := file.Read(p.buffer[:1]); n > 0 {
		return fmt.Errorf("%q has grown while it was read", name)
	}
	return nil
}

func (p *packer) header(kind byte, name string, info os.FileInfo) error {
	header := &tar.Header{
		Typeflag: kind, Name: name, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(),
		Format: tar.FormatPAX,
	}
	if kind == tar.TypeReg {
		header.Size = info.Size()
	}
	if info.Mode()&os.ModeSticky != 0 {
		header.Mode |= stickyBit
	}
	return p.entries.WriteHeader(header)
}
