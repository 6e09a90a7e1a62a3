package egress

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTargets(t *testing.T) {
	for text, want := range map[string]string{
		"example.com:443": "example.com:443", "EXAMPLE.com.:80": "EXAMPLE.com.:80", "1.2.3.4:1": "1.2.3.4:1",
		"[::1]:22": "[::1]:22", "[2001:DB8::1]:443": "[2001:db8::1]:443", "a_b:65535": "a_b:65535",
		"": "", "example.com": "", "example.com:": "", "example.com:0": "", "example.com:65536": "", "example.com:+1": "",
		"::1:22": "", "[::1:22": "", "a]:1": "", ":80": "", "a b:80": "", "a\x00.b:80": "", "a\r\nb:80": "", "u@a:80": "",
		"a%00:80": "", "a#:80": "", "a\\b:80": "", "a/b:80": "", "ä:80": "", "[fe80::1%lo]:80": "",
		strings.Repeat("a", 256) + ":80": "",
	} {
		if got, err := splitTarget(text, 0); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q %v, want %q", text, got, err, want)
		}
	}
	if got, _ := splitTarget("example.com", 80); got != "example.com:80" {
		t.Error(got)
	}
	if got, _ := target("::1", 9); got != "[::1]:9" {
		t.Error(got)
	}
}

// proxied serves one connection of a program that uses the proxy.
func proxied(t *testing.T, serve http.HandlerFunc) *net.TCPConn {
	t.Helper()
	s := &Service{}
	attach(t, &s.Client, serve)
	theirs, ours := pair(t)
	go s.serveProxy(ours)
	return theirs
}

func say(t *testing.T, conn *net.TCPConn, text string) string {
	t.Helper()
	_, _ = io.WriteString(conn, text)
	_ = conn.CloseWrite()
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Errorf("%q: %v", text, err)
	}
	return string(all)
}

func TestProxyConnects(t *testing.T) {
	// What follows the head in one packet is the connection's.
	got := say(t, proxied(t, echo), "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\nhello")
	if got != "HTTP/1.1 200 Connection established\r\n\r\nexample.com:443 hello" {
		t.Errorf("%q", got)
	}
	got = say(t, proxied(t, refuse), "CONNECT example.com:443 HTTP/1.1\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 403 Forbidden\r\n") || !strings.HasSuffix(got, "\r\n\r\nno rule allows this\n") || !strings.Contains(got, "text/plain") {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{
		"CONNECT example.com HTTP/1.1\r\n\r\n", "CONNECT a%00b:1 HTTP/1.1\r\n\r\n", "CONNECT u@b:1 HTTP/1.1\r\n\r\n", "nonsense\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", "GET https://example.com/ HTTP/1.1\r\n\r\n", "GET http://u:p@example.com/ HTTP/1.1\r\n\r\n",
		"GET http://exa\x00mple.com/ HTTP/1.1\r\n\r\n",
	} {
		if got := say(t, proxied(t, echo), bad); !strings.HasPrefix(got, "HTTP/1.1 400 ") {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func TestProxyRewritesAbsoluteRequests(t *testing.T) {
	asked := make(chan *http.Request, 1)
	body := make(chan string, 1)
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		request, err := http.ReadRequest(bufio.NewReader(r.Body))
		if err != nil {
			t.Error(err)
			return
		}
		text, _ := io.ReadAll(request.Body)
		request.Header.Set("authority", r.Host)
		asked <- request
		body <- string(text)
		_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfrom the origin")
	}
	got := say(t, proxied(t, origin), "POST http://Example.com/a//b?c=d HTTP/1.1\r\nHost: other.test\r\nContent-Length: 4\r\n"+
		"Proxy-Authorization: secret\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nX-Kept: 2\r\n\r\nbody")
	if !strings.HasSuffix(got, "\r\n\r\nfrom the origin") {
		t.Errorf("%q", got)
	}
	request := <-asked
	if request.RequestURI != "/a//b?c=d" || request.Host != "Example.com" || request.Header.Get("authority") != "Example.com:80" || !request.Close {
		t.Errorf("%+v", request)
	}
	for name, want := range map[string]string{"X-Kept": "2", "X-Hop": "", "Proxy-Authorization": "", "User-Agent": ""} {
		if got := request.Header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if text := <-body; text != "body" {
		t.Errorf("%q", text)
	}
}

func TestSocks(t *testing.T) {
	const hello = "\x05\x01\x00"
	for what, try := range map[string]struct{ ask, want string }{
		"name":        {hello + "\x05\x01\x00\x03\x0bexample.com\x01\xbbhi", "\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00example.com:443 hi"},
		"IPv4":        {hello + "\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50x", "\x05\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x001.2.3.4:80 x"},
		"NUL in name": {hello + "\x05\x01\x00\x03\x0aa\x00.allowed\x01\xbb", "\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00"},
		"empty name":  {hello + "\x05\x01\x00\x03\x00\x01\xbb", "\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00"},
		"BIND":        {hello + "\x05\x02\x00\x01\x01\x02\x03\x04\x00\x50", "\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"},
		"kind 9":      {hello + "\x05\x01\x00\x09", "\x05\x00\x05\x08\x00\x01\x00\x00\x00\x00\x00\x00"},
		"password":    {"\x05\x01\x02", "\x05\xff"},
		"cut short":   {hello + "\x05\x01\x00\x03\x0bexam", "\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00"},
	} {
		if got := say(t, proxied(t, echo), try.ask); got != try.want {
			t.Errorf("%s: %q, want %q", what, got, try.want)
		}
	}
	if got := say(t, proxied(t, refuse), hello+"\x05\x01\x00\x03\x01a\x00\x50"); got != "\x05\x00\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00" {
		t.Errorf("refused: %q", got)
	}
}

func TestTooManyConnectionsAreReset(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	slots, hold := make(chan struct{}, 1), make(chan struct{})
	go func() { _ = accept(listener, slots, func(c *net.TCPConn) { <-hold; c.Close() }) }()
	defer close(hold)
	for i := range 2 {
		conn, err := net.Dial("tcp4", listener.Addr().String())
		if err == nil {
			defer conn.Close()
		}
		if i == 1 {
			if err == nil { // the reset may be faster than the dial
				_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
				_, err = conn.Read(make([]byte, 1))
			}
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Fatal(err)
			}
		} else if err != nil {
			t.Fatal(err)
		} else {
			waitUntil(t, "the first connection", func() bool { return len(slots) == 1 })
		}
	}
}
