// Package forward lets the host into the guest's own servers: a connection to a port of its loopback, and which ports
// there are. The other direction is the door's.
package forward

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"

	"warren.dev/agent/internal/connect"
)

const (
	dialMaxFor = 5 * time.Second
	copyBytes  = 16 << 10
)

// Connects serves CONNECT and leaves the rest to next.
func Connects(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			serve(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func serve(w http.ResponseWriter, r *http.Request) {
	addresses, err := loopback(r.Host)
	if err != nil {
		connect.WriteError(w, err)
		return
	}
	conn, err := dial(r, addresses)
	if err != nil {
		connect.WriteJSON(w, http.StatusBadGateway, connect.Errorf("unavailable", "cannot connect to %s in the machine: %v", r.Host, reason(err)))
		return
	}
	Pipe(w, r, conn)
}

// loopback takes the machine's own addresses only.
func loopback(authority string) ([]netip.AddrPort, error) {
	refused := connect.Errorf("invalid_argument", "%q is no port of this machine's loopback", authority)
	host, port, err := net.SplitHostPort(authority)
	if err != nil {
		return nil, refused
	}
	number, err := netip.ParseAddrPort("127.0.0.1:" + port)
	if err != nil || number.Port() == 0 {
		return nil, refused
	}
	four, six := number, netip.AddrPortFrom(netip.IPv6Loopback(), number.Port())
	switch host {
	case "127.0.0.1":
		return []netip.AddrPort{four}, nil
	case "::1":
		return []netip.AddrPort{six}, nil
	case "localhost":
		return []netip.AddrPort{four, six}, nil
	}
	return nil, refused
}

func dial(r *http.Request, addresses []netip.AddrPort) (conn *net.TCPConn, err error) {
	dialer := net.Dialer{Timeout: dialMaxFor, KeepAlive: -1}
	for _, address := range addresses {
		made, failed := dialer.DialContext(r.Context(), "tcp", address.String())
		if failed == nil {
			return made.(*net.TCPConn), nil
		}
		if err == nil {
			err = failed
		}
	}
	return nil, err
}

// reason leaves Go's words for addresses out.
func reason(err error) error {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err
}

// Conn is a connection in the machine of which one direction can end before the other.
type Conn interface {
	net.Conn
	CloseWrite() error
}

// Pipe passes bytes until whoever is in the machine has ended its side; the host may end its own before.
func Pipe(w http.ResponseWriter, r *http.Request, conn Conn) {
	defer conn.Close()
	flusher := http.NewResponseController(w)
	w.WriteHeader(http.StatusOK)
	if flusher.Flush() != nil {
		return
	}
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{r.Body}, make([]byte, copyBytes))
		if err == nil {
			err = conn.CloseWrite()
		}
		if err != nil {
			if tcp, is := conn.(*net.TCPConn); is {
				_ = tcp.SetLinger(0)
			}
			conn.Close()
		}
	}()
	buffer := make([]byte, copyBytes)
	for {
		n, err := conn.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return
			}
			if flusher.Flush() != nil {
				return
			}
		}
		switch {
		case err == io.EOF:
			return
		case err != nil:
			panic(http.ErrAbortHandler) // the stream is reset: not a whole answer
		}
	}
}
