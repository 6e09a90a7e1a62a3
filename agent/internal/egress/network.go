package egress

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// route makes all of IPv4 reachable by way of the loopback device, so that programs connect as anywhere else. IPv6
// gets no route: there a connect fails at once.
func route() error {
	device, err := net.InterfaceByName("lo")
	if err != nil {
		return err
	}
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	source := Source.AsSlice()
	if err := change(conn, unix.RTM_NEWADDR, addressHead(device.Index),
		netlink.Attribute{Type: unix.IFA_LOCAL, Data: source},
		netlink.Attribute{Type: unix.IFA_ADDRESS, Data: source}); err != nil {
		return fmt.Errorf("cannot give lo an address: %w", err)
	}
	if err := change(conn, unix.RTM_NEWROUTE, defaultRouteHead(),
		netlink.Attribute{Type: unix.RTA_OIF, Data: binary.NativeEndian.AppendUint32(nil, uint32(device.Index))}); err != nil {
		return fmt.Errorf("cannot set the default route: %w", err)
	}
	return nil
}

func change(conn *netlink.Conn, kind netlink.HeaderType, head []byte, attributes ...netlink.Attribute) error {
	data, err := netlink.MarshalAttributes(attributes)
	if err != nil {
		return err
	}
	_, err = conn.Execute(netlink.Message{
		Header: netlink.Header{Type: kind, Flags: netlink.Request | netlink.Acknowledge | netlink.Create | netlink.Excl},
		Data:   append(head, data...),
	})
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

// addressHead is struct ifaddrmsg.
func addressHead(device int) []byte {
	return binary.NativeEndian.AppendUint32([]byte{unix.AF_INET, 32, 0, unix.RT_SCOPE_UNIVERSE}, uint32(device))
}

// defaultRouteHead is struct rtmsg with a destination of 0 bits.
func defaultRouteHead() []byte {
	return []byte{unix.AF_INET, 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BOOT, unix.RT_SCOPE_LINK, unix.RTN_UNICAST, 0, 0, 0, 0}
}
