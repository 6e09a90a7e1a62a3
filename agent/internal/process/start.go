package process

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"github.com/creack/pty"
	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/connect"
)

const (
	defaultPath   = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	childOOMScore = "100"
)

// spawn starts the process of a request; its output is not read yet.
func (s *Service) spawn(request *startRequest, user account.User) (*session, []*os.File, error) {
	cwd, err := s.workingFolder(request.Process.Cwd, user)
	if err != nil {
		return nil, nil, err
	}
	environment := s.environment(request, user)
	path, err := lookPath(request.Process.Cmd, cwd, environment)
	if err != nil {
		return nil, nil, connect.Errorf("invalid_argument", "cannot start %q: %v", request.Process.Cmd, err)
	}
	cmd := &exec.Cmd{Path: path, Args: append([]string{request.Process.Cmd}, request.Process.Args...), Dir: cwd, Env: environment}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if os.Getuid() == 0 && s.BecomeUsers {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: user.Uid, Gid: user.Gid, Groups: user.Groups}
	}
	made := &session{
		info:        processInfo{Config: request.Process, Tag: request.Tag},
		cmd:         cmd,
		subscribers: map[*subscriber]struct{}{},
	}
	var outputs []*os.File
	if request.Pty != nil {
		outputs, err = made.startPty(request.Pty, user)
	} else {
		outputs, err = made.startPipes(request.Stdin == nil || *request.Stdin)
	}
	if err != nil {
		return nil, nil, connect.Errorf("invalid_argument", "cannot start %q: %v", request.Process.Cmd, err)
	}
	made.info.Pid = uint32(cmd.Process.Pid)
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", cmd.Process.Pid), []byte(childOOMScore), 0)
	return made, outputs, nil
}

func (s *session) startPty(config *ptyConfig, user account.User) ([]*os.File, error) {
	master, terminal, err := pty.Open()
	if err != nil {
		return nil, err
	}
	defer terminal.Close()
	_ = terminal.Chown(int(user.Uid), -1)
	_ = pty.Setsize(master, size(config))
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = terminal, terminal, terminal
	s.cmd.SysProcAttr.Setctty = true
	if err := s.cmd.Start(); err != nil {
		master.Close()
		return nil, err
	}
	s.pty = master
	return []*os.File{master}, nil
}

func (s *session) startPipes(wantsStdin bool) ([]*os.File, error) {
	var pipes [4]*os.File // out read, out write, err read, err write
	var err error
	if pipes[0], pipes[1], err = os.Pipe(); err != nil {
		return nil, err
	}
	if pipes[2], pipes[3], err = os.Pipe(); err != nil {
		return nil, err
	}
	defer pipes[1].Close()
	defer pipes[3].Close()
	s.cmd.Stdout, s.cmd.Stderr = pipes[1], pipes[3]
	var given *os.File
	if wantsStdin {
		in, out, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		given = in
		s.cmd.Stdin, s.stdin = in, out
	}
	err = s.cmd.Start()
	if given != nil {
		given.Close()
	}
	if err != nil {
		pipes[0].Close()
		pipes[2].Close()
		return nil, err
	}
	return []*os.File{pipes[0], pipes[2]}, nil
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

// wait answers how the process ended, in envd's words.
func (s *session) wait() end {
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

func (s *Service) workingFolder(wanted string, user account.User) (string, error) {
	folder := wanted
	if folder == "" {
		folder = s.Defaults.Workdir()
	}
	if folder == "" {
		folder = user.Home
	}
	folder = ExpandPath(folder, user)
	if found, err := os.Stat(folder); err != nil || !found.IsDir() {
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

func (s *Service) environment(request *startRequest, user account.User) []string {
	shell := user.Shell
	if shell == "" {
		shell = "/bin/sh"
	}
	values := map[string]string{"PATH": defaultPath, "HOME": user.Home, "USER": user.Name, "LOGNAME": user.Name, "SHELL": shell, "LANG": "C.UTF-8"}
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

// lookPath finds a command in the child's PATH, not in the agent's.
func lookPath(command, cwd string, environment []string) (string, error) {
	if command == "" {
		return "", errors.New("it is empty")
	}
	if strings.Contains(command, "/") {
		if !filepath.IsAbs(command) {
			command = filepath.Join(cwd, command)
		}
		return command, executable(command)
	}
	path := ""
	for _, variable := range environment {
		if value, found := strings.CutPrefix(variable, "PATH="); found {
			path = value
		}
	}
	for _, folder := range filepath.SplitList(path) {
		if folder == "" {
			folder = cwd
		}
		if candidate := filepath.Join(folder, command); executable(candidate) == nil {
			return candidate, nil
		}
	}
	return "", errors.New("command not found")
}

func executable(path string) error {
	found, err := os.Stat(path)
	switch {
	case err != nil:
		return errors.New("no such file")
	case found.IsDir():
		return errors.New("it is a folder")
	case found.Mode()&0o111 == 0:
		return errors.New("permission denied")
	}
	return nil
}
