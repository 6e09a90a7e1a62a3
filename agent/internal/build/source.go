package build

import (
	"archive/tar"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"sort"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/boot"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/inroot"
)

const matchesMax = 100_000

// source is a tree that can be read: of a stage that is done, of a layer of the machine, or one that the host sent.
type source struct {
	Stage string `json:"stage"`
	Layer *int   `json:"layer"`
	Tree  string `json:"tree"`
}

func treeFolder(name string) string { return boot.StepsFolder + "/tree-" + name }

// source answers the folder in which the tree can be read; the lock is held.
func (s *Service) source(from source) (string, error) {
	switch {
	case from.Tree != "":
		folder := treeFolder(from.Tree)
		if found, err := os.Stat(folder); !isName(from.Tree) || err != nil || !found.IsDir() {
			return "", connect.Errorf("not_found", "there is no tree %q", from.Tree)
		}
		return folder, nil
	case from.Stage == "" && from.Layer != nil:
		return layerFolder(*from.Layer)
	}
	on, err := s.named(from.Stage)
	if err != nil {
		return "", err
	}
	lowers := on.lowers()
	switch len(lowers) {
	case 0:
		return s.newFolder()
	case 1:
		return lowers[0], nil
	}
	folder := fmt.Sprintf("%s/%s.%d", rootsFolder, on.name, len(on.uppers))
	if err := os.Mkdir(folder, 0o755); os.IsExist(err) {
		return folder, nil
	} else if err != nil {
		return "", err
	}
	return folder, mountOverlay(folder, lowers, "")
}

type copyFromRequest struct {
	copying
	From source `json:"from"`
	// Patterns as Go's path.Match has them, absolute in the tree.
	Patterns []string `json:"patterns"`
	// Parents keeps the way to each source.
	Parents bool `json:"parents"`
	// Excludes are patterns of what stays behind, relative to each source.
	Excludes []string `json:"excludes"`
}

// copyFrom copies from another tree of this machine, by way of the same tar that the host would send.
func (s *Service) copyFrom(r *http.Request, request *copyFromRequest) (nothing, error) {
	s.lock.Lock()
	folder, err := s.source(request.From)
	s.lock.Unlock()
	if err != nil {
		return nothing{}, err
	}
	found, err := matches(folder, request.Patterns)
	if err != nil {
		return nothing{}, err
	}
	excluded, err := parseExcludes(request.Excludes)
	if err != nil {
		return nothing{}, err
	}
	meant := request.copying
	for _, each := range found {
		meant.Sources = append(meant.Sources, copied{Name: path.Base(each)})
	}
	read, write := io.Pipe()
	defer read.Close()
	go func() {
		p := newPacker(r.Context(), write)
		p.excluded = excluded
		err := p.sources(folder, found, request.Parents)
		if err == nil {
			err = p.to.Close()
		}
		write.CloseWithError(err)
	}()
	return nothing{}, s.apply(meant, tar.NewReader(read))
}

// matches finds what the patterns name, in order; each must name something.
func matches(tree string, patterns []string) ([]string, error) {
	all := []string{}
	for _, pattern := range patterns {
		clean := path.Clean("/" + pattern)
		found := []string{clean}
		if strings.ContainsAny(clean, `*?[\`) {
			var err error
			if found, err = glob(tree, clean); err != nil {
				return nil, err
			}
		} else if _, err := inroot.Stat(tree, clean); err != nil {
			// A link that leads nowhere can be copied all the same.
			if _, err := lstatIn(tree, clean); err != nil {
				found = nil
			}
		}
		if len(found) == 0 {
			return nil, connect.Errorf("not_found", "%q: not found", pattern)
		}
		all = append(all, found...)
	}
	return all, nil
}

// glob walks the parts of a pattern; folders of the way that are symlinks are followed within the tree.
func glob(tree, pattern string) ([]string, error) {
	found := []string{"/"}
	for _, part := range strings.Split(pattern[1:], "/") {
		next := []string{}
		for _, folder := range found {
			names, err := namesIn(tree, folder)
			if err != nil {
				continue
			}
			for _, name := range names {
				fits, err := path.Match(part, name)
				if err != nil {
					return nil, connect.Errorf("invalid_argument", "%q is no pattern", pattern)
				}
				if fits {
					next = append(next, path.Join(folder, name))
				}
			}
		}
		if len(next) > matchesMax {
			return nil, connect.Errorf("resource_exhausted", "%q names more than %d files", pattern, matchesMax)
		}
		found = next
	}
	return found, nil
}

func namesIn(tree, folder string) ([]string, error) {
	file, err := inroot.Open(tree, folder, os.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	names, err := file.Readdirnames(-1)
	sort.Strings(names)
	return names, err
}

func lstatIn(tree, name string) (unix.Stat_t, error) {
	var found unix.Stat_t
	folder, err := inroot.Open(tree, path.Dir(name), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return found, err
	}
	defer folder.Close()
	return found, unix.Fstatat(int(folder.Fd()), path.Base(name), &found, unix.AT_SYMLINK_NOFOLLOW)
}

// sources packs each source under its number. A source that is a symlink is followed, what it holds is not.
func (p *packer) sources(tree string, found []string, parents bool) error {
	for n, each := range found {
		if err := p.source(tree, each, strconv.Itoa(n), parents); err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) source(tree, name, number string, parents bool) error {
	// Hard links to another source's files would name what is not there.
	p.links = map[inode]string{}
	file, err := inroot.Open(tree, name, os.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return p.special(tree, name, number)
	}
	defer file.Close()
	var found unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &found); err != nil {
		return err
	}
	header := headerOf(number, &found)
	isFolder := found.Mode&unix.S_IFMT == unix.S_IFDIR
	if parents && name != "/" {
		kept := strings.TrimPrefix(name, "/")
		if !isFolder {
			header.Name = number + "/" + kept
			return p.file(file, header)
		}
		number += "/" + kept
		header.Name = number
	}
	switch found.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return p.file(file, header)
	case unix.S_IFDIR:
		header.Typeflag = tar.TypeDir
		header.Name = number + "/"
		if _, err := p.xattrs(file, header); err != nil {
			return err
		}
		if err := p.to.WriteHeader(header); err != nil {
			return err
		}
		p.below = number + "/"
		return p.contents(file, number+"/", 0)
	}
	return p.special(tree, name, number)
}

// special packs a source that cannot be opened: a link that leads nowhere, a device, a pipe.
func (p *packer) special(tree, name, number string) error {
	folder, err := inroot.Open(tree, path.Dir(name), os.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer folder.Close()
	found, err := lstatIn(tree, name)
	if err != nil {
		return err
	}
	header := headerOf(number, &found)
	switch found.Mode & unix.S_IFMT {
	case unix.S_IFLNK:
		target, err := readlinkAt(folder, path.Base(name))
		if err != nil {
			return err
		}
		header.Typeflag, header.Linkname = tar.TypeSymlink, target
	case unix.S_IFIFO:
		header.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		header.Typeflag = tar.TypeChar
		if found.Mode&unix.S_IFMT == unix.S_IFBLK {
			header.Typeflag = tar.TypeBlock
		}
		header.Devmajor, header.Devminor = int64(unix.Major(found.Rdev)), int64(unix.Minor(found.Rdev))
	default:
		return connect.Errorf("invalid_argument", "cannot copy %q", name)
	}
	return p.to.WriteHeader(header)
}
