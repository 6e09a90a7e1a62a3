// Package boot turns a fresh kernel into the machine's userland: modules, disks, overlay, the usual mounts. It runs
// once, as PID 1, out of the initramfs; a template is frozen after it.
package boot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	layersParameter  = "warren.layers="
	partsParameter   = "warren.parts=" // how many further disks each layer has: "3,0"
	deviceTimeout    = 10 * time.Second
	deviceLookEvery  = 5 * time.Millisecond
	newRoot          = "/newroot"
	diskFolder       = "/disk"
	DiskHandlePath   = "/run/warren/disk" // where poweroff finds the writable disk
	overlayBaseFlags = "metacopy=off,index=off,xino=off"
)

// Up mounts everything and makes the image's tree the root. It must be followed by nothing that needs the initramfs.
func Up() error {
	for _, m := range []mount{
		{"devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID, "mode=0755"},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sysfs", "/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	} {
		if err := m.mount(""); err != nil {
			return err
		}
	}
	if err := loadModules("/modules"); err != nil {
		return err
	}
	parts, err := layerParts()
	if err != nil {
		return err
	}
	if err := mountDisks(parts); err != nil {
		return err
	}
	if Builder() {
		return workshop()
	}
	if err := overlay(len(parts)); err != nil {
		return err
	}
	return enter()
}

type mount struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

func (m mount) mount(root string) error {
	target := root + m.target
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("cannot make %s: %w", target, err)
	}
	if err := unix.Mount(m.source, target, m.kind, m.flags, m.data); err != nil && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("cannot mount %s on %s: %w", m.kind, target, err)
	}
	return nil
}

func loadModules(folder string) error {
	order, err := os.ReadFile(filepath.Join(folder, "order"))
	if err != nil {
		return nil // a kernel with everything built in
	}
	for _, name := range strings.Fields(string(order)) {
		err := loadModule(filepath.Join(folder, name))
		switch {
		case err == nil:
		case strings.HasPrefix(name, "nf"): // netfilter's: without it the machine works, and says so
			fmt.Fprintf(os.Stderr, "warren-agent: cannot load module %s: %v\n", name, err)
		default:
			return fmt.Errorf("cannot load module %s: %w", name, err)
		}
	}
	return nil
}

// moduleParameters: the kernel would make its table of connections for a server, and look through it once a minute.
var moduleParameters = map[string]string{"nf_conntrack.ko": "hashsize=2048"}

func loadModule(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	err = unix.FinitModule(int(file.Fd()), moduleParameters[filepath.Base(path)], 0)
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

// layerParts answers for each layer how many further disks it has.
func layerParts() ([]int, error) {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}
	count, counts := -1, ""
	for _, word := range strings.Fields(string(line)) {
		if value, found := strings.CutPrefix(word, layersParameter); found {
			if count, err = strconv.Atoi(value); err != nil {
				return nil, err
			}
		}
		if value, found := strings.CutPrefix(word, partsParameter); found {
			counts = value
		}
	}
	if count < 0 {
		return nil, fmt.Errorf("the kernel was not told %sN", layersParameter)
	}
	parts := make([]int, count)
	for n, text := range strings.Split(counts, ",") {
		if counts == "" || n >= count {
			break
		}
		if parts[n], err = strconv.Atoi(text); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

func mountDisks(parts []int) error {
	for n, more := range parts {
		device, err := waitForDisk(fmt.Sprintf("layer%d", n))
		if err != nil {
			return err
		}
		devices := make([]string, 0, more) // erofs takes them in the order of its table
		for part := 1; part <= more; part++ {
			each, err := waitForDisk(fmt.Sprintf("layer%d.%d", n, part))
			if err != nil {
				return err
			}
			devices = append(devices, "device="+each)
		}
		if err := (mount{device, fmt.Sprintf("/layers/%d", n), "erofs", unix.MS_RDONLY, strings.Join(devices, ",")}).mount(""); err != nil {
			return err
		}
	}
	device, err := waitForDisk("disk")
	if err != nil {
		return err
	}
	return mount{device, diskFolder, "ext4", unix.MS_NOATIME, ""}.mount("")
}

// waitForDisk finds a disk by its virtio serial. Disks are probed as their module loads, so it is almost always there.
func waitForDisk(serial string) (string, error) {
	for deadline := time.Now().Add(deviceTimeout); ; time.Sleep(deviceLookEvery) {
		files, _ := filepath.Glob("/sys/block/vd*/serial")
		for _, file := range files {
			said, err := os.ReadFile(file)
			if err == nil && strings.TrimSpace(string(said)) == serial {
				return "/dev/" + filepath.Base(filepath.Dir(file)), nil
			}
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("cannot find the disk %q", serial)
		}
	}
}

func overlay(layers int) error {
	for _, folder := range []string{"upper", "work"} {
		if err := os.MkdirAll(filepath.Join(diskFolder, folder), 0o755); err != nil {
			return err
		}
	}
	lower := make([]string, 0, layers)
	for n := layers - 1; n >= 0; n-- {
		lower = append(lower, fmt.Sprintf("/layers/%d", n))
	}
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work,%s", strings.Join(lower, ":"), diskFolder, diskFolder, overlayBaseFlags)
	return mount{"warren", newRoot, "overlay", 0, data}.mount("")
}

// enter makes the tree the root.
func enter() error {
	if err := furnish(newRoot); err != nil {
		return err
	}
	if err := unix.Chdir(newRoot); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("cannot move the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	_ = unix.Sethostname([]byte("warren"))
	return loopbackUp()
}

// furnish mounts what programs expect in the tree at root.
func furnish(root string) error {
	for _, m := range []mount{
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sysfs", "/sys", "sysfs", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"devtmpfs", "/dev", "devtmpfs", unix.MS_NOSUID, "mode=0755"},
		{"devpts", "/dev/pts", "devpts", unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
		{"shm", "/dev/shm", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
		{"run", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
		{"cgroup2", "/sys/fs/cgroup", "cgroup2", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	} {
		if err := m.mount(root); err != nil {
			return err
		}
	}
	// Everyone may look into /run/warren (certificates), nobody but root into the disk.
	if err := os.MkdirAll(root+DiskHandlePath, 0o755); err != nil {
		return err
	}
	if err := os.Chmod(diskFolder, 0o700); err != nil {
		return err
	}
	if err := unix.Mount(diskFolder, root+DiskHandlePath, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("cannot bind the disk: %w", err)
	}
	if err := os.MkdirAll(root+"/tmp", 0o1777); err == nil {
		_ = os.Chmod(root+"/tmp", os.ModeSticky|0o777)
	}
	links(root + "/dev")
	return nil
}

func links(dev string) {
	for name, target := range map[string]string{"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		_ = os.Symlink(target, filepath.Join(dev, name))
	}
	if os.Remove(filepath.Join(dev, "ptmx")) == nil {
		_ = os.Symlink("pts/ptmx", filepath.Join(dev, "ptmx"))
	}
}

// loopbackUp gives programs 127.0.0.1 and ::1; there is no other network device.
func loopbackUp() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request)
}
