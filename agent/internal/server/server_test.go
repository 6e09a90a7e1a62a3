package server

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// As on the channel: one HTTP/2 connection. A file of the kernel's says 0 bytes and holds more, so its archive cannot
// be true; without a reset the host would take it for a whole one.
func TestBrokenArchiveResetsItsStream(t *testing.T) {
	host, agent := net.Pipe()
	defer host.Close()
	go New("test", false).Attached(agent)
	client, err := (&http2.Transport{AllowHTTP: true}).NewClientConn(host)
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) error {
		r, _ := http.NewRequest(http.MethodGet, "http://agent/warren/archive?user=root&path="+path, nil)
		response, err := client.RoundTrip(r)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	if err := get("/etc/passwd"); err != nil {
		t.Error(err)
	}
	if err := get("/proc/self/status"); err == nil {
		t.Error("the stream of a broken archive ended as if it were whole")
	}
	if err := get("/etc/passwd"); err != nil {
		t.Errorf("the connection did not survive: %v", err)
	}
}

// Servers in the machine that read nothing: their connections hold what they may, and the host's other calls go on.
func TestUnreadForwardsHoldUpNobody(t *testing.T) {
	host, agent := net.Pipe()
	defer host.Close()
	go New("test", false).Attached(agent)
	client, err := (&http2.Transport{AllowHTTP: true}).NewClientConn(host)
	if err != nil {
		t.Fatal(err)
	}
	small := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	deaf, err := small.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var sent atomic.Int64
	for range maxResting {
		r := (&http.Request{
			Method: http.MethodConnect, URL: &url.URL{Scheme: "http", Host: deaf.Addr().String()}, Host: deaf.Addr().String(),
			Header: http.Header{}, Body: io.NopCloser(endless{&sent}),
		}).WithContext(ctx)
		answer, err := client.RoundTrip(r)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatal(answer, err)
		}
		defer answer.Body.Close()
	}
	for deadline := time.Now().Add(60 * time.Second); sent.Load() < maxResting*streamWindowBytes; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d forwards got %d KiB", maxResting, sent.Load()>>10)
		}
	}
	for before := int64(-1); before != sent.Load(); time.Sleep(300 * time.Millisecond) {
		before = sent.Load()
	}
	late, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	path := "http://agent/files?path=" + url.QueryEscape(t.TempDir()+"/file")
	r, _ := http.NewRequestWithContext(late, http.MethodPost, path, bytes.NewReader(make([]byte, 4*streamWindowBytes)))
	r.Header.Set("Content-Type", "application/octet-stream")
	answer, err := client.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if said, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", answer.StatusCode, said)
	}
}

// endless counts what is taken of it.
type endless struct{ taken *atomic.Int64 }

func (e endless) Read(into []byte) (int, error) {
	e.taken.Add(int64(len(into)))
	return len(into), nil
}
