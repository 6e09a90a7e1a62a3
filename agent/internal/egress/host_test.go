package egress

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// host is the other end of the egress stream.
type host struct {
	conn   net.Conn
	leave  chan struct{}
	leaves sync.Once
}

// leavingConn is a port's connection, which tells that its host leaves.
type leavingConn struct {
	net.Conn
	left chan struct{}
}

func (c leavingConn) Left() <-chan struct{} { return c.left }

func attach(t *testing.T, client *Client, serve http.HandlerFunc) *host {
	t.Helper()
	ours, theirs := net.Pipe()
	h := &host{conn: ours, leave: make(chan struct{})}
	t.Cleanup(h.die)
	go (&http2.Server{MaxConcurrentStreams: 1000}).ServeConn(ours, &http2.ServeConnOpts{Handler: serve})
	client.Attach(leavingConn{theirs, h.leave})
	return h
}

// die ends the connection as a restore does: nothing is said.
func (h *host) die() { h.conn.Close() }

// echo agrees, and answers with what it was sent once that has ended.
func echo(w http.ResponseWriter, r *http.Request) {
	w.WriteHeader(http.StatusOK)
	_ = http.NewResponseController(w).Flush()
	all, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(append([]byte(r.Host+" "), all...))
}

func refuse(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusForbidden)
	_, _ = io.WriteString(w, `{"code":"egress.denied","message":"no rule allows this"}`)
}

// pair is a TCP connection: a program's end and the agent's.
func pair(t *testing.T) (theirs, ours *net.TCPConn) {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialed, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	_ = dialed.SetDeadline(time.Now().Add(20 * time.Second))
	return dialed.(*net.TCPConn), accepted.(*net.TCPConn)
}

func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
	}
}

func (c *Client) pendingNow() int {
	c.lock.Lock()
	defer c.lock.Unlock()
	return c.pending
}
