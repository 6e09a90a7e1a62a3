package build

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/connect"
)

const overlayFlags = "metacopy=off,index=off,xino=off,redirect_dir=off"

// step is a stage's tree while it is being changed.
type step struct {
	folder string // on the disk: up, work, stubs, …
	root   string // where the tree is mounted
	cached bool   // it writes to caches, which outlive the machine
	// sockets are nil when it has none.
	sockets *sockets
}

type openRequest struct {
	Stage string `json:"stage"`
	// Run makes the tree a place where programs run; a copy needs none of that.
	Run    bool      `json:"run"`
	Mounts []mounted `json:"mounts"`
	Files  []file    `json:"files"`
	// Sockets lead to the host, one connection to each `POST /warren/build/socket`.
	Sockets []socket `json:"sockets"`
}

func (s *Service) open(_ *http.Request, request *openRequest) (nothing, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	on, err := s.named(request.Stage)
	if err != nil {
		return nothing{}, err
	}
	if on.step != nil {
		return nothing{}, connect.Errorf("failed_precondition", "a step of stage %q is open", on.name)
	}
	folder, err := s.newFolder("up", "work", "stubs", "trusted", "warren")
	if err != nil {
		return nothing{}, err
	}
	made := &step{folder: folder, root: rootsFolder + "/" + on.name}
	if err := s.mountStep(on, made, request); err != nil {
		made.sockets.close()
		return nothing{}, errors.Join(err, made.unmount())
	}
	on.step = made
	return nothing{}, nil
}

func (s *Service) mountStep(on *stage, made *step, request *openRequest) error {
	if err := os.MkdirAll(made.root, 0o755); err != nil {
		return err
	}
	if err := likeBelow(on, made.folder+"/up"); err != nil {
		return err
	}
	lowers := on.lowers()
	if request.Run {
		if err := s.makeStubs(made.folder+"/stubs", request); err != nil {
			return err
		}
		trusted, err := s.trustedLayer(lowers, made)
		if err != nil {
			return err
		}
		if trusted {
			lowers = append([]string{made.folder + "/trusted"}, lowers...)
		}
	}
	lowers = append(lowers, made.folder+"/stubs")
	data := "upperdir=" + made.folder + "/up,workdir=" + made.folder + "/work"
	if err := mountOverlay(made.root, lowers, data); err != nil {
		return err
	}
	if !request.Run {
		return nil
	}
	if err := s.furnish(made); err != nil {
		return err
	}
	for _, each := range request.Mounts {
		if err := s.mountIn(made, each); err != nil {
			return err
		}
	}
	if err := putFiles(made, request.Files); err != nil {
		return err
	}
	return putSockets(made, request.Sockets)
}

func mountOverlay(target string, lowers []string, more string) error {
	if len(lowers) > lowersMax {
		return connect.Errorf("resource_exhausted", "a stage may have %d steps", lowersMax)
	}
	data := "lowerdir=" + strings.Join(lowers, ":") + "," + overlayFlags
	if more != "" {
		data += "," + more
	}
	if len(data) >= os.Getpagesize() {
		return connect.Errorf("resource_exhausted", "a stage has too many steps: %d", len(lowers))
	}
	if err := unix.Mount("step", target, "overlay", 0, data); err != nil {
		return fmt.Errorf("cannot mount the tree: %w", err)
	}
	return nil
}

// lowers are the stage's trees, uppermost first.
func (on *stage) lowers() []string {
	all := make([]string, 0, len(on.uppers)+1)
	for n := len(on.uppers) - 1; n >= 0; n-- {
		all = append(all, on.uppers[n])
	}
	if on.base != "" {
		all = append(all, on.base)
	}
	return all
}

// likeBelow gives the uppermost tree's root what the stage's root has: an overlay shows its upper's.
func likeBelow(on *stage, upper string) error {
	lowers := on.lowers()
	if len(lowers) == 0 {
		return nil
	}
	var below unix.Stat_t
	if err := unix.Stat(lowers[0], &below); err != nil {
		return err
	}
	if err := os.Chown(upper, int(below.Uid), int(below.Gid)); err != nil {
		return err
	}
	if err := unix.Chmod(upper, below.Mode&0o7777); err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, upper, []unix.Timespec{below.Mtim, below.Mtim}, 0)
}

type closeRequest struct {
	Stage string `json:"stage"`
	// Keep makes what the step changed a part of the stage.
	Keep bool `json:"keep"`
}

type closeResponse struct {
	// Changed: it left something behind.
	Changed bool `json:"changed"`
}

func (s *Service) close(_ *http.Request, request *closeRequest) (closeResponse, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	on, err := s.named(request.Stage)
	if err != nil {
		return closeResponse{}, err
	}
	if on.step == nil {
		return closeResponse{}, connect.Errorf("failed_precondition", "no step of stage %q is open", on.name)
	}
	closed := on.step
	if closed.cached {
		// The machine may be killed before its kernel thinks of it.
		go syncCaches()
	}
	closed.sockets.close()
	if err := closed.endProcesses(); err != nil {
		return closeResponse{}, err
	}
	if err := closed.unmount(); err != nil {
		return closeResponse{}, err
	}
	on.step = nil
	upper := closed.folder + "/up"
	if !request.Keep {
		return closeResponse{}, os.RemoveAll(closed.folder)
	}
	changed, err := on.changed(upper)
	if err != nil {
		return closeResponse{}, err
	}
	if changed {
		on.uppers = append(on.uppers, upper)
	}
	return closeResponse{changed}, nil
}

// changed: the step left entries, or another owner or mode of the root.
func (on *stage) changed(upper string) (bool, error) {
	entries, err := os.ReadDir(upper)
	if err != nil || len(entries) > 0 {
		return len(entries) > 0, err
	}
	return on.rootChanged(upper)
}

func (on *stage) rootChanged(upper string) (bool, error) {
	var now unix.Stat_t
	if err := unix.Stat(upper, &now); err != nil {
		return false, err
	}
	below := unix.Stat_t{Mode: 0o755}
	if lowers := on.lowers(); len(lowers) > 0 && lowers[0] != upper {
		if err := unix.Stat(lowers[0], &below); err != nil {
			return false, err
		}
	} else if len(lowers) > 1 {
		if err := unix.Stat(lowers[1], &below); err != nil {
			return false, err
		}
	}
	return now.Mode&0o7777 != below.Mode&0o7777 || now.Uid != below.Uid || now.Gid != below.Gid, nil
}
