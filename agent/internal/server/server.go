// Package server puts the agent's services on the channel: HTTP/2, prior knowledge, one connection per attach.
package server

import (
	"net"
	"net/http"
	"os"

	"golang.org/x/net/http2"
	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/archive"
	"warren.dev/agent/internal/boot"
	"warren.dev/agent/internal/build"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/egress"
	"warren.dev/agent/internal/filesystem"
	"warren.dev/agent/internal/forward"
	"warren.dev/agent/internal/git"
	"warren.dev/agent/internal/identity"
	"warren.dev/agent/internal/metrics"
	"warren.dev/agent/internal/mounts"
	"warren.dev/agent/internal/process"
	"warren.dev/agent/internal/trust"
)

// Generation must be the host's (src/protocol/limits.ts).
const Generation = 1

const (
	// What the host sends and nobody takes. Less for a stream makes large ones a quarter slower: Node reads that there is
	// room only between its writes. So many that rest (connections to ports, mostly) hold up nothing else.
	streamWindowBytes     = 4 << 20
	connectionWindowBytes = (maxResting + 4) * streamWindowBytes
	maxResting            = 32
	maxStreams            = 512
	// Sent by the host while it warms a template up, which has no identity yet.
	warmUpHeader = "Warren-Warmup"
)

// Server is all services together.
type Server struct {
	handler http.Handler
	http2   http2.Server
	egress  egress.Service
}

// New makes the services; real is false without a VM.
func New(version string, real bool) *Server {
	mux := http.NewServeMux()
	lookup := account.Lookup
	if !real && os.Getuid() != 0 {
		lookup = account.Current
	}
	settings := newSettings(lookup)
	settings.register(mux)
	s := &Server{http2: http2.Server{
		MaxConcurrentStreams:         maxStreams,
		MaxReadFrameSize:             64 << 10,
		MaxUploadBufferPerStream:     streamWindowBytes,
		MaxUploadBufferPerConnection: connectionWindowBytes,
	}}
	trusted := trust.New("")
	sessions := &process.Service{Defaults: settings, Trust: trusted, User: settings.user, BecomeUsers: real}
	machine := &identity.Service{
		Version: version, Generation: Generation, Real: real, EndSessions: sessions.EndAll, Egress: s.egress.Mode,
	}
	sessions.MayStart = func(r *http.Request) error {
		if machine.Awake() || r.Header.Get(warmUpHeader) != "" {
			return nil
		}
		return connect.Errorf("failed_precondition", "the machine has not been told who it is")
	}
	if real && boot.Builder() {
		steps := &build.Service{Certificates: trusted.Certificates}
		steps.Register(mux)
		sessions.Roots = steps.Root
	}
	sessions.Register(mux)
	machine.Register(mux)
	archive.Register(mux, lookup)
	(&filesystem.Service{Defaults: settings, User: settings.user, Lookup: lookup}).Register(mux)
	metrics.Register(mux)
	git.Register(mux, git.Environment{LookupUser: lookup})
	s.egress.Register(mux)
	forward.Register(mux)
	mounts.Register(mux, lookup)
	if real {
		trusted.Register(mux)
	}
	s.handler = forward.Connects(settings.authenticated(mux))
	return s
}

// Attached serves one attach of the host on the `agent` stream until it ends.
func (s *Server) Attached(conn net.Conn) {
	s.http2.ServeConn(conn, &http2.ServeConnOpts{Handler: s.handler})
}

// EgressAttached takes the host's end of the `egress` stream.
func (s *Server) EgressAttached(conn net.Conn) { s.egress.Client.Attach(conn) }

// OpenEgress makes the machine's traffic go to the host; without it programs reach nothing.
func (s *Server) OpenEgress() error { return s.egress.Start("/etc/resolv.conf") }
