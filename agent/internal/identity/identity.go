// Package identity makes a restored machine itself: two machines of one template wake with the same memory, so each
// is told who it is before any session starts. It also brings the machine to rest, for a freeze or for good.
package identity

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/boot"
	"warren.dev/agent/internal/connect"
)

// Service answers the calls under /warren/ that concern the machine as a whole.
type Service struct {
	Version    string
	Generation uint32
	// Real is false without a VM: then nothing of the computer is touched.
	Real bool
	// EndSessions ends every session, the whole machine's processes when Real.
	EndSessions func()
	// Egress is how programs get out.
	Egress func() string

	started time.Time
	awake   atomic.Bool
}

// Register adds the calls.
func (s *Service) Register(mux *http.ServeMux) {
	s.started = time.Now()
	mux.HandleFunc("GET /warren/info", s.info)
	mux.HandleFunc("POST /warren/awaken", connect.Unary(s.awaken))
	mux.HandleFunc("POST /warren/quiesce", connect.Unary(s.quiesce))
	mux.HandleFunc("POST /warren/poweroff", connect.Unary(s.powerOff))
}

// Awake tells whether sessions may start.
func (s *Service) Awake() bool { return !s.Real || s.awake.Load() }

func (s *Service) info(w http.ResponseWriter, _ *http.Request) {
	connect.WriteJSON(w, http.StatusOK, map[string]any{
		"generation": s.Generation, "version": s.Version, "bootId": bootID(), "pid": os.Getpid(),
		"uptimeMs": time.Since(s.started).Milliseconds(), "egress": s.Egress(),
	})
}

type awakenRequest struct {
	Entropy    string `json:"entropy"`
	TimeUnixNs string `json:"timeUnixNs"`
	Hostname   string `json:"hostname"`
	MachineID  string `json:"machineId"`
}

type awakenResponse struct {
	Hostname  string `json:"hostname"`
	MachineID string `json:"machineId"`
	BootID    string `json:"bootId"`
}

const (
	entropyMinBytes = 32
	entropyMaxBytes = 512
)

const (
	hexDigits    = "0123456789abcdef"
	labelLetters = "abcdefghijklmnopqrstuvwxyz0123456789-"
)

// Without package regexp the agent is a tenth of a megabyte smaller.
func isHostname(text string) bool {
	return len(text) >= 1 && len(text) <= 63 && strings.Trim(text, labelLetters) == "" && text[0] != '-' && text[len(text)-1] != '-'
}

func isMachineID(text string) bool { return len(text) == 32 && strings.Trim(text, hexDigits) == "" }

func (s *Service) awaken(_ *http.Request, request *awakenRequest) (awakenResponse, error) {
	entropy, err := base64.StdEncoding.DecodeString(request.Entropy)
	if err != nil || len(entropy) < entropyMinBytes || len(entropy) > entropyMaxBytes {
		return awakenResponse{}, connect.Errorf("invalid_argument", "entropy must be base64 of %d to %d bytes", entropyMinBytes, entropyMaxBytes)
	}
	nanoseconds, err := strconv.ParseInt(request.TimeUnixNs, 10, 64)
	if err != nil || nanoseconds <= 0 {
		return awakenResponse{}, connect.Errorf("invalid_argument", "timeUnixNs must be a decimal number")
	}
	if !isHostname(request.Hostname) {
		return awakenResponse{}, connect.Errorf("invalid_argument", "hostname is not one")
	}
	if !isMachineID(request.MachineID) {
		return awakenResponse{}, connect.Errorf("invalid_argument", "machineId must be 32 hex digits")
	}
	if s.Real {
		if err := become(entropy, nanoseconds, request.Hostname, request.MachineID); err != nil {
			return awakenResponse{}, err
		}
	}
	s.awake.Store(true)
	return awakenResponse{request.Hostname, request.MachineID, bootID()}, nil
}

func become(entropy []byte, nanoseconds int64, hostname, machineID string) error {
	if err := reseed(entropy); err != nil {
		return err
	}
	now := unix.NsecToTimespec(nanoseconds)
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
		return fmt.Errorf("cannot set the clock: %w", err)
	}
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("cannot set the hostname: %w", err)
	}
	// An image may have nothing, not even this folder.
	if err := os.MkdirAll("/etc", 0o755); err != nil {
		return err
	}
	if err := os.WriteFile("/etc/hostname", []byte(hostname+"\n"), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile("/etc/machine-id", []byte(machineID+"\n"), 0o444); err != nil {
		return err
	}
	if err := nameLoopback(hostname); err != nil {
		return err
	}
	return newHostKeys()
}

// reseed mixes host entropy into the kernel's generator, credits it, and makes the generator use it at once.
func reseed(entropy []byte) error {
	random, err := os.OpenFile("/dev/random", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer random.Close()
	// struct rand_pool_info { int entropy_count; int buf_size; __u32 buf[]; } of random(4)
	pool := make([]byte, 8+len(entropy))
	*(*int32)(unsafe.Pointer(&pool[0])) = int32(len(entropy) * 8)
	*(*int32)(unsafe.Pointer(&pool[4])) = int32(len(entropy))
	copy(pool[8:], entropy)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, random.Fd(), unix.RNDADDENTROPY, uintptr(unsafe.Pointer(&pool[0]))); errno != 0 {
		return fmt.Errorf("cannot add entropy: %w", errno)
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, random.Fd(), unix.RNDRESEEDCRNG, 0); errno != 0 {
		return fmt.Errorf("cannot reseed the random generator: %w", errno)
	}
	return nil
}

func nameLoopback(hostname string) error {
	const file, mark = "/etc/hosts", " # warren"
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	lines := make([]string, 0, 8)
	for _, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		if line != "" && !strings.HasSuffix(line, mark) {
			lines = append(lines, line)
		}
	}
	lines = append(lines, "127.0.1.1 "+hostname+mark)
	return os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644)
}

// newHostKeys replaces ssh host keys that came with the image; most images have none.
func newHostKeys() error {
	keys, _ := filepath.Glob("/etc/ssh/ssh_host_*_key*")
	if len(keys) == 0 {
		return nil
	}
	for _, key := range keys {
		if err := os.Remove(key); err != nil {
			return err
		}
	}
	if output, err := exec.Command("ssh-keygen", "-A").CombinedOutput(); err != nil {
		return fmt.Errorf("cannot make new ssh host keys: %v: %s", err, output)
	}
	return nil
}

type nothing struct{}

func (s *Service) quiesce(*http.Request, *nothing) (nothing, error) {
	runtime.GC()
	debug.FreeOSMemory()
	if s.Real {
		unix.Sync()
	}
	return nothing{}, nil
}

func (s *Service) powerOff(*http.Request, *nothing) (nothing, error) {
	s.awake.Store(false)
	s.EndSessions()
	if !s.Real {
		return nothing{}, nil
	}
	unix.Sync()
	// Writers may still hold the overlay open; what is synced is on the disk either way.
	if err := unix.Mount("", boot.DiskHandlePath, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err == nil {
		unix.Sync()
	}
	return nothing{}, nil
}

func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}
