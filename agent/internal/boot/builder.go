package boot

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// A builder machine has no userland of its own: the agent is alone in the initramfs. Its layers are the trees that a
// build starts from, each by itself; its disk holds what the steps change, and caches that later builds find again.
const (
	builderParameter = "warren.builder"
	// LayersFolder has each layer's tree by its number.
	LayersFolder = "/layers"
	// StepsFolder is empty at each boot.
	StepsFolder = diskFolder + "/steps"
	// CachesFolder stays.
	CachesFolder = diskFolder + "/caches"
)

// Builder tells whether this machine runs the steps of builds.
func Builder() bool {
	line, _ := os.ReadFile("/proc/cmdline")
	return slices.Contains(strings.Fields(string(line)), builderParameter)
}

func workshop() error {
	if err := furnish(""); err != nil {
		return err
	}
	if err := os.RemoveAll(StepsFolder); err != nil {
		return fmt.Errorf("cannot clear %s: %w", StepsFolder, err)
	}
	for _, folder := range []string{StepsFolder, CachesFolder, "/etc"} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	// Programs of the agent's own kind look here; there are no others.
	if err := os.WriteFile(filepath.Join("/etc", "hosts"), []byte("127.0.0.1 localhost\n::1 localhost\n"), 0o644); err != nil {
		return err
	}
	_ = unix.Sethostname([]byte("builder"))
	return loopbackUp()
}
