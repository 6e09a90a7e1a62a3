package egress

import "net/netip"

// The agent's own ports, outside the range that the kernel hands out, and addresses.
const (
	RedirectPort = 61080 // every TCP connection that leaves ends here
	DNSPort      = 61053 // every question to another resolver ends here
	ProxyPort    = 3128  // HTTP and SOCKS5, on 127.0.0.1
)

var (
	// Resolver is what /etc/resolv.conf names.
	Resolver = netip.MustParseAddr("127.0.0.53")
	// Source is the guest's own address: programs that find no address but loopback do not try to connect. It is of
	// the range for hosts without IPv4 of their own (RFC 7335), which no network routes; the host never sees it.
	Source = netip.MustParseAddr("192.0.0.2")
)
