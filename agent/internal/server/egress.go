package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"warren.dev/agent/internal/connect"
)

// egress is the agent's end of the `egress` stream: here the agent is the client. The door behind it is not built
// yet; the host refuses each CONNECT.
type egress struct {
	lock   sync.Mutex
	client *http2.ClientConn
}

const (
	probeTimeout    = 10 * time.Second
	refusalMaxBytes = 64 << 10
)

func (e *egress) attach(conn net.Conn) {
	client, err := (&http2.Transport{AllowHTTP: true}).NewClientConn(conn)
	if err != nil {
		conn.Close()
		return
	}
	e.lock.Lock()
	e.client = client
	e.lock.Unlock()
}

func (e *egress) register(mux *http.ServeMux) {
	mux.HandleFunc("POST /warren/egress/probe", connect.Unary(e.probe))
}

type probeRequest struct {
	Host string `json:"host"`
	Port uint16 `json:"port"`
}

type probeResponse struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
}

// probe asks for a connection as a program's would be asked for, and tells the host's answer.
func (e *egress) probe(r *http.Request, request *probeRequest) (probeResponse, error) {
	e.lock.Lock()
	client := e.client
	e.lock.Unlock()
	if client == nil {
		return probeResponse{}, connect.Errorf("unavailable", "the host is not attached to the egress stream")
	}
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	target := fmt.Sprintf("%s:%d", request.Host, request.Port)
	asked, err := http.NewRequestWithContext(ctx, http.MethodConnect, "http://"+target, nil)
	if err != nil {
		return probeResponse{}, connect.Errorf("invalid_argument", "%q is no host and port", target)
	}
	answer, err := client.RoundTrip(asked)
	if err != nil {
		return probeResponse{}, connect.Errorf("unavailable", "the egress stream failed: %v", err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, refusalMaxBytes))
	return probeResponse{answer.StatusCode, string(body)}, nil
}
