package build

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	copyBufferBytes = 256 << 10
	depthMax        = 1000 // a descriptor each
	xattrMaxBytes   = 64 << 10

	whiteoutPrefix = ".wh."
	opaqueMarker   = ".wh..wh..opq"
	opaqueXattr    = "trusted.overlay.opaque"
	overlayXattrs  = "trusted.overlay."
	aclXattrs      = "system.posix_acl_" // bound to the numbers of users; container engines leave them out as well
)

// packer writes a tree as a tar: everything of it but sockets, hard links as links, times to the nanosecond.
type packer struct {
	ctx context.Context
	to  *tar.Writer
	// layer: what overlayfs marks as removed becomes OCI's whiteouts.
	layer bool
	// replaced has other content for a file, by name; nil leaves it.
	replaced func(name string, content io.Reader) ([]byte, error)
	// excluded stays behind: paths relative to the folder whose entries begin with below.
	excluded excludes
	below    string
	links    map[inode]string
	buffer   []byte
}

type inode struct{ dev, ino uint64 }

func newPacker(ctx context.Context, to io.Writer) *packer {
	return &packer{ctx: ctx, to: tar.NewWriter(to), links: map[inode]string{}, buffer: make([]byte, copyBufferBytes)}
}

// contents packs what is in a folder; its own entry is the caller's affair. Names start with prefix.
func (p *packer) contents(folder *os.File, prefix string, depth int) error {
	if depth > depthMax {
		return fmt.Errorf("%q is deeper than %d folders", prefix, depthMax)
	}
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return err
	}
	sort.Strings(names)
	for _, name := range names {
		if err := p.ctx.Err(); err != nil {
			return err
		}
		if err := p.child(folder, name, prefix, depth); err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) child(folder *os.File, name, prefix string, depth int) error {
	var found unix.Stat_t
	if err := unix.Fstatat(int(folder.Fd()), name, &found, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "stat", Path: prefix + name, Err: err}
	}
	header := headerOf(prefix+name, &found)
	if p.excluded.match(strings.TrimPrefix(header.Name, p.below)) {
		if found.Mode&unix.S_IFMT != unix.S_IFDIR || !p.excluded.haveExceptions {
			return nil
		}
		inner, err := openAt(folder, name, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return err
		}
		defer inner.Close()
		return p.contents(inner, header.Name+"/", depth+1)
	}
	switch found.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return p.folder(folder, name, header, depth)
	case unix.S_IFSOCK:
		return nil
	case unix.S_IFCHR:
		if p.layer && found.Rdev == 0 {
			return p.to.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: prefix + whiteoutPrefix + name, Format: tar.FormatPAX})
		}
	}
	if found.Nlink > 1 {
		if first, known := p.links[inode{uint64(found.Dev), found.Ino}]; known {
			return p.to.WriteHeader(&tar.Header{
				Typeflag: tar.TypeLink, Name: header.Name, Linkname: first, Mode: header.Mode,
				Uid: header.Uid, Gid: header.Gid, ModTime: header.ModTime, Format: tar.FormatPAX,
			})
		}
		p.links[inode{uint64(found.Dev), found.Ino}] = header.Name
	}
	switch found.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return p.regular(folder, name, header)
	case unix.S_IFLNK:
		target, err := readlinkAt(folder, name)
		if err != nil {
			return err
		}
		header.Typeflag, header.Linkname = tar.TypeSymlink, target
	case unix.S_IFCHR, unix.S_IFBLK:
		header.Typeflag = tar.TypeChar
		if found.Mode&unix.S_IFMT == unix.S_IFBLK {
			header.Typeflag = tar.TypeBlock
		}
		header.Devmajor, header.Devminor = int64(unix.Major(found.Rdev)), int64(unix.Minor(found.Rdev))
	case unix.S_IFIFO:
		header.Typeflag = tar.TypeFifo
	}
	return p.to.WriteHeader(header)
}

func (p *packer) folder(parent *os.File, name string, header *tar.Header, depth int) error {
	folder, err := openAt(parent, name, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer folder.Close()
	header.Typeflag = tar.TypeDir
	header.Name += "/"
	opaque, err := p.xattrs(folder, header)
	if err != nil {
		return err
	}
	if err := p.to.WriteHeader(header); err != nil {
		return err
	}
	if opaque && p.layer {
		if err := p.to.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: header.Name + opaqueMarker, Format: tar.FormatPAX}); err != nil {
			return err
		}
	}
	return p.contents(folder, header.Name, depth+1)
}

func (p *packer) regular(parent *os.File, name string, header *tar.Header) error {
	file, err := openAt(parent, name, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer file.Close()
	return p.file(file, header)
}

// file packs an open file under the header's name.
func (p *packer) file(file *os.File, header *tar.Header) error {
	header.Typeflag = tar.TypeReg
	if _, err := p.xattrs(file, header); err != nil {
		return err
	}
	if p.replaced != nil {
		other, err := p.replaced(header.Name, file)
		if err != nil {
			return err
		}
		if other != nil {
			header.Size = int64(len(other))
			if err := p.to.WriteHeader(header); err != nil {
				return err
			}
			_, err = p.to.Write(other)
			return err
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header.Size = info.Size()
	if err := p.to.WriteHeader(header); err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{p.to}, io.LimitReader(file, header.Size), p.buffer)
	if err == nil && n < header.Size {
		err = fmt.Errorf("%q has shrunk while it was read", header.Name)
	}
	return err
}

// xattrs puts the extended attributes into the header; overlayfs's own are told apart.
func (p *packer) xattrs(file *os.File, header *tar.Header) (opaque bool, err error) {
	list := make([]byte, xattrMaxBytes)
	n, err := unix.Flistxattr(int(file.Fd()), list)
	if errors.Is(err, unix.ENOTSUP) || n == 0 {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot list the attributes of %q: %w", header.Name, err)
	}
	for _, name := range strings.Split(strings.TrimRight(string(list[:n]), "\x00"), "\x00") {
		if strings.HasPrefix(name, aclXattrs) {
			continue
		}
		value := make([]byte, xattrMaxBytes)
		size, err := unix.Fgetxattr(int(file.Fd()), name, value)
		if err != nil {
			return false, fmt.Errorf("cannot read the attribute %s of %q: %w", name, header.Name, err)
		}
		if strings.HasPrefix(name, overlayXattrs) {
			opaque = opaque || name == opaqueXattr && string(value[:size]) == "y"
			continue
		}
		if header.PAXRecords == nil {
			header.PAXRecords = map[string]string{}
		}
		header.PAXRecords["SCHILY.xattr."+name] = string(value[:size])
	}
	return opaque, nil
}

func headerOf(name string, found *unix.Stat_t) *tar.Header {
	return &tar.Header{
		Name: name, Mode: int64(found.Mode & 0o7777), Uid: int(found.Uid), Gid: int(found.Gid),
		ModTime: time.Unix(found.Mtim.Unix()), Format: tar.FormatPAX,
	}
}

func openAt(parent *os.File, name string, flags int) (*os.File, error) {
	fd, err := unix.Openat(int(parent.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

func readlinkAt(parent *os.File, name string) (string, error) {
	buffer := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(parent.Fd()), name, buffer)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(buffer[:n]), nil
}
