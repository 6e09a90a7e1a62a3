package egress

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"

	"warren.dev/agent/internal/connect"
)

// Service is the way out as a whole.
type Service struct {
	Client     Client
	redirected atomic.Bool
}

// Start opens the listeners, sends the machine's traffic to them and makes programs ask our resolver. What fails is
// returned, and the rest works: a kernel without nf_tables leaves the proxy and the resolver.
func (s *Service) Start(resolvConf string) error {
	slots := make(chan struct{}, flowsMax)
	names := newResolver(&s.Client)
	serve := func(conn *net.TCPConn) { names.serveStream(conn) }
	resolver := netip.AddrPortFrom(Resolver, 53)
	anywhere := netip.IPv4Unspecified()
	failed := errors.Join(
		listen(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ProxyPort), slots, s.serveProxy),
		listen(resolver, slots, serve),
		datagrams(resolver, names),
		writeResolvConf(resolvConf),
	)
	err := errors.Join(
		listen(netip.AddrPortFrom(anywhere, RedirectPort), slots, func(conn *net.TCPConn) { s.serveRedirected(conn, names) }),
		datagrams(netip.AddrPortFrom(anywhere, DNSPort), names),
		route(),
	)
	if err == nil {
		err = redirect()
	}
	s.redirected.Store(err == nil)
	return errors.Join(failed, err)
}

// Mode is how programs get out: "redirect" all by themselves, "none" by the proxy only.
func (s *Service) Mode() string {
	if s.redirected.Load() {
		return "redirect"
	}
	return "none"
}

func listen(address netip.AddrPort, slots chan struct{}, serve func(*net.TCPConn)) error {
	listener, err := listenTCP(address)
	if err != nil {
		return err
	}
	go func() { _ = accept(listener, slots, serve) }()
	return nil
}

func datagrams(address netip.AddrPort, names *resolver) error {
	socket, err := listenUDP(address)
	if err != nil {
		return err
	}
	go func() { _ = names.serveDatagrams(socket) }()
	return nil
}

// serveRedirected carries a connection that a program made to anywhere; DNS is answered here.
func (s *Service) serveRedirected(conn *net.TCPConn, names *resolver) {
	original, err := originalDestination(conn)
	if err != nil {
		reset(conn)
		return
	}
	if original.Port() == 53 {
		names.serveStream(conn)
		return
	}
	flow, err := s.Client.Connect(context.Background(), original.String(), claim(conn, original), conn, stopReading(conn))
	if err != nil {
		reset(conn)
		return
	}
	relay(conn, flow)
}

// writeResolvConf replaces the file, or the symlink, that tells programs their resolver.
func writeResolvConf(path string) error {
	made := filepath.Join(filepath.Dir(path), ".resolv.conf.warren")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(made, []byte("nameserver "+Resolver.String()+"\n"), 0o644); err != nil {
		return err
	}
	return os.Rename(made, path)
}

// Register adds the calls of the agent's service.
func (s *Service) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /warren/egress/wanted", s.wanted)
	mux.HandleFunc("POST /warren/egress/probe", connect.Unary(s.probe))
}

func (s *Service) wanted(w http.ResponseWriter, r *http.Request) {
	wanted, err := s.Client.Wanted(r.Context())
	switch {
	case err != nil: // the caller has gone
	case wanted:
		connect.WriteJSON(w, http.StatusOK, struct{}{})
	default:
		connect.WriteError(w, connect.Errorf("aborted", "another call waits now"))
	}
}
