package egress

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
)

// SOCKS5 (RFC 1928) without authentication, and only its CONNECT.

const (
	socksNoAuth         = 0x00
	socksNoMethod       = 0xff
	socksConnect        = 0x01
	socksSucceeded      = 0x00
	socksFailed         = 0x01
	socksNotAllowed     = 0x02
	socksUnreachable    = 0x04
	socksNoSuchCommand  = 0x07
	socksNoSuchAddress  = 0x08
	socksIPv4           = 0x01
	socksName           = 0x03
	socksIPv6           = 0x04
	socksHeadBytes      = 4 // version, command, reserved, kind of address
	socksReplyToNothing = "\x00\x01\x00\x00\x00\x00\x00\x00"
)

func (s *Service) serveSocks(c *client) {
	authority, reply := readSocks(c)
	if reply != socksSucceeded {
		c.socksRefuse(reply)
		return
	}
	flow, err := s.Client.Connect(context.Background(), authority, s.claimOf(c), c.source(), stopReading(c))
	if err != nil {
		var refusal *Refusal
		if errors.As(err, &refusal) {
			c.socksRefuse(socksNotAllowed)
		} else {
			c.socksRefuse(socksUnreachable)
		}
		return
	}
	if !c.socksReply(socksSucceeded) {
		flow.Abort()
		reset(c)
		return
	}
	relay(c, flow)
}

// readSocks agrees on no authentication and reads what is asked for, or with what it is refused.
func readSocks(c io.ReadWriter) (authority string, reply byte) {
	in, buffered := c, io.Reader(c)
	if own, is := c.(*client); is {
		buffered = own.head
	}
	read := func(n int) []byte {
		bytes := make([]byte, n)
		if _, err := io.ReadFull(buffered, bytes); err != nil {
			return nil
		}
		return bytes
	}
	greeting := read(2)
	if greeting == nil || greeting[0] != socksVersion {
		return "", socksNoMethod
	}
	methods := read(int(greeting[1]))
	fits := false
	for _, method := range methods {
		fits = fits || method == socksNoAuth
	}
	if !fits {
		_, _ = in.Write([]byte{socksVersion, socksNoMethod})
		return "", socksNoMethod
	}
	if _, err := in.Write([]byte{socksVersion, socksNoAuth}); err != nil {
		return "", socksNoMethod
	}
	head := read(socksHeadBytes)
	switch {
	case head == nil || head[0] != socksVersion || head[2] != 0:
		return "", socksFailed
	case head[1] != socksConnect:
		return "", socksNoSuchCommand
	}
	host := ""
	switch head[3] {
	case socksIPv4, socksIPv6:
		length := 4
		if head[3] == socksIPv6 {
			length = 16
		}
		address, ok := netip.AddrFromSlice(read(length))
		if !ok {
			return "", socksFailed
		}
		host = address.String()
	case socksName:
		length := read(1)
		if length == nil {
			return "", socksFailed
		}
		host = string(read(int(length[0])))
	default:
		return "", socksNoSuchAddress
	}
	port := read(2)
	if port == nil {
		return "", socksFailed
	}
	authority, err := target(host, binary.BigEndian.Uint16(port))
	if err != nil {
		return "", socksFailed
	}
	return authority, socksSucceeded
}

func (c *client) socksReply(code byte) bool {
	_, err := io.WriteString(c, string([]byte{socksVersion, code})+socksReplyToNothing)
	return err == nil
}

func (c *client) socksRefuse(code byte) {
	if code != socksNoMethod { // that was answered where it was found
		c.socksReply(code)
	}
	_ = c.CloseWrite()
	c.Close()
}
