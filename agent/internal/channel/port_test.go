package channel

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A FIFO's reading end is like a port: it answers 0 at once while nobody writes, and tells of a writer on an edge.
func fifoPort(t *testing.T) (port *virtioPort, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "port")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	if port, err = newVirtioPort(fd); err != nil {
		t.Fatal(err)
	}
	return port, path
}

// readCalls is how often this thread has called read(2).
func readCalls(t *testing.T) (calls int) {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/io")
	if err != nil {
		t.Skipf("this kernel does not count reads: %v", err)
	}
	_, after, _ := strings.Cut(string(text), "syscr: ")
	if _, err := fmt.Sscan(after, &calls); err != nil {
		t.Fatal(err)
	}
	return calls
}

// sleeping waits until a thread sleeps in the kernel.
func sleeping(t *testing.T, thread int) {
	t.Helper()
	for {
		text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", thread))
		if err != nil {
			t.Fatal(err)
		}
		_, after, _ := strings.Cut(string(text), ") ")
		if strings.HasPrefix(after, "S") {
			return
		}
		runtime.Gosched()
	}
}

// The host comes, says a word and leaves, many times: each word arrives whole, and between them the port is not
// asked over and over.
func TestPortBlocksWhileTheHostIsAway(t *testing.T) {
	const visits = 50
	port, path := fifoPort(t)
	threads, words := make(chan int), make(chan string)
	reads := make(chan int, 1)
	go func() {
		runtime.LockOSThread()
		defer close(words)
		before := readCalls(t)
		buffer := make([]byte, 64)
		for range visits {
			threads <- unix.Gettid()
			n, err := port.Read(buffer)
			if err != nil {
				t.Error(err)
				return
			}
			words <- string(buffer[:n])
		}
		reads <- readCalls(t) - before
	}()
	for visit := range visits {
		sleeping(t, <-threads)
		host, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("visit %d", visit)
		if _, err := host.WriteString(want); err != nil {
			t.Fatal(err)
		}
		host.Close()
		if got := <-words; got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	// A visit has at most three edges (opened, written, closed), each worth one read, and the first look.
	if calls := <-reads; calls > visits*4+8 {
		t.Fatalf("%d reads for %d visits: the port is polled", calls, visits)
	}
	if err := port.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestPortWritesAll(t *testing.T) {
	ours, theirs := socketPair(t)
	raw, err := theirs.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(raw.Fd())) // Fd makes it blocking, as a port is
	raw.Close()
	if err != nil {
		t.Fatal(err)
	}
	port, err := newVirtioPort(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	const size = 1 << 20
	wrote := make(chan int, 1)
	go func() {
		n, _ := port.Write(make([]byte, size))
		wrote <- n
	}()
	got, buffer := 0, make([]byte, 5000)
	for got < size {
		n, err := ours.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		got += n
	}
	if n := <-wrote; n != size {
		t.Fatal(n)
	}
}

func TestNoSuchPort(t *testing.T) {
	if _, err := OpenPort("warren.nowhere"); err == nil || !strings.Contains(err.Error(), "warren.nowhere") {
		t.Fatal(err)
	}
}

// A port gives 4 KiB for each read of the kernel's, as a socket of packets gives a packet: what has come is taken at once.
func TestPortTakesWhatThereIs(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	port, err := newVirtioPort(pair[0])
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	for range 3 {
		if _, err := unix.Write(pair[1], []byte("word ")); err != nil {
			t.Fatal(err)
		}
	}
	buffer := make([]byte, 64)
	if n, err := port.Read(buffer); err != nil || string(buffer[:n]) != "word word word " {
		t.Fatalf("%q, %v", buffer[:n], err)
	}
}
