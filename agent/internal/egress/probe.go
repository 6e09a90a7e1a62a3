package egress

import (
	"context"
	"errors"
	"net/http"
	"time"

	"warren.dev/agent/internal/connect"
)

const probeMaxFor = 15 * time.Second

type probeRequest struct {
	Host string `json:"host"`
	Port uint16 `json:"port"`
}

type probeResponse struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
}

// nothing is a connection's source that never says anything.
type nothing struct{ stopped chan struct{} }

func (n nothing) Read([]byte) (int, error) {
	<-n.stopped
	return 0, errClosed
}

// probe asks for a connection as a program's would be asked for, tells the host's answer and ends it.
func (s *Service) probe(r *http.Request, request *probeRequest) (probeResponse, error) {
	authority, err := target(request.Host, request.Port)
	if err != nil {
		return probeResponse{}, connect.Errorf("invalid_argument", "%v", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), probeMaxFor)
	defer cancel()
	silent := nothing{make(chan struct{})}
	flow, err := s.Client.Connect(ctx, authority, "", silent, func() { close(silent.stopped) })
	var refusal *Refusal
	switch {
	case err == nil:
		flow.Abort()
		return probeResponse{Status: http.StatusOK}, nil
	case errors.As(err, &refusal):
		return probeResponse{refusal.Status, refusal.Body}, nil
	}
	return probeResponse{}, connect.Errorf("unavailable", "%v", err)
}
