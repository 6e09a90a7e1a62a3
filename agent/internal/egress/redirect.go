package egress

import (
	"encoding/binary"
	"fmt"
	"net"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// What leaves is what the default route takes, and that is the one by way of lo. Packets to the machine itself and to
// bridges inside it (containers) pass untouched.

const (
	icmpPortUnreachable = 3
	destinationPort     = 2 // offset in the headers of TCP and UDP
)

// redirect sends TCP and DNS that leave to the agent's ports and rejects the rest at once. Doing it again replaces it.
func redirect() error {
	device, err := net.InterfaceByName("lo")
	if err != nil {
		return err
	}
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseLasting() }()
	table := &nftables.Table{Name: "warren", Family: nftables.TableFamilyIPv4}
	conn.AddTable(table) // so that there is one to delete
	conn.DelTable(table)
	conn.AddTable(table)
	chain := func(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) func(...[]expr.Any) {
		made := conn.AddChain(&nftables.Chain{Name: name, Table: table, Type: kind, Hooknum: hook, Priority: priority})
		return func(parts ...[]expr.Any) {
			rule := &nftables.Rule{Table: table, Chain: made}
			for _, part := range parts {
				rule.Exprs = append(rule.Exprs, part...)
			}
			conn.AddRule(rule)
		}
	}
	lo := binary.NativeEndian.AppendUint32(nil, uint32(device.Index))
	staysHere := [][]expr.Any{outputIsNot(lo), destinationIsLocal()}
	comesFromInside := append(inputIsNot(lo), routedTo(lo)...)

	rule := chain("nat-output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest)
	for _, stays := range staysHere {
		rule(stays, pass())
	}
	rule(protocol(unix.IPPROTO_UDP), toPort(53), redirectTo(DNSPort))
	rule(protocol(unix.IPPROTO_TCP), redirectTo(RedirectPort))

	rule = chain("nat-prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
	rule(comesFromInside, protocol(unix.IPPROTO_UDP), toPort(53), redirectTo(DNSPort))
	rule(comesFromInside, protocol(unix.IPPROTO_TCP), redirectTo(RedirectPort))

	rule = chain("filter-output", nftables.ChainTypeFilter, nftables.ChainHookOutput, nftables.ChainPriorityFilter)
	for _, stays := range staysHere {
		rule(stays, pass())
	}
	rule(reject())

	rule = chain("filter-prerouting", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityFilter)
	rule(comesFromInside, reject())

	if err := conn.Flush(); err != nil {
		return fmt.Errorf("cannot set the rules of nf_tables: %w", err)
	}
	return nil
}

func equals(value []byte) expr.Any { return &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: value} }
func differs(value []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: value}
}

func outputIsNot(device []byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyOIF, Register: 1}, differs(device)}
}

func inputIsNot(device []byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyIIF, Register: 1}, differs(device)}
}

func destinationIsLocal() []expr.Any {
	return []expr.Any{
		&expr.Fib{Register: 1, ResultADDRTYPE: true, FlagDADDR: true},
		equals(binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)),
	}
}

// routedTo holds for what a route by way of the device takes; addresses of the machine itself have none.
func routedTo(device []byte) []expr.Any {
	return []expr.Any{&expr.Fib{Register: 1, ResultOIF: true, FlagDADDR: true}, equals(device)}
}

func protocol(number byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, equals([]byte{number})}
}

func toPort(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: destinationPort, Len: 2},
		equals(binary.BigEndian.AppendUint16(nil, port)),
	}
}

func redirectTo(port uint16) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: binary.BigEndian.AppendUint16(nil, port)},
		&expr.Redir{RegisterProtoMin: 1},
	}
}

func pass() []expr.Any { return []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}} }

func reject() []expr.Any {
	return []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: icmpPortUnreachable}}
}
