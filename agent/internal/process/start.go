package process

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/inroot"
)

const (
	defaultPath   = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	childOOMScore = "100"
)

// spawn starts the process of a request; its output is not read yet.
func (s *Service) spawn(request *startRequest, in where) (*session, error) {
	user := in.user
	cwd, err := s.workingFolder(request.Process.Cwd, in)
	if err != nil {
		return nil, err
	}
	environment := s.environment(request, in)
	path, err := in.lookPath(request.Process.Cmd, cwd, environment)
	if err != nil {
		return nil, connect.Errorf("invalid_argument", "cannot start %q: %v", request.Process.Cmd, err)
	}
	cmd := &exec.Cmd{Path: path, Args: append([]string{request.Process.Cmd}, request.Process.Args...), Dir: cwd, Env: environment}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Chroot: in.root}
	if in.alone {
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWNET
	}
	if os.Getuid() == 0 && s.BecomeUsers {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: user.Uid, Gid: user.Gid, Groups: user.Groups}
	}
	made := &session{
		info:        processInfo{Config: request.Process, Tag: request.Tag},
		cmd:         cmd,
		subscribers: map[*subscriber]struct{}{},
		exited:      make(chan struct{}),
	}
	if request.Pty != nil {
		err = made.startPty(request.Pty, user)
	} else {
		err = made.startPipes(request.Stdin == nil || *request.Stdin, user)
	}
	if err != nil {
		return nil, connect.Errorf("invalid_argument", "cannot start %q: %v", request.Process.Cmd, err)
	}
	made.info.Pid = uint32(cmd.Process.Pid)
	return made, nil
}

const ownOOMScore = "/proc/self/oom_score_adj"

var scoring sync.Mutex // held while the agent has a child's score

// startScored starts a process with a child's score from its first moment: what it forks at once must not inherit
// the agent's, which is never killed for memory.
func startScored(cmd *exec.Cmd) error {
	scoring.Lock()
	defer scoring.Unlock()
	own, err := os.ReadFile(ownOOMScore)
	if err == nil && os.WriteFile(ownOOMScore, []byte(childOOMScore), 0) == nil {
		defer func() { _ = os.WriteFile(ownOOMScore, own, 0) }()
	}
	return cmd.Start()
}

func (s *session) startPty(config *ptyConfig, user account.User) error {
	master, terminal, err := pty.Open()
	if err != nil {
		return err
	}
	defer terminal.Close()
	_ = terminal.Chown(int(user.Uid), -1)
	_ = pty.Setsize(master, size(config))
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = terminal, terminal, terminal
	s.cmd.SysProcAttr.Setctty = true
	if err := startScored(s.cmd); err != nil {
		master.Close()
		return err
	}
	s.pty = master
	s.outputs = []*output{{file: master, stream: "pty", chunkBytes: ptyChunkBytes}}
	return nil
}

func (s *session) startPipes(wantsStdin bool, user account.User) (err error) {
	var theirs, ours []*os.File
	defer func() {
		closeAll(theirs)
		if err != nil {
			closeAll(ours)
		}
	}()
	for _, stream := range []string{"stdout", "stderr"} {
		read, write, err := os.Pipe()
		if err != nil {
			return err
		}
		theirs, ours = append(theirs, write), append(ours, read)
		s.outputs = append(s.outputs, &output{file: read, stream: stream, chunkBytes: pipeChunkBytes})
	}
	s.cmd.Stdout, s.cmd.Stderr = theirs[0], theirs[1]
	if wantsStdin {
		read, write, err := os.Pipe()
		if err != nil {
			return err
		}
		theirs, ours = append(theirs, read), append(ours, write)
		s.cmd.Stdin, s.stdin = read, write
	}
	// Who opens /dev/stderr opens the pipe anew, which only its owner may.
	for _, each := range theirs {
		_ = each.Chown(int(user.Uid), -1)
	}
	return startScored(s.cmd)
}

func closeAll(files []*os.File) {
	for _, each := range files {
		each.Close()
	}
}

func size(config *ptyConfig) *pty.Winsize {
	cols, rows := config.Size.Cols, config.Size.Rows
	if cols == 0 {
		cols = 80
	}
	if rows == 0 {
		rows = 24
	}
	return &pty.Winsize{Cols: cols, Rows: rows}
}

// awaitExit returns when the leader has ended, which is not reaped yet.
func (s *session) awaitExit() {
	for {
		err := unix.Waitid(unix.P_PID, s.cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// reap answers how the process ended, in envd's words.
func (s *session) reap() end {
	err := s.cmd.Wait()
	state := s.cmd.ProcessState
	if state == nil {
		return end{ExitCode: -1, Status: "unknown", Error: err.Error()}
	}
	result := end{ExitCode: state.ExitCode(), Exited: state.Exited(), Status: state.String()}
	if err != nil {
		result.Error = err.Error()
	}
	return result
}

func (s *Service) workingFolder(wanted string, in where) (string, error) {
	user := in.user
	folder := wanted
	if folder == "" {
		folder = s.Defaults.Workdir()
	}
	if folder == "" {
		folder = user.Home
	}
	folder = ExpandPath(folder, user)
	if found, err := inroot.Stat(in.root, folder); err != nil || !found.IsDir() {
		if wanted == "" {
			return "/", nil
		}
		return "", connect.Errorf("invalid_argument", "cwd '%s' does not exist", wanted)
	}
	return folder, nil
}

// ExpandPath makes a path of the user absolute: `~`, or relative to their home.
func ExpandPath(path string, user account.User) string {
	switch {
	case path == "~":
		return user.Home
	case strings.HasPrefix(path, "~/"):
		return filepath.Join(user.Home, path[2:])
	case !filepath.IsAbs(path):
		return filepath.Join(user.Home, path)
	}
	return filepath.Clean(path)
}

func (s *Service) environment(request *startRequest, in where) []string {
	values := in.environment()
	if s.Trust != nil {
		for key, value := range s.Trust.Envs() {
			values[key] = value
		}
	}
	for key, value := range s.Defaults.Envs() {
		values[key] = value
	}
	for key, value := range request.Process.Envs {
		values[key] = value
	}
	list := make([]string, 0, len(values))
	for key, value := range values {
		list = append(list, key+"="+value)
	}
	sort.Strings(list)
	return list
}
