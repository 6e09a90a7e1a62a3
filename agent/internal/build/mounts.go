package build

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/boot"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/inroot"
)

const (
	resolvConf    = "/etc/resolv.conf"
	ownHosts      = "/etc/hosts"
	warrenFolder  = "/run/warren"
	endWait       = 5 * time.Second
	endLookEvery  = 10 * time.Millisecond
	fileMaxBytes  = 1 << 20
	tmpfsMaxBytes = 1 << 40
)

// mounted is a RUN's --mount.
type mounted struct {
	Kind   string `json:"kind"` // bind, cache or tmpfs
	Target string `json:"target"`
	// Of bind: a stage, a layer of the machine or a tree that the host sent; and the path in it.
	Stage  string `json:"stage"`
	Layer  *int   `json:"layer"`
	Tree   string `json:"tree"`
	Source string `json:"source"`
	// Writable: what is written to a bind is forgotten.
	Writable bool `json:"writable"`
	// Of cache: its name among those on the disk, and whose it is when it is made.
	ID   string `json:"id"`
	Mode uint32 `json:"mode"`
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
	// Of tmpfs; 0 is half of the memory.
	SizeBytes int64 `json:"sizeBytes"`
}

// file is a secret, or a script of the step: seen by it and in no layer.
type file struct {
	Target  string `json:"target"`
	Content []byte `json:"content"`
	Mode    uint32 `json:"mode"`
	UID     uint32 `json:"uid"`
	GID     uint32 `json:"gid"`
}

// makeStubs makes what is mounted upon, in the lowest tree: it is seen where nothing else is, and never in a layer.
func (s *Service) makeStubs(folder string, request *openRequest) error {
	folders := []string{"/proc", "/sys", "/dev", warrenFolder}
	files := []string{resolvConf, ownHosts}
	for _, each := range request.Files {
		files = append(files, each.Target)
	}
	for _, each := range request.Sockets {
		files = append(files, each.Target)
	}
	for _, each := range request.Mounts {
		if each.Kind == "bind" && s.bindsFile(each) {
			files = append(files, each.Target)
		} else {
			folders = append(folders, each.Target)
		}
	}
	for _, each := range folders {
		if err := os.MkdirAll(filepath.Join(folder, filepath.Clean("/"+each)), 0o755); err != nil {
			return err
		}
	}
	for _, each := range files {
		path := filepath.Join(folder, filepath.Clean("/"+each))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) bindsFile(wanted mounted) bool {
	tree, err := s.source(wanted.source())
	if err != nil {
		return false
	}
	found, err := inroot.Stat(tree, filepath.Clean("/"+wanted.Source))
	return err == nil && !found.IsDir()
}

func (wanted mounted) source() source {
	return source{Stage: wanted.Stage, Layer: wanted.Layer, Tree: wanted.Tree}
}

// furnish mounts what every program of a step expects.
func (s *Service) furnish(made *step) error {
	for _, each := range []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sysfs", "/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"/dev", "/dev", "", unix.MS_BIND | unix.MS_REC, ""},
		{made.folder + "/warren", warrenFolder, "", unix.MS_BIND, ""},
	} {
		if err := made.mountAt(each.source, each.target, each.kind, each.flags, each.data); err != nil {
			return err
		}
	}
	for _, each := range []string{resolvConf, ownHosts} {
		// One that leads nowhere stays as it is: without it, resolvers ask 127.0.0.1.
		if err := made.mountAt(each, each, "", unix.MS_BIND, ""); err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
	}
	return nil
}

// mountAt mounts upon a path of the step's tree.
func (made *step) mountAt(source, target, kind string, flags uintptr, data string) error {
	on, err := inroot.Open(made.root, target, unix.O_PATH)
	if err != nil {
		return fmt.Errorf("cannot mount at %s: %w", target, err)
	}
	defer on.Close()
	if err := unix.Mount(source, fdPath(on), kind, flags, data); err != nil {
		return fmt.Errorf("cannot mount at %s: %w", target, err)
	}
	return nil
}

func fdPath(file *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(file.Fd())) }

// mountIn mounts a --mount; its target is made when the tree hides the stub.
func (s *Service) mountIn(made *step, wanted mounted) error {
	target := filepath.Clean("/" + wanted.Target)
	if target == "/" {
		return connect.Errorf("invalid_argument", "cannot mount at %q", wanted.Target)
	}
	switch wanted.Kind {
	case "tmpfs":
		data := "mode=0755"
		if wanted.SizeBytes > 0 {
			data += fmt.Sprintf(",size=%d", min(wanted.SizeBytes, tmpfsMaxBytes))
		}
		return made.mountOver("tmpfs", target, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, data)
	case "cache":
		folder, err := cacheFolder(wanted)
		if err != nil {
			return err
		}
		made.cached = true
		return made.mountOver(folder, target, "", unix.MS_BIND, "")
	case "bind":
		return s.bind(made, wanted, target)
	}
	return connect.Errorf("invalid_argument", "there are no mounts of type %q", wanted.Kind)
}

func (made *step) mountOver(source, target, kind string, flags uintptr, data string) error {
	err := made.mountAt(source, target, kind, flags, data)
	if errors.Is(err, unix.ENOENT) {
		var folder *os.File
		if folder, err = makeFolders(made.root, target, owner{}, nil); err == nil {
			folder.Close()
			err = made.mountAt(source, target, kind, flags, data)
		}
	}
	return err
}

func cacheFolder(wanted mounted) (string, error) {
	if !isName(wanted.ID) {
		return "", connect.Errorf("invalid_argument", "%q is no name of a cache", wanted.ID)
	}
	folder := boot.CachesFolder + "/" + wanted.ID
	err := os.Mkdir(folder, 0o755)
	if errors.Is(err, os.ErrExist) {
		return folder, nil
	}
	if err == nil {
		err = os.Chown(folder, int(wanted.UID), int(wanted.GID))
	}
	if err == nil {
		err = unix.Chmod(folder, wanted.Mode&0o7777)
	}
	return folder, err
}

func syncCaches() {
	if folder, err := os.Open(boot.CachesFolder); err == nil {
		_ = unix.Syncfs(int(folder.Fd()))
		folder.Close()
	}
}

// bind shows a part of another tree. Written to it is nothing but an overlay that goes with the step.
func (s *Service) bind(made *step, wanted mounted, target string) error {
	tree, err := s.source(wanted.source())
	if err != nil {
		return err
	}
	from, err := inroot.Open(tree, filepath.Clean("/"+wanted.Source), unix.O_PATH)
	if err != nil {
		return connect.Errorf("not_found", "cannot mount %q: it is not there", wanted.Source)
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return made.bindFile(from, target, wanted.Writable)
	}
	if !wanted.Writable {
		if err := made.mountOver(fdPath(from), target, "", unix.MS_BIND, ""); err != nil {
			return err
		}
		return made.mountAt("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
	}
	scratch, err := s.newFolder("up", "work", "from")
	if err != nil {
		return err
	}
	if err := unix.Mount(fdPath(from), scratch+"/from", "", unix.MS_BIND, ""); err != nil {
		return err
	}
	data := fmt.Sprintf("lowerdir=%s/from,upperdir=%s/up,workdir=%s/work,%s", scratch, scratch, scratch, overlayFlags)
	return made.mountOver("bind", target, "overlay", 0, data)
}

func (made *step) bindFile(from *os.File, target string, writable bool) error {
	if err := made.mountAt(fdPath(from), target, "", unix.MS_BIND, ""); err != nil || writable {
		return err
	}
	return made.mountAt("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")
}

// putFiles mounts each file from a file system in memory.
func putFiles(made *step, files []file) error {
	if len(files) == 0 {
		return nil
	}
	folder := made.folder + "/files"
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("files", folder, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0700"); err != nil {
		return err
	}
	for n, each := range files {
		if len(each.Content) > fileMaxBytes {
			return connect.Errorf("invalid_argument", "a file of a step may have %d bytes", fileMaxBytes)
		}
		path := fmt.Sprintf("%s/%d", folder, n)
		if err := os.WriteFile(path, each.Content, 0o600); err != nil {
			return err
		}
		if err := made.placeAt(each.Target, path, each.Mode, each.UID, each.GID); err != nil {
			return err
		}
	}
	return nil
}

// placeAt shows what lies at path at target in the step's tree, with this owner and these permissions.
func (made *step) placeAt(target, path string, mode, uid, gid uint32) error {
	if err := os.Chown(path, int(uid), int(gid)); err != nil {
		return err
	}
	if err := unix.Chmod(path, mode&0o777); err != nil {
		return err
	}
	return made.mountAt(path, filepath.Clean("/"+target), "", unix.MS_BIND, "")
}

// endProcesses kills whatever still has the tree as its root.
func (made *step) endProcesses() error {
	for deadline := time.Now().Add(endWait); ; time.Sleep(endLookEvery) {
		left := 0
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return err
		}
		for _, entry := range entries {
			pid, err := strconv.Atoi(entry.Name())
			if err != nil {
				continue
			}
			root, err := os.Readlink(fmt.Sprintf("/proc/%d/root", pid))
			if err == nil && (root == made.root || strings.HasPrefix(root, made.root+"/")) {
				left++
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
		if left == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return connect.Errorf("internal", "%d processes of the step do not end", left)
		}
	}
}

// unmount takes the tree and all that is mounted in it away.
func (made *step) unmount() error {
	points, err := mountPoints()
	if err != nil {
		return err
	}
	// What lies deeper goes first.
	sort.Sort(sort.Reverse(sort.StringSlice(points)))
	for _, point := range points {
		if point == made.root || strings.HasPrefix(point, made.root+"/") || strings.HasPrefix(point, made.folder+"/") {
			if err := unix.Unmount(point, unix.MNT_DETACH); err != nil && !errors.Is(err, unix.EINVAL) {
				return fmt.Errorf("cannot unmount %s: %w", point, err)
			}
		}
	}
	return nil
}

var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func mountPoints() ([]string, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	points := []string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 {
			points = append(points, unescapeMount.Replace(fields[4]))
		}
	}
	return points, nil
}
