package egress

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a machine's network does, in a network namespace of this test's own: the test runs itself anew in one.
func TestNetworkOfAMachine(t *testing.T) {
	if os.Getenv("WARREN_TEST_NAMESPACE") == "" {
		again := exec.Command(os.Args[0], "-test.run=^TestNetworkOfAMachine$", "-test.v", "-test.timeout=60s")
		again.Env = append(os.Environ(), "WARREN_TEST_NAMESPACE=1")
		again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
		if os.Getuid() != 0 {
			again.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
			again.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		}
		output, err := again.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Skipf("this computer does not let the test have a network namespace: %v", err)
		}
		t.Logf("%s", output)
		if err != nil {
			t.Fail()
		}
		if strings.Contains(string(output), "--- SKIP") {
			t.Skip("the part that runs in its own namespace was skipped, for the reason printed above")
		}
		return
	}
	raiseLoopback(t)
	var service Service
	resolvConf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.Symlink("/nowhere", resolvConf); err != nil {
		t.Fatal(err)
	}
	if err := service.Start(resolvConf); err != nil {
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EPERM) {
			t.Skipf("this kernel does not redirect: %v", err)
		}
		t.Fatal(err)
	}
	if service.Mode() != "redirect" {
		t.Fatal(service.Mode())
	}
	if text, err := os.ReadFile(resolvConf); err != nil || string(text) != "nameserver 127.0.0.53\n" {
		t.Fatalf("%q %v", text, err)
	}
	attach(t, &service.Client, fakeDoor)
	t.Run("TCP", func(t *testing.T) { tcpIsRedirected(t) })
	t.Run("local TCP", localStays)
	t.Run("UDP", udpFails)
	t.Run("ICMP", icmpFails)
	t.Run("IPv6", ipv6Fails)
	t.Run("DNS", anyResolverAnswers)
	t.Run("own ports", ownPortsRefuse)
	t.Run("container", containersToo)
	t.Run("again", func(t *testing.T) {
		if err := errors.Join(route(), redirect()); err != nil {
			t.Fatal(err)
		}
		tcpIsRedirected(t)
	})
}

// fakeDoor tells what was asked for; to DNS it says one address.
func fakeDoor(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/dns":
		_, _ = io.WriteString(w, `{"rcode":"NOERROR","answers":[{"type":"A","ttl":30,"data":"198.18.0.7"}]}`)
	case strings.HasPrefix(r.Host, "203.0.113.9:"):
		refuse(w, r)
	case r.Host == "203.0.113.10:80":
		_, _ = io.WriteString(w, "for a container")
	default:
		echo(w, r)
	}
}

func raiseLoopback(t *testing.T) {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	request, _ := unix.NewIfreq("lo")
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, request); err != nil {
		t.Skipf("cannot raise lo: %v", err)
	}
}

func dialFast(t *testing.T, network, address string) (net.Conn, error) {
	t.Helper()
	started := time.Now()
	conn, err := net.DialTimeout(network, address, 5*time.Second)
	if took := time.Since(started); took > time.Second {
		t.Errorf("%s %s took %v", network, address, took)
	}
	if conn != nil {
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	}
	return conn, err
}

func tcpIsRedirected(t *testing.T) {
	for _, address := range []string{"93.184.216.34:443", "198.18.0.7:80", "169.254.169.254:80", "10.1.2.3:22"} {
		conn, err := dialFast(t, "tcp4", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := talk(t, conn.(*net.TCPConn), "hi"); got != address+" hi" {
			t.Errorf("%q for %s", got, address)
		}
		conn.Close()
	}
	expectReset(t, "203.0.113.9:443") // refused
}

func localStays(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "192.0.0.2:0"} {
		listener, err := net.Listen("tcp4", address)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := dialFast(t, "tcp4", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		accepted, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		accepted.Close()
		conn.Close()
		listener.Close()
	}
	if _, err := dialFast(t, "tcp4", "127.0.0.1:9"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
}

func udpFails(t *testing.T) {
	conn, err := dialFast(t, "udp4", "93.184.216.34:443")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	started := time.Now()
	_, err = conn.Write([]byte("quic"))
	if !errors.Is(err, syscall.EPERM) || time.Since(started) > time.Second {
		t.Errorf("%v after %v", err, time.Since(started))
	}
}

func icmpFails(t *testing.T) {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
	if err != nil {
		t.Skipf("raw sockets may not be opened here: %v", err)
	}
	defer unix.Close(socket)
	err = unix.Sendto(socket, []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}, 0, &unix.SockaddrInet4{Addr: [4]byte{8, 8, 8, 8}})
	if !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}
}

func ipv6Fails(t *testing.T) {
	if _, err := dialFast(t, "tcp6", "[2606:4700:4700::1111]:443"); !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Error(err)
	}
}

func anyResolverAnswers(t *testing.T) {
	for _, server := range []string{"127.0.0.53:53", "8.8.8.8:53"} {
		for _, network := range []string{"udp4", "tcp4"} {
			resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialFast(t, network, server)
			}}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			found, err := resolver.LookupIP(ctx, "ip4", "example.com")
			cancel()
			if err != nil || len(found) != 1 || found[0].String() != "198.18.0.7" {
				t.Errorf("%s %s: %v %v", network, server, found, err)
			}
		}
	}
}

func ownPortsRefuse(t *testing.T) {
	for _, address := range []string{"127.0.0.1:61080", "192.0.0.2:61080", "127.0.0.2:61080"} {
		expectReset(t, address)
	}
}

// expectReset: the reset may be faster than the dial.
func expectReset(t *testing.T, address string) {
	t.Helper()
	conn, err := dialFast(t, "tcp4", address)
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
		conn.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%s: %v", address, err)
	}
}
