package egress

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// The listener for programs that want a proxy: HTTP CONNECT, HTTP with absolute addresses, and SOCKS5 by its first
// byte. Names go to the host as they were written.

const (
	proxyHeadMaxBytes = 64 << 10
	proxyHeadMaxFor   = 10 * time.Second
	flowEndMaxFor     = 5 * time.Second
	socksVersion      = 0x05
)

// client is a connection whose first bytes may have been read already.
type client struct {
	*net.TCPConn
	head *bufio.Reader
	rest *io.LimitedReader
}

func (s *Service) serveProxy(conn *net.TCPConn) {
	_ = conn.SetReadDeadline(time.Now().Add(proxyHeadMaxFor))
	limited := &io.LimitedReader{R: conn, N: proxyHeadMaxBytes}
	c := &client{conn, bufio.NewReaderSize(limited, 4<<10), limited}
	first, err := c.head.Peek(1)
	switch {
	case err != nil:
		conn.Close()
	case first[0] == socksVersion:
		s.serveSocks(c)
	default:
		s.serveHTTP(c)
	}
}

// source reads on after the head, without its limits.
func (c *client) source() io.Reader {
	_ = c.SetReadDeadline(time.Time{})
	left := c.head.Buffered()
	buffered, _ := c.head.Peek(left)
	return io.MultiReader(strings.NewReader(string(buffered)), c.TCPConn)
}

func (s *Service) claimOf(conn net.Conn) string {
	remote, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return ""
	}
	return claim(conn, remote)
}

func (s *Service) serveHTTP(c *client) {
	request, err := http.ReadRequest(c.head)
	if err != nil {
		c.refuse(http.StatusBadRequest, "this is no HTTP request")
		return
	}
	if request.Method == http.MethodConnect {
		s.serveConnect(c, request)
		return
	}
	s.serveAbsolute(c, request)
}

func (s *Service) serveConnect(c *client, request *http.Request) {
	authority, err := splitTarget(request.RequestURI, 0)
	if err != nil {
		c.refuse(http.StatusBadRequest, err.Error())
		return
	}
	flow, err := s.Client.Connect(context.Background(), authority, s.claimOf(c), c.source(), stopReading(c))
	if err != nil {
		c.refuseFor(err)
		return
	}
	if _, err := io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		flow.Abort()
		reset(c)
		return
	}
	relay(c, flow)
}

// Headers that concern the connection to a proxy, not the request.
var hopHeaders = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Upgrade",
}

// serveAbsolute passes one request for `http://…` on; the connection ends with its answer.
func (s *Service) serveAbsolute(c *client, request *http.Request) {
	if request.URL.Scheme != "http" || request.URL.Host == "" || request.URL.User != nil {
		c.refuse(http.StatusBadRequest, "a request to this proxy names an http:// address or is a CONNECT")
		return
	}
	authority, err := splitTarget(request.URL.Host, 80)
	if err != nil {
		c.refuse(http.StatusBadRequest, err.Error())
		return
	}
	for _, value := range request.Header.Values("Connection") {
		for _, name := range strings.Split(value, ",") {
			request.Header.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopHeaders {
		request.Header.Del(name)
	}
	if request.UserAgent() == "" {
		request.Header.Set("User-Agent", "") // none is added
	}
	request.Host, request.Close = request.URL.Host, true
	// The body's length is the request's own affair from here on.
	_ = c.SetReadDeadline(time.Time{})
	c.rest.N = 1<<63 - 1
	read, write := io.Pipe()
	flow, err := s.Client.Connect(context.Background(), authority, s.claimOf(c), read, func() { read.CloseWithError(errClosed) })
	if err != nil {
		c.refuseFor(err)
		return
	}
	go func() {
		// Its end is not told before the answer's: some servers take a half-closed connection for a lost one.
		if err := request.Write(write); err != nil {
			write.CloseWithError(err)
		}
	}()
	defer flow.Abort()
	if !receive(c, flow) {
		reset(c)
		return
	}
	_ = c.CloseWrite()
	c.Close()
	write.Close()
	late := time.NewTimer(flowEndMaxFor)
	defer late.Stop()
	select {
	case <-flow.Sent():
	case <-late.C:
	}
}

// refuseFor tells a program why there is no connection.
func (c *client) refuseFor(err error) {
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		c.refuse(http.StatusForbidden, refusal.Message)
	case errors.Is(err, errNoHost):
		c.refuse(http.StatusGatewayTimeout, err.Error())
	case errors.Is(err, errTooMany):
		c.refuse(http.StatusServiceUnavailable, err.Error())
	default:
		c.refuse(http.StatusBadGateway, "the connection to the host failed")
	}
}

// refuse answers and closes.
func (c *client) refuse(status int, message string) {
	_ = c.SetDeadline(time.Now().Add(proxyHeadMaxFor))
	message += "\n"
	head := "HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n" +
		"Content-Type: text/plain; charset=utf-8\r\nContent-Length: " + strconv.Itoa(len(message)) + "\r\nConnection: close\r\n\r\n"
	_, _ = io.WriteString(c, head+message)
	_ = c.CloseWrite()
	_, _ = io.CopyN(io.Discard, c.TCPConn, proxyHeadMaxBytes) // what is unread would reset the answer
	c.Close()
}
