package process

import (
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
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
	info      processInfo
	cmd       *exec.Cmd
	pty       *os.File
	stdin     *os.File // nil: not asked for
	outputs   []*output
	timeLimit *time.Timer   // of the call that started it, which may be gone
	exited    chan struct{} // closed when the leader has ended

	inputLock   sync.Mutex // one writer of input at a time
	stdinClosed bool

	order       sync.Mutex // held while one event goes to all subscribers
	lock        sync.Mutex
	subscribers map[*subscriber]struct{}
	ended       []byte // the end event, once there is one; until then the pid is ours
	pumping     sync.WaitGroup
	lastOutput  atomic.Int64 // since processStart
}

// output is stdout, stderr or the terminal.
type output struct {
	file       *os.File
	stream     string
	chunkBytes int
	published  atomic.Int64
	held       atomic.Bool // something was read, or is being, and is not published yet
}

// read takes what is there, and waits for something. Held is set before anything is taken: between the two a busy
// machine may let a tenth of a second go by, and an end that came meanwhile would come first.
func (o *output) read(buffer []byte) (n int, err error) {
	if o.stream == "pty" { // made blocking by who sets its size; its end is the end of all that hold it
		n, err = o.file.Read(buffer)
		o.held.Store(n > 0)
		return n, err
	}
	raw, err := o.file.SyscallConn()
	if err != nil {
		return 0, err
	}
	waited := raw.Read(func(fd uintptr) bool {
		o.held.Store(true)
		for {
			if n, err = unix.Read(int(fd), buffer); err != unix.EINTR {
				break
			}
		}
		if err != unix.EAGAIN {
			return true
		}
		o.held.Store(false)
		return false
	})
	switch {
	case waited != nil:
		return 0, waited
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// pending is how much was written and not read yet.
func (o *output) pending() (bytes int) {
	raw, err := o.file.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { bytes, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	return bytes
}

// The wall clock jumps when a machine awakes.
var processStart = time.Now()

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

func (s *session) running() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.ended == nil
}

func (s *session) unsubscribe(sub *subscriber) {
	close(sub.gone)
	s.lock.Lock()
	delete(s.subscribers, sub)
	s.lock.Unlock()
}

func (s *session) publish(event []byte) {
	s.order.Lock()
	defer s.order.Unlock()
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
func (s *session) pump(from *output) {
	defer s.pumping.Done()
	defer from.file.Close()
	buffer := make([]byte, from.chunkBytes)
	for {
		n, err := from.read(buffer)
		if n > 0 {
			s.publish(dataEvent(from.stream, buffer[:n]))
			from.published.Add(int64(n))
			s.lastOutput.Store(int64(time.Since(processStart)))
		}
		from.held.Store(false)
		if err != nil {
			return
		}
	}
}

// finish publishes the end after all output. The leader is reaped here and not before, so that a signal never
// reaches a stranger who got its number.
func (s *session) finish() {
	s.drain()
	s.order.Lock()
	defer s.order.Unlock()
	s.lock.Lock()
	event := endEvent(s.reap())
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

// drain returns when the outputs have ended. A descendant may hold them open: then when all that the leader wrote is
// published, and the descendant is quiet or had its time.
func (s *session) drain() {
	done := make(chan struct{})
	go func() {
		s.pumping.Wait()
		close(done)
	}()
	exited := time.Now()
	upTo := make([]int64, len(s.outputs)) // a chunk more than the leader can have written
	for i, each := range s.outputs {
		upTo[i] = each.published.Load() + int64(each.pending()+each.chunkBytes)
	}
	look := time.NewTicker(quietAfterExit / 4)
	defer look.Stop()
	for {
		select {
		case <-done:
			return
		case <-look.C:
		}
		through := true
		for i, each := range s.outputs {
			empty := each.pending() == 0 && !each.held.Load()
			through = through && (empty || each.published.Load() >= upTo[i])
		}
		quiet := time.Since(exited) >= quietAfterExit && time.Since(processStart)-time.Duration(s.lastOutput.Load()) >= quietAfterExit
		if through && (quiet || time.Since(exited) >= drainAtMost) {
			return
		}
	}
}
