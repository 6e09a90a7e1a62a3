// Package reap is PID 1: it starts the agent as a child and reaps whatever is orphaned. Being a process of its own,
// it cannot take an exit status away from the agent's own waits.
package reap

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Run never returns: the machine ends when the agent does.
func Run(args ...string) {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	agent := exec.Command("/proc/self/exe", args...)
	agent.Stdout, agent.Stderr = os.Stdout, os.Stderr
	if err := agent.Start(); err != nil {
		Fatal("cannot start the agent: %v", err)
	}
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || pid == agent.Process.Pid {
			Fatal("the agent ended: %v %v", status, err)
		}
	}
}

// Fatal says why on the console and turns the machine off.
func Fatal(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "warren-agent: "+format+"\n", args...)
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	os.Exit(1)
}
