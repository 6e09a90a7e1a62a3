package egress

import (
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// containersToo: a network namespace inside the machine, whose packets arrive on a device of their own.
func containersToo(t *testing.T) {
	container := exec.Command("sleep", "30")
	container.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := container.Start(); err != nil {
		t.Skipf("no network namespace can be made here: %v", err)
	}
	defer func() { _ = container.Process.Kill(); _ = container.Wait() }()
	pid := strconv.Itoa(container.Process.Pid)
	inside := func(command string) (string, error) {
		output, err := exec.Command("timeout", "5", "nsenter", "-t", pid, "-n", "bash", "-c", command).CombinedOutput()
		return string(output), err
	}
	for _, set := range []string{"link add w0 type veth peer name w1 netns " + pid, "addr add 172.31.0.1/24 dev w0", "link set w0 up"} {
		if output, err := exec.Command("ip", strings.Fields(set)...).CombinedOutput(); err != nil {
			t.Skipf("ip %s: %s", set, output)
		}
	}
	if output, err := inside("ip addr add 172.31.0.2/24 dev w1 && ip link set w1 up && ip route add default via 172.31.0.1"); err != nil {
		t.Skipf("the namespace's end of the link cannot be set up here: %s", output)
	}
	if got, err := inside("exec 3<>/dev/tcp/203.0.113.10/80; cat <&3"); err != nil || got != "for a container" {
		t.Errorf("%q %v", got, err)
	}
	listener, err := net.Listen("tcp4", "172.31.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = io.WriteString(conn, "the machine itself")
			conn.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if got, err := inside("exec 3<>/dev/tcp/172.31.0.1/" + port + "; cat <&3"); err != nil || got != "the machine itself" {
		t.Errorf("%q %v", got, err)
	}
	if got, _ := inside("exec 3<>/dev/udp/8.8.8.8/443; echo quic >&3; cat <&3"); !strings.Contains(got, "refused") {
		t.Errorf("UDP: %q", got)
	}
}
