package process

import (
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/connect"
)

// Defaults are what /init may have changed.
type Defaults interface {
	Workdir() string
	Envs() map[string]string
}

// Service keeps the sessions.
type Service struct {
	Defaults Defaults
	// User finds the user of a request (Basic auth, else the default one).
	User func(r *http.Request) (account.User, error)
	// MayStart answers an error while the machine does not know yet who it is.
	MayStart func(r *http.Request) error
	// BecomeUsers: false without a VM, where the agent is an ordinary process.
	BecomeUsers bool

	lock     sync.Mutex
	sessions map[uint32]*session
}

const (
	endKept          = 30 * time.Second
	keepAliveDefault = 90 * time.Second
)

// Register adds the calls of process.Process.
func (s *Service) Register(mux *http.ServeMux) {
	s.sessions = map[uint32]*session{}
	mux.HandleFunc("POST /process.Process/Start", s.start)
	mux.HandleFunc("POST /process.Process/Connect", s.connect)
	mux.HandleFunc("POST /process.Process/StreamInput", s.streamInput)
	mux.HandleFunc("POST /process.Process/List", connect.Unary(s.list))
	mux.HandleFunc("POST /process.Process/Update", connect.Unary(s.update))
	mux.HandleFunc("POST /process.Process/SendInput", connect.Unary(s.sendInput))
	mux.HandleFunc("POST /process.Process/CloseStdin", connect.Unary(s.closeStdin))
	mux.HandleFunc("POST /process.Process/SendSignal", connect.Unary(s.sendSignal))
}

func (s *Service) start(w http.ResponseWriter, r *http.Request) {
	var request startRequest
	user, err := s.User(r)
	if err == nil {
		err = s.MayStart(r)
	}
	if err == nil {
		err = connect.ReadEnvelope(r.Body, &request)
	}
	if err != nil {
		connect.OpenStream(w).End(err)
		return
	}
	made, outputs, err := s.spawn(&request, user)
	if err != nil {
		connect.OpenStream(w).End(err)
		return
	}
	sub := newSubscriber()
	made.subscribers[sub] = struct{}{}
	s.lock.Lock()
	s.sessions[made.info.Pid] = made
	s.lock.Unlock()
	go s.run(made, outputs)
	stop := killAfter(r, made)
	defer stop()
	s.stream(w, r, made, sub)
}

// run pumps the output and, 30 s after the end, forgets the session.
func (s *Service) run(made *session, outputs []*os.File) {
	names := []string{"stdout", "stderr"}
	chunk := pipeChunkBytes
	if made.pty != nil {
		names, chunk = []string{"pty"}, ptyChunkBytes
	}
	made.outputs.Add(len(outputs))
	for i, output := range outputs {
		go func() {
			made.pump(output, names[i], chunk)
			output.Close()
		}()
	}
	made.finish(made.wait())
	made.inputLock.Lock()
	if made.stdin != nil {
		made.stdin.Close()
	}
	made.inputLock.Unlock()
	time.AfterFunc(endKept, func() {
		s.lock.Lock()
		if s.sessions[made.info.Pid] == made {
			delete(s.sessions, made.info.Pid)
		}
		s.lock.Unlock()
	})
}

func (s *Service) connect(w http.ResponseWriter, r *http.Request) {
	var request selected
	err := connect.ReadEnvelope(r.Body, &request)
	var found *session
	if err == nil {
		found, err = s.find(request.Process)
	}
	if err != nil {
		connect.OpenStream(w).End(err)
		return
	}
	sub := newSubscriber()
	if ended, running := found.subscribe(sub); !running {
		stream := connect.OpenStream(w)
		_ = stream.Send(startEvent(int(found.info.Pid)))
		_ = stream.Send(ended)
		stream.End(nil)
		return
	}
	stop := killAfter(r, found)
	defer stop()
	s.stream(w, r, found, sub)
}

// stream sends events until the end, or until the host leaves: that does not end the process.
func (s *Service) stream(w http.ResponseWriter, r *http.Request, from *session, sub *subscriber) {
	defer from.unsubscribe(sub)
	stream := connect.OpenStream(w)
	if stream.Send(startEvent(int(from.info.Pid))) != nil {
		return
	}
	every := keepAliveDefault
	if seconds, err := strconv.Atoi(r.Header.Get("Keepalive-Ping-Interval")); err == nil && seconds > 0 {
		every = time.Duration(seconds) * time.Second
	}
	idle := time.NewTimer(every)
	defer idle.Stop()
	deadline := deadlineOf(r)
	for {
		var event []byte
		select {
		case <-r.Context().Done():
			return
		case <-deadline:
			stream.End(connect.Errorf("deadline_exceeded", "the time limit of the call is over"))
			return
		case <-idle.C:
			event = keepAliveEvent
		case next, open := <-sub.events:
			if !open {
				stream.End(nil)
				return
			}
			event = next
		}
		if stream.Send(event) != nil {
			return
		}
		idle.Reset(every)
	}
}

func timeoutOf(r *http.Request) time.Duration {
	ms, err := strconv.ParseInt(r.Header.Get("Connect-Timeout-Ms"), 10, 64)
	if err != nil || ms <= 0 {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

func deadlineOf(r *http.Request) <-chan time.Time {
	if timeout := timeoutOf(r); timeout > 0 {
		return time.After(timeout)
	}
	return nil
}

// killAfter ends the leader when the call's own time limit is over, as envd does.
func killAfter(r *http.Request, target *session) (stop func()) {
	timeout := timeoutOf(r)
	if timeout == 0 {
		return func() {}
	}
	timer := time.AfterFunc(timeout, func() { _ = target.cmd.Process.Kill() })
	return func() { timer.Stop() }
}

func (s *Service) find(wanted selector) (*session, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if wanted.Tag != "" {
		for _, candidate := range s.sessions {
			if candidate.info.Tag == wanted.Tag {
				return candidate, nil
			}
		}
		return nil, connect.Errorf("not_found", "process with tag %s not found", wanted.Tag)
	}
	if found, known := s.sessions[wanted.Pid]; known {
		return found, nil
	}
	return nil, connect.Errorf("not_found", "process with pid %d not found", wanted.Pid)
}

func (s *Service) list(*http.Request, *empty) (listResponse, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	response := listResponse{Processes: []processInfo{}}
	for _, each := range s.sessions {
		each.lock.Lock()
		if each.ended == nil {
			response.Processes = append(response.Processes, each.info)
		}
		each.lock.Unlock()
	}
	return response, nil
}

func (s *Service) update(_ *http.Request, request *updateRequest) (empty, error) {
	found, err := s.find(request.Process)
	if err != nil {
		return empty{}, err
	}
	if request.Pty == nil {
		return empty{}, nil
	}
	if found.pty == nil {
		return empty{}, connect.Errorf("failed_precondition", "the process has no terminal")
	}
	return empty{}, pty.Setsize(found.pty, size(request.Pty))
}

func (s *Service) sendInput(_ *http.Request, request *inputRequest) (empty, error) {
	found, err := s.find(request.Process)
	if err != nil {
		return empty{}, err
	}
	return empty{}, found.write(request.Input)
}

func (s *session) write(in input) error {
	s.inputLock.Lock()
	defer s.inputLock.Unlock()
	var to io.Writer
	data := in.Stdin
	switch {
	case s.pty != nil:
		to = s.pty
		if len(in.Pty) > 0 {
			data = in.Pty
		}
	case s.stdin != nil:
		to = s.stdin
	default:
		return connect.Errorf("internal", "stdin is not open")
	}
	if _, err := to.Write(data); err != nil {
		return connect.Errorf("internal", "cannot write to the process: %v", err)
	}
	return nil
}

func (s *Service) closeStdin(_ *http.Request, request *selected) (empty, error) {
	found, err := s.find(request.Process)
	if err != nil {
		return empty{}, err
	}
	if found.pty != nil {
		return empty{}, connect.Errorf("failed_precondition", "a terminal's input is ended by sending 0x04")
	}
	found.inputLock.Lock()
	defer found.inputLock.Unlock()
	if found.stdin != nil {
		found.stdin.Close()
		found.stdin = nil
	}
	return empty{}, nil
}

// streamInput takes many inputs in one call; the order is that of the stream.
func (s *Service) streamInput(w http.ResponseWriter, r *http.Request) {
	var target *session
	stream := connect.OpenStream(w)
	for {
		var flat streamInput
		err := connect.ReadEnvelope(r.Body, &flat)
		if err == io.EOF {
			_ = stream.Send(connect.Envelope([]byte("{}")))
			stream.End(nil)
			return
		}
		switch {
		case err != nil:
		case flat.Start != nil:
			target, err = s.find(flat.Start.Process)
		case flat.Data != nil && target == nil:
			err = connect.Errorf("invalid_argument", "the first message must select a process")
		case flat.Data != nil:
			err = target.write(flat.Data.Input)
		}
		if err != nil {
			stream.End(err)
			return
		}
	}
}

func (s *Service) sendSignal(_ *http.Request, request *signalRequest) (empty, error) {
	found, err := s.find(request.Process)
	if err != nil {
		return empty{}, err
	}
	signal, err := parseSignal(request.Signal)
	if err != nil {
		return empty{}, err
	}
	found.lock.Lock()
	defer found.lock.Unlock()
	if found.ended != nil {
		return empty{}, connect.Errorf("not_found", "process with pid %d not found", found.info.Pid)
	}
	// Each session leads its own group, so that a shell's children get it too.
	if err := syscall.Kill(-int(found.info.Pid), signal); err != nil {
		return empty{}, connect.Errorf("internal", "cannot signal: %v", err)
	}
	return empty{}, nil
}

// EndAll ends every session: SIGTERM, two seconds, SIGKILL.
func (s *Service) EndAll() {
	s.lock.Lock()
	running := make([]*session, 0, len(s.sessions))
	for _, each := range s.sessions {
		running = append(running, each)
	}
	s.lock.Unlock()
	signalAll := func(signal syscall.Signal) (left int) {
		for _, each := range running {
			each.lock.Lock()
			if each.ended == nil {
				left++
				_ = syscall.Kill(-int(each.info.Pid), signal)
			}
			each.lock.Unlock()
		}
		return left
	}
	for deadline := time.Now().Add(2 * time.Second); signalAll(syscall.SIGTERM) > 0 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	signalAll(syscall.SIGKILL)
}
