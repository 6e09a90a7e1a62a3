package channel

import (
	"io"
	"sync"
)

const (
	// More than the windows of either stream hold (server.go, egress/window.go); who sends beyond them waits.
	inboxMaxBytes = 160 << 20
	// A buffer that had to grow beyond this is not kept.
	inboxKeptBytes = 256 << 10
)

// inbox holds what has come for a connection and was not read. It takes what comes without waiting for the reader: an
// HTTP/2 client reads on once it could write, and a Node at the other end reads nothing while it writes.
type inbox struct {
	lock   sync.Mutex
	moved  *sync.Cond // something was put in or taken out, or it was closed
	filled []byte
	closed bool

	// The reader's own: what it has taken, and how much of that it has passed on.
	taken []byte
	at    int
}

func newInbox() *inbox {
	i := &inbox{}
	i.moved = sync.NewCond(&i.lock)
	return i
}

func (i *inbox) put(bytes []byte) {
	i.lock.Lock()
	defer i.lock.Unlock()
	for !i.closed && len(i.filled)+len(bytes) > inboxMaxBytes {
		i.moved.Wait()
	}
	if i.closed {
		return
	}
	i.filled = append(i.filled, bytes...)
	i.moved.Signal()
}

func (i *inbox) read(into []byte) (int, error) {
	if i.at == len(i.taken) && !i.take() {
		return 0, io.EOF
	}
	n := copy(into, i.taken[i.at:])
	i.at += n
	return n, nil
}

// take exchanges the buffers; false when the inbox is closed.
func (i *inbox) take() bool {
	empty := i.taken[:0]
	if cap(empty) > inboxKeptBytes {
		empty = nil
	}
	i.lock.Lock()
	defer i.lock.Unlock()
	for !i.closed && len(i.filled) == 0 {
		i.moved.Wait()
	}
	if i.closed {
		return false
	}
	i.taken, i.at, i.filled = i.filled, 0, empty
	i.moved.Signal()
	return true
}

func (i *inbox) close() {
	i.lock.Lock()
	defer i.lock.Unlock()
	i.closed, i.filled = true, nil
	i.moved.Broadcast()
}
