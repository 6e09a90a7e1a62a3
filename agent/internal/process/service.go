package process

import (
	"io"
	"net/http"
	"os"
	"os/signal"
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
	// Trust has variables that the others go before; may be nil.
	Trust interface{ Envs() map[string]string }
	// User finds the user of a request (Basic auth, else the default one).
	User func(r *http.Request) (account.User, error)
	// MayStart answers an error while the machine does not know yet who it is.
	MayStart func(r *http.Request) error
	// BecomeUsers: false without a VM, where the agent is an ordinary process.
	BecomeUsers bool
	// Roots finds the tree that RootHeader names, in a builder machine; may be nil.
	Roots func(name string) (string, error)

	lock     sync.Mutex
	sessions map[uint32]*session
}

const (
	// RootHeader names the tree of a build's step: the process has it as its root.
	RootHeader = "Warren-Root"
	// NetworkHeader says "none" for a process with a network of its own that leads nowhere.
	NetworkHeader = "Warren-Network"

	endKept          = 30 * time.Second
	keepAliveDefault = 90 * time.Second
	// Larger numbers of a header would overflow; they are taken as absent.
	keepAliveMaxSeconds = 1 << 31
	timeoutMaxMs        = 9_999_999_999 // Connect: at most ten digits
	endTermWait         = 2 * time.Second
	endKillWait         = 2 * time.Second
)

// Register adds the calls of process.Process.
func (s *Service) Register(mux *http.ServeMux) {
	s.sessions = map[uint32]*session{}
	heedSignals()
	mux.HandleFunc("POST /process.Process/Start", s.start)
	mux.HandleFunc("POST /process.Process/Connect", s.connect)
	mux.HandleFunc("POST /process.Process/StreamInput", s.streamInput)
	mux.HandleFunc("POST /process.Process/List", connect.Unary(s.list))
	mux.HandleFunc("POST /process.Process/Update", connect.Unary(s.update))
	mux.HandleFunc("POST /process.Process/SendInput", connect.Unary(s.sendInput))
	mux.HandleFunc("POST /process.Process/CloseStdin", connect.Unary(s.closeStdin))
	mux.HandleFunc("POST /process.Process/SendSignal", connect.Unary(s.sendSignal))
}

// heedSignals makes sessions start with the default actions: PID 1 ignores some signals, and what is ignored stays so
// across exec, which would make a terminal's Ctrl-C do nothing.
func heedSignals() {
	for _, each := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(each) {
			signal.Notify(make(chan os.Signal, 1), each)
		}
	}
}

func (s *Service) start(w http.ResponseWriter, r *http.Request) {
	var request startRequest
	where, err := s.where(r)
	if err == nil {
		err = s.MayStart(r)
	}
	if err == nil {
		err = connect.ReadRequest(r.Body, &request)
	}
	if err != nil {
		connect.OpenStream(w).End(err)
		return
	}
	made, err := s.spawn(&request, where)
	if err != nil {
		connect.OpenStream(w).End(err)
		return
	}
	sub := newSubscriber()
	made.subscribers[sub] = struct{}{}
	s.lock.Lock()
	s.sessions[made.info.Pid] = made
	s.lock.Unlock()
	if timeout := timeoutOf(r); timeout > 0 { // as envd: the leader ends, whether or not the call is still there
		made.timeLimit = time.AfterFunc(timeout, func() { _ = made.cmd.Process.Kill() })
	}
	go s.run(made)
	s.stream(w, r, made, sub)
}

// run pumps the output and, 30 s after the end, forgets the session.
func (s *Service) run(made *session) {
	made.pumping.Add(len(made.outputs))
	for _, each := range made.outputs {
		go made.pump(each)
	}
	made.awaitExit()
	close(made.exited)
	if made.timeLimit != nil {
		made.timeLimit.Stop()
	}
	made.finish()
	if made.stdin != nil {
		made.stdin.Close() // without the lock: it may be held by a write that nobody will read
	}
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
	err := connect.ReadRequest(r.Body, &request)
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
	if seconds, err := strconv.Atoi(r.Header.Get("Keepalive-Ping-Interval")); err == nil && seconds > 0 && seconds <= keepAliveMaxSeconds {
		every = time.Duration(seconds) * time.Second
	}
	idle := time.NewTimer(every)
	defer idle.Stop()
	var deadline <-chan time.Time
	if timeout := timeoutOf(r); timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		deadline = timer.C
	}
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
	if err != nil || ms <= 0 || ms > timeoutMaxMs {
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}

func (s *Service) find(wanted selector) (*session, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if wanted.Tag != "" {
		var found *session // one that runs goes before one that has ended
		for _, candidate := range s.sessions {
			if candidate.info.Tag == wanted.Tag && (found == nil || candidate.running()) {
				found = candidate
			}
		}
		if found == nil {
			return nil, connect.Errorf("not_found", "process with tag %s not found", wanted.Tag)
		}
		return found, nil
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
		if each.running() {
			response.Processes = append(response.Processes, each.info)
		}
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
	to, data := s.stdin, in.Stdin
	switch {
	case s.pty != nil:
		to = s.pty
		if len(in.Pty) > 0 {
			data = in.Pty
		}
	case len(in.Pty) > 0:
		return connect.Errorf("internal", "the process has no terminal")
	case s.stdin == nil || s.stdinClosed:
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
		found.stdinClosed = true
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
	all := make([]*session, 0, len(s.sessions))
	for _, each := range s.sessions {
		all = append(all, each)
	}
	s.lock.Unlock()
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{syscall.SIGTERM, endTermWait}, {syscall.SIGKILL, endKillWait}} {
		for _, each := range all {
			each.lock.Lock()
			if each.ended == nil {
				_ = syscall.Kill(-int(each.info.Pid), step.signal)
			}
			each.lock.Unlock()
		}
		over := time.NewTimer(step.wait)
		defer over.Stop()
		for _, each := range all {
			select {
			case <-each.exited:
				continue
			case <-over.C:
			}
			break
		}
	}
}
