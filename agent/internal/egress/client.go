// Package egress is the guest's way out: it takes what programs send into the network and carries it to the host,
// one HTTP/2 stream per connection. Nothing here decides what may leave; the host does.
package egress

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

const (
	pendingMax    = 512 // flows and questions that wait for a host
	pendingMaxFor = 10 * time.Second
	pingTimeout   = 10 * time.Second
	// Unread bytes of one flow that the agent holds for its program. All together are as much as all flows may have, so that
	// those that nobody reads leave the others their share.
	streamWindowBytes     = 128 << 10
	connectionWindowBytes = hostMaxFlows*streamWindowBytes + questionsBytes
	hostMaxFlows          = 512 // src/egress/flow/parts.ts
	questionsBytes        = 1 << 20
	// Larger than the library's: each frame costs an emulated CPU the same.
	frameBytes = 64 << 10
)

var (
	errNoHost  = errors.New("the host is not attached to the egress stream")
	errTooMany = errors.New("too many connections wait for the host")
)

// Client is the HTTP/2 client of the `egress` stream. Each attach of the host replaces its connection; what is asked
// for meanwhile waits.
type Client struct {
	lock    sync.Mutex
	current *attachment
	// How many there were: two may come in one moment.
	attaches uint64
	changed  chan struct{} // closed when a host can be asked
	pending  int
	poll     *poll
	waitFor  time.Duration // 0: pendingMaxFor
}

type attachment struct {
	http2 *http2.ClientConn
	// Ends with the attach that follows. A connection that only died ends its streams itself.
	replaced context.Context
	replace  context.CancelFunc
	suspect  bool // the port said that the host left; guarded by Client.lock
}

// leaver is a connection that is told when its host leaves.
type leaver interface{ Left() <-chan struct{} }

// Attach takes a new connection to the host; the one before is dead.
func (c *Client) Attach(conn net.Conn) {
	c.lock.Lock()
	c.attaches++
	mine, before := c.attaches, c.current
	c.current = nil
	c.lock.Unlock()
	if before != nil {
		before.replace()
		_ = before.http2.Close()
	}
	made, err := newTransport().NewClientConn(conn) // waits while the host reads nothing
	if err != nil {
		conn.Close()
		return
	}
	a := &attachment{http2: made}
	a.replaced, a.replace = context.WithCancel(context.Background())
	c.lock.Lock()
	defer c.lock.Unlock()
	if c.attaches != mine {
		a.replace()
		go made.Close()
		return
	}
	c.current = a
	c.ready()
	if l, tells := conn.(leaver); tells {
		go c.suspect(a, l.Left())
	}
}

// suspect asks for a sign of life when the port says that the host left: a message about an older host may be late,
// and must not end the connection to the newer one.
func (c *Client) suspect(a *attachment, left <-chan struct{}) {
	select {
	case <-left:
	case <-a.replaced.Done():
		return
	}
	c.lock.Lock()
	a.suspect = true
	c.lock.Unlock()
	ctx, cancel := context.WithTimeout(a.replaced, pingTimeout)
	defer cancel()
	if a.http2.Ping(ctx) != nil {
		a.replace()
		_ = a.http2.Close()
		return
	}
	c.lock.Lock()
	a.suspect = false
	c.ready()
	c.lock.Unlock()
}

// ready wakes what waits. With lock held.
func (c *Client) ready() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// usable is the attachment that can be asked, or nil. With lock held.
func (c *Client) usable() *attachment {
	a := c.current
	if a == nil || a.suspect || !a.http2.CanTakeNewRequest() {
		return nil
	}
	return a
}

// await returns an attachment once there is one; until then the host is told that it is wanted.
func (c *Client) await(ctx context.Context) (*attachment, error) {
	c.lock.Lock()
	defer c.lock.Unlock()
	if a := c.usable(); a != nil {
		return a, nil
	}
	if c.pending >= pendingMax {
		return nil, errTooMany
	}
	c.pending++
	defer func() { c.pending-- }()
	if c.poll != nil {
		c.poll.end(true)
		c.poll = nil
	}
	for {
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		c.lock.Unlock()
		select {
		case <-changed:
			c.lock.Lock()
		case <-ctx.Done():
			c.lock.Lock()
			return nil, errNoHost
		}
		if a := c.usable(); a != nil {
			return a, nil
		}
	}
}

// ask sends a request and returns the head of its answer. While no host has answered anything it may be sent again,
// on another attach: build makes it anew, with nothing read from its body before. The answer's body must be closed
// and cancel called.
func (c *Client) ask(ctx context.Context, answerWithin time.Duration, build func(context.Context) *http.Request) (*http.Response, context.CancelFunc, error) {
	waiting, stopWaiting := context.WithTimeout(ctx, cmp.Or(c.waitFor, pendingMaxFor))
	defer stopWaiting()
	for {
		a, err := c.await(waiting)
		if err != nil {
			return nil, nil, err
		}
		asked, cancel := context.WithCancel(ctx)
		unhook := context.AfterFunc(a.replaced, cancel)
		late := time.AfterFunc(answerWithin, cancel)
		answer, err := a.http2.RoundTrip(build(asked))
		inTime := late.Stop()
		if err == nil && inTime {
			return answer, func() { unhook(); cancel() }, nil
		}
		if err == nil {
			answer.Body.Close()
			err = context.DeadlineExceeded
		}
		unhook()
		cancel()
		dead := a.replaced.Err() != nil || !a.http2.CanTakeNewRequest()
		if !dead || !inTime || ctx.Err() != nil {
			return nil, nil, err
		}
	}
}

// poll is one `GET /warren/egress/wanted`.
type poll struct{ ended chan bool }

func (p *poll) end(wanted bool) { p.ended <- wanted }

// Wanted returns true as soon as something waits for a host, false when another caller took the place.
func (c *Client) Wanted(ctx context.Context) (bool, error) {
	mine := &poll{make(chan bool, 1)}
	c.lock.Lock()
	if c.pending > 0 && c.usable() == nil {
		c.lock.Unlock()
		return true, nil
	}
	if c.poll != nil {
		c.poll.end(false)
	}
	c.poll = mine
	c.lock.Unlock()
	select {
	case wanted := <-mine.ended:
		return wanted, nil
	case <-ctx.Done():
		c.lock.Lock()
		if c.poll == mine {
			c.poll = nil
		}
		c.lock.Unlock()
		return false, ctx.Err()
	}
}
