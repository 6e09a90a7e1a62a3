package git

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"warren.dev/agent/internal/account"
)

// Every git of the guest runs through command.run: as the user, with an environment of our own, with an end
// (time, kept output) and in a process group that dies as one. A hook or filter that hangs must not wedge us.

type command struct {
	user    account.User
	dir     string
	args    []string
	env     []string
	stdin   io.Reader
	stdout  io.Writer // nil: kept, up to keptOutputBytes
	timeout time.Duration
}

const (
	keptOutputBytes = 64 << 20
	keptErrorBytes  = 16 << 10
	pipeGrace       = 5 * time.Second
	defaultPath     = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
)

// exitError is a git that ended with another code than 0.
type exitError struct {
	args   []string
	code   int
	stderr string
}

func (e *exitError) Error() string {
	return "git " + e.args[0] + " failed: " + strings.TrimSpace(e.stderr)
}

// exitCode is the code that git ended with, or -1 when err is something else.
func exitCode(err error) int {
	var exit *exitError
	if errors.As(err, &exit) {
		return exit.code
	}
	return -1
}

func (s *service) git(ctx context.Context, c command) ([]byte, error) {
	path := searchPath()
	program := find("git", path)
	if program == "" {
		return nil, errNoGit()
	}
	if c.timeout == 0 {
		c.timeout = 5 * time.Minute
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()

	fixed := []string{"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0",
		"-c", "maintenance.auto=false", "-c", "advice.detachedHead=false"}
	cmd := exec.CommandContext(ctx, program, append(fixed, c.args...)...)
	cmd.Dir = c.dir
	cmd.Env = append([]string{
		"PATH=" + path, "HOME=" + c.user.Home, "USER=" + c.user.Name, "LOGNAME=" + c.user.Name, "LC_ALL=C",
		"GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "GIT_EDITOR=true", "GIT_OPTIONAL_LOCKS=0",
		"GIT_NO_REPLACE_OBJECTS=1", "GIT_LFS_SKIP_SMUDGE=1", "GIT_NO_LAZY_FETCH=1",
	}, c.env...)
	cmd.Stdin = c.stdin
	kept := &cappedBuffer{max: keptOutputBytes}
	said := &cappedBuffer{max: keptErrorBytes, quiet: true}
	cmd.Stdout, cmd.Stderr = kept, said
	if c.stdout != nil {
		cmd.Stdout = c.stdout
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: credential(c.user)}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = pipeGrace

	err := cmd.Run()
	if ctx.Err() == context.DeadlineExceeded {
		return nil, fail("deadline_exceeded", "git %s took longer than %s", c.args[0], c.timeout)
	}
	if ctx.Err() != nil {
		return nil, fail("canceled", "git %s was cancelled", c.args[0])
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return kept.Bytes(), &exitError{c.args, exit.ExitCode(), said.String()}
	}
	return kept.Bytes(), err
}

// line is git's output without its final newline; "" with no error when git ends with one of okCodes.
func (s *service) line(ctx context.Context, c command, okCodes ...int) (string, error) {
	out, err := s.git(ctx, c)
	for _, code := range okCodes {
		if err != nil && exitCode(err) == code {
			return "", nil
		}
	}
	return strings.TrimSuffix(string(out), "\n"), err
}

// credential is nil where we already are the user: an ordinary process may not set groups.
func credential(user account.User) *syscall.Credential {
	if os.Getuid() != 0 {
		return nil
	}
	return &syscall.Credential{Uid: user.Uid, Gid: user.Gid, Groups: user.Groups}
}

// searchPath is the agent's own, or where programs usually are: the first process of a machine may have none.
func searchPath() string {
	if path := os.Getenv("PATH"); path != "" {
		return path
	}
	return defaultPath
}

func errNoGit() error {
	return fail("failed_precondition", "git is not installed in this environment: install it, then try again")
}

func find(name, path string) string {
	for _, folder := range filepath.SplitList(path) {
		file := filepath.Join(folder, name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file
		}
	}
	return ""
}

// cappedBuffer keeps up to max bytes; then it fails, or when quiet drops the rest.
type cappedBuffer struct {
	bytes.Buffer
	max   int
	quiet bool
}

func (b *cappedBuffer) Write(data []byte) (int, error) {
	if room := b.max - b.Len(); len(data) > room {
		if !b.quiet {
			return 0, fail("resource_exhausted", "git printed more than %d bytes", b.max)
		}
		b.Buffer.Write(data[:room])
		return len(data), nil
	}
	return b.Buffer.Write(data)
}
