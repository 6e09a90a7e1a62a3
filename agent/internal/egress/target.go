package egress

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

const hostMaxBytes = 255

var errTarget = errors.New("not a host and port that may be asked for")

// target makes the authority of a flow from what a program wrote. The host judges it again; what could be read in two
// ways does not even leave.
func target(host string, port uint16) (string, error) {
	if port == 0 || host == "" || len(host) > hostMaxBytes {
		return "", errTarget
	}
	for i := range len(host) {
		if b := host[i]; b <= ' ' || b > '~' || strings.IndexByte("%@#\\/?", b) >= 0 {
			return "", errTarget
		}
	}
	if strings.ContainsAny(host, ":[]") {
		inside := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		address, err := netip.ParseAddr(inside)
		if whole := len(host)-len(inside) != 1; !whole || err != nil || !address.Is6() {
			return "", errTarget
		}
		host = "[" + address.String() + "]"
	}
	return host + ":" + strconv.Itoa(int(port)), nil
}

// splitTarget reads `host:port`; without a port it is fallback, if that is not 0.
func splitTarget(text string, fallback uint16) (string, error) {
	host, port := text, ""
	if at := strings.LastIndexByte(text, ':'); at >= 0 && !strings.HasSuffix(text, "]") {
		host, port = text[:at], text[at+1:]
	} else if fallback != 0 {
		return target(host, fallback)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || strings.ContainsAny(port, "+-_") {
		return "", errTarget
	}
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "", errTarget
	}
	return target(host, uint16(number))
}
