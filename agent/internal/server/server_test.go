package server

import (
	"io"
	"net"
	"net/http"
	"testing"

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
