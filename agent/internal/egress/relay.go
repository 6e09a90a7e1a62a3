package egress

import (
	"io"
	"net"
	"time"
)

const relayBytes = 64 << 10

// program is a program's end of a connection.
type program interface {
	net.Conn
	CloseWrite() error
	SetLinger(seconds int) error
}

// stopReading makes a blocked read return.
func stopReading(conn net.Conn) func() {
	return func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) }
}

// reset ends a connection so that the program sees an error, not an end.
func reset(conn program) {
	_ = conn.SetLinger(0)
	conn.Close()
}

// relay passes bytes until both sides have ended; half-closed ends stay open. It closes both.
func relay(conn program, flow *Flow) {
	defer flow.Abort()
	defer flow.WhenGone(func() { reset(conn) })()
	if !receive(conn, flow) {
		reset(conn)
		return
	}
	if conn.CloseWrite() != nil {
		reset(conn)
		return
	}
	<-flow.Sent()
	conn.Close()
}

// receive copies from the host until it ends its side; false when either broke.
func receive(into io.Writer, flow *Flow) bool {
	_, err := io.CopyBuffer(struct{ io.Writer }{into}, struct{ io.Reader }{flow}, make([]byte, relayBytes))
	return err == nil
}
