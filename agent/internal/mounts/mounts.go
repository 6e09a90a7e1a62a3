// Package mounts makes the folders that an environment wants besides its image: the machine's own, or of memory.
package mounts

import (
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/place"
)

const foldersMax = 100

type request struct {
	User    string   `json:"user"`
	Folders []folder `json:"folders"`
}

type folder struct {
	Path string `json:"path"`
	// A tmpfs, gone with the machine's memory.
	Memory bool `json:"memory"`
}

type nothing struct{}

// Register adds the call. Repeating it changes nothing.
func Register(mux *http.ServeMux, lookup func(name string) (account.User, error)) {
	mux.HandleFunc("POST /warren/folders", connect.Unary(func(_ *http.Request, r *request) (nothing, error) {
		user, err := lookup(r.User)
		if err != nil {
			return nothing{}, err
		}
		if len(r.Folders) > foldersMax {
			return nothing{}, connect.Errorf("invalid_argument", "there may be %d folders", foldersMax)
		}
		for _, each := range r.Folders {
			if !path.IsAbs(each.Path) || path.Clean(each.Path) != each.Path || each.Path == "/" || place.HasNul(each.Path) {
				return nothing{}, connect.Errorf("invalid_argument", "%q is no clean absolute path", each.Path)
			}
			if err := ensure(each, user); err != nil {
				return nothing{}, connect.Errorf("failed_precondition", "cannot make %s: %v", each.Path, err)
			}
		}
		return nothing{}, nil
	}))
}

func ensure(wanted folder, user account.User) error {
	if err := place.MakeFolder(wanted.Path, user); err != nil {
		return err
	}
	if !wanted.Memory {
		return nil
	}
	// The kernel's list has it by where it really is: /var/run/x is /run/x.
	at, err := filepath.EvalSymlinks(wanted.Path)
	if err != nil || isMemory(at) {
		return err
	}
	if err := unix.Mount("tmpfs", at, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
		return &os.PathError{Op: "mount", Path: at, Err: err}
	}
	return nil
}

func isMemory(at string) bool {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	escaped := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(at)
	return strings.Contains("\n"+string(mounts), "\ntmpfs "+escaped+" tmpfs ")
}
