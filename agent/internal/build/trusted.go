package build

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/inroot"
)

// Programs of a step trust the host's authority by the variables that sessions have, and by the system's own bundle
// with ours at its end: a tree between the stage's and what the step changes, so that no layer has it. A step that
// rewrites the bundle takes ours along; packing it cuts it out again.

const bundleMaxBytes = 16 << 20

var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Alpine, Arch
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora
	"/etc/ssl/ca-bundle.pem",                            // openSUSE
}

// trustedLayer fills the step's `trusted` tree and the folder that is /run/warren in it; false: there is no tree.
func (s *Service) trustedLayer(lowers []string, made *step) (bool, error) {
	plain, marked := s.Certificates()
	if plain == nil {
		return false, nil
	}
	folder := made.folder + "/warren"
	if err := os.WriteFile(folder+"/ca.pem", plain, 0o644); err != nil {
		return false, err
	}
	found, path, err := readBundle(append(append([]string{}, lowers...), made.folder+"/stubs"), made.root)
	if err != nil {
		return false, err
	}
	whole := append(append([]byte{}, found...), marked...)
	if err := os.WriteFile(folder+"/ca-bundle.pem", whole, 0o644); err != nil || path == "" {
		return false, err
	}
	return true, copyAttributes(lowers, made.folder+"/trusted", path, whole)
}

// readBundle answers the system's certificates and where they really lie; nothing when the tree has none.
func readBundle(lowers []string, at string) (content []byte, path string, err error) {
	if len(lowers) < 2 { // nothing but stubs; an overlay without an upper needs two
		return nil, "", nil
	}
	if err := mountOverlay(at, lowers, ""); err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, unix.Unmount(at, unix.MNT_DETACH)) }()
	for _, each := range bundles {
		file, err := inroot.Open(at, each, os.O_RDONLY|unix.O_NONBLOCK)
		if err != nil {
			continue
		}
		real, err := os.Readlink(fdPath(file))
		info, statErr := file.Stat()
		file.Close()
		if err != nil || statErr != nil || !info.Mode().IsRegular() || info.Size() > bundleMaxBytes {
			continue
		}
		content, err := inroot.ReadFile(at, each, bundleMaxBytes)
		if err != nil {
			return nil, "", err
		}
		if len(content) > 0 && !bytes.HasSuffix(content, []byte("\n")) {
			content = append(content, '\n')
		}
		return content, "/" + relative(at, real), nil
	}
	return nil, "", nil
}

func relative(root, path string) string {
	short, err := filepath.Rel(root, path)
	if err != nil {
		return path
	}
	return short
}

// copyAttributes makes path in the tree: folders on the way look like those that they cover.
func copyAttributes(lowers []string, tree, path string, content []byte) error {
	for _, folder := range ancestors(path) {
		if err := os.Mkdir(tree+folder, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if err := likeFirst(lowers, tree, folder); err != nil {
			return err
		}
	}
	if err := os.WriteFile(tree+path, content, 0o644); err != nil {
		return err
	}
	return likeFirst(lowers, tree, path)
}

// ancestors of "/a/b/c" are "/a" and "/a/b".
func ancestors(path string) []string {
	all := []string{}
	for folder := filepath.Dir(path); folder != "/" && folder != "."; folder = filepath.Dir(folder) {
		all = append([]string{folder}, all...)
	}
	return all
}

func likeFirst(lowers []string, tree, path string) error {
	for _, each := range lowers {
		var below unix.Stat_t
		if unix.Lstat(each+path, &below) != nil {
			continue
		}
		if err := os.Lchown(tree+path, int(below.Uid), int(below.Gid)); err != nil {
			return err
		}
		if err := unix.Chmod(tree+path, below.Mode&0o7777); err != nil {
			return err
		}
		return unix.UtimesNanoAt(unix.AT_FDCWD, tree+path, []unix.Timespec{below.Mtim, below.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
	}
	return nil
}

// isBundle: the path, without a slash in front, of a file that may hold ours.
func isBundle(name string) bool {
	for _, each := range bundles {
		if "/"+name == each {
			return true
		}
	}
	return false
}
