package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	flowsMax        = 1024
	retryAcceptWait = 50 * time.Millisecond
)

// No keep-alive: a connection at rest must not wake the machine.
var listening = net.ListenConfig{KeepAlive: -1}

func listenTCP(address netip.AddrPort) (net.Listener, error) {
	return listening.Listen(context.Background(), "tcp4", address.String())
}

func listenUDP(address netip.AddrPort) (*net.UDPConn, error) {
	socket, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(address))
	if err != nil {
		return nil, err
	}
	err = control(socket, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1) })
	if err != nil {
		socket.Close()
		return nil, err
	}
	return socket, nil
}

// accept hands out connections until the listener is closed. More than slots can hold are reset.
func accept(listener net.Listener, slots chan struct{}, serve func(*net.TCPConn)) error {
	for {
		conn, err := listener.Accept()
		if err != nil {
			if transient(err) {
				time.Sleep(retryAcceptWait)
				continue
			}
			return err
		}
		accepted, isTCP := conn.(*net.TCPConn)
		if !isTCP {
			conn.Close()
			continue
		}
		select {
		case slots <- struct{}{}:
			go func() {
				defer func() { <-slots }()
				serve(accepted)
			}()
		default:
			reset(accepted)
		}
	}
}

// transient errors pass: too many open files, no memory, a peer that was unreachable.
func transient(err error) bool { return !errors.Is(err, net.ErrClosed) }

var errNotRedirected = errors.New("the connection was not redirected")

// originalDestination is where a program wanted to connect to, before the redirect.
func originalDestination(conn *net.TCPConn) (netip.AddrPort, error) {
	var raw unix.RawSockaddrInet4
	err := control(conn, func(fd int) error {
		size := uint32(unsafe.Sizeof(raw))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_IP, unix.SO_ORIGINAL_DST,
			uintptr(unsafe.Pointer(&raw)), uintptr(unsafe.Pointer(&size)), 0)
		if errno != 0 {
			return errno
		}
		return nil
	})
	if err != nil {
		return netip.AddrPort{}, err
	}
	port := (*[2]byte)(unsafe.Pointer(&raw.Port))
	original := netip.AddrPortFrom(netip.AddrFrom4(raw.Addr), uint16(port[0])<<8|uint16(port[1]))
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil || original == local || original.Addr().IsLoopback() || original.Addr().IsUnspecified() {
		return netip.AddrPort{}, errNotRedirected
	}
	return original, nil
}

func control(conn syscall.Conn, do func(fd int) error) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = do(int(fd)) }); err != nil {
		return err
	}
	return inner
}
