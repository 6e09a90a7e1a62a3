package process

import (
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// A session: one process, its output and those who listen.

const (
	pipeChunkBytes = 32 * 1024
	ptyChunkBytes  = 16 * 1024
	// After its leader has ended, a session waits this long for output that a descendant may still write.
	quietAfterExit = 100 * time.Millisecond
	drainAtMost    = 2 * time.Second
)

type session struct {
	info  processInfo
	cmd   *exec.Cmd
	pty   *os.File
	stdin io.WriteCloser

	inputLock sync.Mutex // one writer of input at a time

	lock        sync.Mutex
	subscribers map[*subscriber]struct{}
	ended       []byte // the end event, once there is one
	outputs     sync.WaitGroup
	lastOutput  atomic.Int64
}

// subscriber is one stream to the host. Sending blocks the process: that is the back-pressure.
type subscriber struct {
	events chan []byte
	gone   chan struct{}
}

func newSubscriber() *subscriber {
	return &subscriber{events: make(chan []byte, 4), gone: make(chan struct{})}
}

func (s *subscriber) send(event []byte) {
	select {
	case s.events <- event:
	case <-s.gone:
	}
}

// subscribe answers false when the session has ended; then the end event is all there is.
func (s *session) subscribe(sub *subscriber) (ended []byte, running bool) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.ended != nil {
		return s.ended, false
	}
	s.subscribers[sub] = struct{}{}
	return nil, true
}

func (s *session) unsubscribe(sub *subscriber) {
	close(sub.gone)
	s.lock.Lock()
	delete(s.subscribers, sub)
	s.lock.Unlock()
}

func (s *session) publish(event []byte) {
	s.lock.Lock()
	subs := make([]*subscriber, 0, len(s.subscribers))
	for sub := range s.subscribers {
		subs = append(subs, sub)
	}
	s.lock.Unlock()
	for _, sub := range subs {
		sub.send(event)
	}
}

// pump reads one output to its end. After the end event it goes on reading, so that a descendant which holds the
// pipe is not killed by writing to it.
func (s *session) pump(from io.Reader, stream string, chunkBytes int) {
	defer s.outputs.Done()
	buffer := make([]byte, chunkBytes)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			s.lastOutput.Store(time.Now().UnixNano())
			s.publish(dataEvent(stream, buffer[:n]))
			s.lastOutput.Store(time.Now().UnixNano())
		}
		if err != nil {
			return
		}
	}
}

// finish publishes the end after all output.
func (s *session) finish(state end) {
	s.drain()
	event := endEvent(state)
	s.lock.Lock()
	s.ended = event
	subs := s.subscribers
	s.subscribers = map[*subscriber]struct{}{}
	s.lock.Unlock()
	for sub := range subs {
		go func() {
			sub.send(event)
			close(sub.events)
		}()
	}
}

func (s *session) drain() {
	done := make(chan struct{})
	go func() {
		s.outputs.Wait()
		close(done)
	}()
	exited := time.Now()
	for {
		select {
		case <-done:
			return
		case <-time.After(quietAfterExit):
			quiet := time.Since(time.Unix(0, s.lastOutput.Load())) >= quietAfterExit
			if (quiet && !s.backlogged()) || time.Since(exited) > drainAtMost && !s.backlogged() {
				return
			}
		}
	}
}

// backlogged: a subscriber has not taken all that was read; its output must come before the end.
func (s *session) backlogged() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	for sub := range s.subscribers {
		if len(sub.events) == cap(sub.events) {
			return true
		}
	}
	return false
}
