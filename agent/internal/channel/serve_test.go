package channel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/sys/unix"
)

const testGeneration = 0xa1b2c3d4

// host is the other end of the channel, as docs/CHANNEL.md tells it.
type host struct {
	t    *testing.T
	port net.Conn
}

// socketPair joins two blocking ends; each is closed with the test.
func socketPair(t *testing.T) (ours, theirs net.Conn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ends := make([]net.Conn, 2)
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "pair")
		if ends[i], err = net.FileConn(file); err != nil {
			t.Fatal(err)
		}
		file.Close()
		t.Cleanup(func() { ends[i].Close() })
	}
	return ends[0], ends[1]
}

// slicedPort writes in slices, as a virtio port does: only the stream itself keeps two writers apart.
type slicedPort struct{ net.Conn }

func (p slicedPort) Write(bytes []byte) (int, error) {
	for at := 0; at < len(bytes); {
		n, err := p.Conn.Write(bytes[at:min(at+32<<10, len(bytes))])
		at += n
		if err != nil {
			return at, err
		}
		runtime.Gosched()
	}
	return len(bytes), nil
}

// serve runs an agent's end until the test is over, and hands out its connections.
func serve(t *testing.T, attached func(net.Conn)) *host {
	t.Helper()
	ours, theirs := socketPair(t)
	ended := make(chan error, 1)
	go func() { ended <- Serve(slicedPort{theirs}, testGeneration, attached) }()
	t.Cleanup(func() {
		ours.Close()
		if err := <-ended; !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("Serve ended with %v", err)
		}
	})
	return &host{t, ours}
}

func (h *host) send(frames ...[]byte) {
	h.t.Helper()
	for _, frame := range frames {
		if _, err := h.port.Write(frame); err != nil {
			h.t.Fatal(err)
		}
	}
}

// awaitAck skips what is older than this epoch's ACK, as the host does.
func (h *host) awaitAck(epoch byte) (skipped int) {
	h.t.Helper()
	want := append([]byte("WRN-ACK\n"), bytes.Repeat([]byte{epoch}, EpochBytes)...)
	want = binary.BigEndian.AppendUint32(want, testGeneration)
	var seen []byte
	one := make([]byte, 1)
	for !bytes.HasSuffix(seen, want) {
		if len(seen) > 1<<20 {
			h.t.Fatal("no ACK in 1 MiB")
		}
		if _, err := h.port.Read(one); err != nil {
			h.t.Fatal(err)
		}
		seen = append(seen, one[0])
	}
	return len(seen) - len(want)
}

func (h *host) attach(epoch byte) (skipped int) {
	h.t.Helper()
	h.send(filler, helloFrame(epoch, 1))
	return h.awaitAck(epoch)
}

// Read and Write make the host an end of HTTP/2.
func (h *host) Read(into []byte) (int, error) { return h.port.Read(into) }

func (h *host) Write(bytes []byte) (int, error) {
	for at := 0; at < len(bytes); {
		n := min(len(bytes)-at, PayloadMaxBytes)
		if _, err := h.port.Write(dataFrame(bytes[at : at+n])); err != nil {
			return at, err
		}
		at += n
	}
	return len(bytes), nil
}

func handOut() (func(net.Conn), chan net.Conn) {
	conns := make(chan net.Conn, 8)
	return func(conn net.Conn) { conns <- conn }, conns
}

func TestAttach(t *testing.T) {
	attached, conns := handOut()
	h := serve(t, attached)
	h.send([]byte("\x03garbage"), dataFrame([]byte("before any HELLO: nobody's")))
	if skipped := h.attach(1); skipped != 0 {
		t.Fatalf("%d bytes before the first ACK", skipped)
	}
	conn := <-conns
	h.send(dataFrame([]byte("to the ")), []byte{0}, dataFrame([]byte("guest")))
	got := make([]byte, 12)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "to the guest" {
		t.Fatalf("%q %v", got, err)
	}
	if _, err := conn.Write([]byte("to the host")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(h, got[:11]); err != nil || string(got[:11]) != "to the host" {
		t.Fatalf("%q %v", got, err)
	}
}

// A small read keeps what it did not take.
func TestReadInPieces(t *testing.T) {
	attached, conns := handOut()
	h := serve(t, attached)
	h.attach(1)
	conn := <-conns
	h.send(dataFrame([]byte("abcdef")))
	var got []byte
	for piece := make([]byte, 4); len(got) < 6; {
		n, err := conn.Read(piece)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, piece[:n]...)
	}
	if string(got) != "abcdef" {
		t.Fatalf("%q", got)
	}
}

// Attached anew, the old connection is over for both directions, and nothing of it follows the ACK.
func TestAttachAnewEndsTheOld(t *testing.T) {
	attached, conns := handOut()
	h := serve(t, attached)
	h.attach(1)
	before := <-conns
	reading := make(chan error, 1)
	go func() {
		_, err := before.Read(make([]byte, 1))
		reading <- err
	}()
	h.send([]byte{frameData, 0, 200, 'x'}, helloFrame(9, 9)) // frozen within this payload
	h.send(filler)
	if skipped := h.attach(2); skipped != 0 {
		t.Fatalf("%d bytes before the ACK", skipped)
	}
	after := <-conns
	<-reading // either the torn byte, or the end
	if _, err := before.Write([]byte("old")); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("the old connection could write: %v", err)
	}
	for {
		if _, err := before.Read(make([]byte, PayloadMaxBytes)); err != nil {
			if err != io.EOF {
				t.Fatal(err)
			}
			break
		}
	}
	if _, err := after.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3)
	if _, err := io.ReadFull(h, got); err != nil || string(got) != "new" {
		t.Fatalf("%q %v", got, err)
	}
}

// A write that the host does not read ends whole before the ACK: the writer is in the middle of it when HELLO comes.
func TestAttachInMidWrite(t *testing.T) {
	attached, conns := handOut()
	h := serve(t, attached)
	h.attach(1)
	before := <-conns
	const size = 4 << 20 // more than a socket holds
	wrote := make(chan error, 1)
	go func() {
		_, err := before.Write(bytes.Repeat([]byte{'o'}, size))
		wrote <- err
	}()
	if _, err := io.ReadFull(h, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	h.send(filler, helloFrame(2, 1))
	old := make([]byte, size-1)
	if _, err := io.ReadFull(h, old); err != nil || bytes.Count(old, []byte{'o'}) != len(old) {
		t.Fatalf("the write was torn: %v", err)
	}
	if skipped := h.awaitAck(2); skipped != 0 {
		t.Fatalf("%d bytes between the write and the ACK", skipped)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
}

// A connection whose reader is stuck does not keep the next HELLO away once the server gave it up.
func TestAttachOverAFullInbox(t *testing.T) {
	attached, conns := handOut()
	h := serve(t, attached)
	h.attach(1)
	before := <-conns
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		payload := dataFrame(bytes.Repeat([]byte{'x'}, PayloadMaxBytes))
		for range 200 {
			if _, err := h.port.Write(payload); err != nil {
				return
			}
		}
	}()
	before.Close()
	<-sent
	if skipped := h.attach(2); skipped != 0 {
		t.Fatal(skipped)
	}
}

// hostConn frames what is written; the rest is the socket's.
type hostConn struct {
	*host
	net.Conn
}

func (c hostConn) Read(into []byte) (int, error)   { return c.host.Read(into) }
func (c hostConn) Write(bytes []byte) (int, error) { return c.host.Write(bytes) }

// Close is the test's to do: the socket outlives the attach.
func (c hostConn) Close() error { return nil }

// HTTP/2 over several attaches of one port, each torn away in the middle of an answer.
func TestHTTP2OverEveryAttach(t *testing.T) {
	var server http2.Server
	gone := make(chan struct{}, 8)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("GET /endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = w.Write(make([]byte, 32<<10))
		}
		gone <- struct{}{}
	})
	h := serve(t, func(conn net.Conn) {
		server.ServeConn(conn, &http2.ServeConnOpts{Handler: mux})
	})
	body := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	for attach := byte(1); attach <= 3; attach++ {
		h.attach(attach)
		conn := &tornConn{Conn: hostConn{h, h.port}, stopped: make(chan struct{})}
		client, err := (&http2.Transport{AllowHTTP: true}).NewClientConn(conn)
		if err != nil {
			t.Fatal(err)
		}
		request, _ := http.NewRequest("POST", "http://agent/echo", bytes.NewReader(body))
		answer, err := client.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		echoed, err := io.ReadAll(answer.Body)
		if err != nil || !bytes.Equal(echoed, body) {
			t.Fatalf("attach %d: %d bytes, %v", attach, len(echoed), err)
		}
		request, _ = http.NewRequest("GET", "http://agent/endless", nil)
		if answer, err = client.RoundTrip(request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(answer.Body, make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		conn.tear()
		h.attach(attach + 100)
		<-gone // the handler of the connection before was told
	}
}

// tornConn is a host that is killed while the socket stays: at once it neither reads nor writes.
type tornConn struct {
	net.Conn
	torn    atomic.Bool
	once    sync.Once
	stopped chan struct{}
}

func (c *tornConn) tear() {
	c.torn.Store(true)
	_ = c.SetReadDeadline(time.Unix(1, 0))
	<-c.stopped
	_ = c.SetReadDeadline(time.Time{})
}

func (c *tornConn) Read(into []byte) (int, error) {
	n, err := c.Conn.Read(into)
	if err != nil {
		c.once.Do(func() { close(c.stopped) })
	}
	return n, err
}

func (c *tornConn) Write(bytes []byte) (int, error) {
	if c.torn.Load() {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(bytes)
}

// Without a VM: a socket that was left over is replaced, and who connects later ends who connected before.
func TestServeListener(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "agent")
	if err := os.WriteFile(socket, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	attached, conns := handOut()
	go func() { _ = ServeListener(socket, testGeneration, attached) }()
	connected := func() *host {
		for {
			port, err := net.Dial("unix", socket)
			if err == nil {
				t.Cleanup(func() { port.Close() })
				return &host{t, port}
			}
			runtime.Gosched()
		}
	}
	first := connected()
	first.attach(1)
	before := <-conns
	second := connected()
	second.attach(1)
	if _, err := before.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
	if _, err := first.port.Read(make([]byte, 1)); err != io.EOF {
		t.Fatal(err)
	}
}
