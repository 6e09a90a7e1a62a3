package channel

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// One stream of the channel. Each HELLO ends the connection before it and begins a new one; what was being written
// for the old one is let through whole before the ACK, and nothing of it after.

const ackMagic = "WRN-ACK\n"

// Port is the raw stream. Read blocks while no host is there, and returns io.EOF only when the port is gone.
type Port interface {
	io.ReadWriteCloser
}

// Serve reads the port until it is gone, and calls attached, in a goroutine of its own, with each new connection.
func Serve(port Port, generation uint32, attached func(net.Conn)) error {
	s := &stream{port: port, generation: generation, attached: attached}
	defer s.detach()
	if p, tells := port.(interface{ WhenAway(func()) }); tells {
		p.WhenAway(s.left)
	}
	var decoder Decoder
	buffer := make([]byte, 64*1024)
	for {
		n, err := port.Read(buffer)
		decoder.Feed(buffer[:n], s)
		if err != nil {
			return err
		}
	}
}

type stream struct {
	port       Port
	generation uint32
	attached   func(net.Conn)

	writing sync.Mutex // held for each whole write to the port
	current *conn
}

func (s *stream) Hello(epoch Epoch, _ uint32) {
	s.detach()
	ack := make([]byte, 0, len(ackMagic)+EpochBytes+4)
	ack = append(ack, ackMagic...)
	ack = append(ack, epoch[:]...)
	ack = binary.BigEndian.AppendUint32(ack, s.generation)
	s.writing.Lock()
	_, err := s.port.Write(ack)
	s.writing.Unlock()
	if err != nil {
		return
	}
	s.current = newConn(s)
	go s.attached(s.current)
}

func (s *stream) Data(payload []byte) {
	if s.current != nil {
		s.current.inbox.put(payload)
	}
}

func (s *stream) detach() {
	if s.current != nil {
		s.current.Close()
		s.current = nil
	}
}

// left tells the connection that the port said so; it may be late news about the host before.
func (s *stream) left() {
	if s.current != nil {
		s.current.leaving.Do(func() { close(s.current.left) })
	}
}

// conn is the net.Conn of one attach.
type conn struct {
	left    chan struct{}
	leaving sync.Once

	stream *stream
	inbox  *inbox
	closed chan struct{}
	once   sync.Once
}

func newConn(s *stream) *conn {
	return &conn{stream: s, inbox: newInbox(), closed: make(chan struct{}), left: make(chan struct{})}
}

// Left is closed when the host seems to have left; who wants to be sure asks it for a sign of life.
func (c *conn) Left() <-chan struct{} { return c.left }

func (c *conn) Read(into []byte) (int, error) { return c.inbox.read(into) }

func (c *conn) Write(bytes []byte) (int, error) {
	c.stream.writing.Lock()
	defer c.stream.writing.Unlock()
	select {
	case <-c.closed:
		return 0, net.ErrClosed
	default:
		return c.stream.port.Write(bytes)
	}
}

func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.inbox.close()
	})
	return nil
}

type address string

func (address) Network() string  { return "channel" }
func (a address) String() string { return string(a) }

func (c *conn) LocalAddr() net.Addr  { return address("guest") }
func (c *conn) RemoteAddr() net.Addr { return address("host") }

// Deadlines are not kept: the host's end of the channel decides when to give up.
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }

// ServeListener is Serve without a VM: each connection to the socket is a host that attaches.
func ServeListener(socket string, generation uint32, attached func(net.Conn)) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	var before net.Conn
	for {
		host, err := listener.Accept()
		if err != nil {
			return err
		}
		if before != nil {
			before.Close()
		}
		before = host
		go func() { _ = Serve(host, generation, attached) }()
	}
}
