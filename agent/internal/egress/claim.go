package egress

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"net/netip"
	"time"

	"warren.dev/agent/internal/sockets"
)

const (
	claimWithin   = 10 * time.Millisecond
	claimMaxBytes = 1024
)

// claim says which process made a connection, for the host's records; remote is where the program meant to connect.
// It is empty when that could not be found out in time.
func claim(conn net.Conn, remote netip.AddrPort) string {
	local, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return ""
	}
	process, found := sockets.Find(local, remote, claimWithin)
	if !found {
		return ""
	}
	for {
		text, err := json.Marshal(process)
		if err != nil {
			return ""
		}
		if encoded := base64.StdEncoding.EncodeToString(text); len(encoded) <= claimMaxBytes {
			return encoded
		}
		process.Cmdline = process.Cmdline[:len(process.Cmdline)/2]
		if process.Cmdline == "" {
			process.Comm = ""
		}
	}
}
