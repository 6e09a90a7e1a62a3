package forward

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"warren.dev/agent/internal/sockets"
)

// connectTo asks the agent for a port of its loopback, as the host does.
func connectTo(t *testing.T, authority string, body io.Reader) (*http.Response, error) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close() })
	go (&http2.Server{}).ServeConn(theirs, &http2.ServeConnOpts{Handler: Connects(http.NotFoundHandler())})
	client, err := (&http2.Transport{AllowHTTP: true, DisableCompression: true}).NewClientConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodConnect, "http://"+authority, body)
	if err != nil {
		t.Fatal(err)
	}
	return client.RoundTrip(request)
}

func TestForward(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all, _ := io.ReadAll(conn)
			_, _ = conn.Write(append([]byte("got "), all...))
			if string(all) == "die" {
				_ = conn.(*net.TCPConn).SetLinger(0)
			}
			conn.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	long := strings.Repeat("x", 300_000)
	for _, host := range []string{"127.0.0.1:", "localhost:"} {
		answer, err := connectTo(t, host+port, strings.NewReader(long))
		if err != nil || answer.StatusCode != 200 {
			t.Fatal(answer, err)
		}
		if all, err := io.ReadAll(answer.Body); err != nil || string(all) != "got "+long {
			t.Fatalf("%d bytes, %v", len(all), err)
		}
	}
	answer, err := connectTo(t, "[::1]:"+port, http.NoBody)
	if err != nil || answer.StatusCode != 502 {
		t.Fatal(answer, err)
	}
	var said struct{ Code, Message string }
	if err := json.NewDecoder(answer.Body).Decode(&said); err != nil || said.Code != "unavailable" || !strings.Contains(said.Message, "[::1]:"+port) {
		t.Fatal(said, err)
	}
	for _, other := range []string{"192.0.2.1:80", "127.0.0.2:80", "example.com:80", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1"} {
		if answer, err := connectTo(t, other, http.NoBody); err != nil || answer.StatusCode != 400 {
			t.Errorf("%s: %v %v", other, answer, err)
		}
	}
}

func TestPortsLeaveTheAgentOut(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	mine := uint16(listener.Addr().(*net.TCPAddr).Port)
	found, err := ports()
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range found {
		if each.Port == mine {
			t.Fatalf("%+v is the agent's own", each)
		}
	}
	seen := false
	inodes := map[uint64]int{}
	_ = sockets.Each(func(row sockets.Row) bool {
		if row.State == sockets.StateListen && row.Local.Port() == mine {
			seen, inodes[row.Inode] = true, 0
		}
		return true
	})
	sockets.Owners(inodes)
	for _, pid := range inodes {
		seen = seen && pid == os.Getpid()
	}
	if !seen {
		t.Fatalf("the owner of port %d was not found: %v", mine, inodes)
	}
}
