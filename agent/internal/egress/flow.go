package egress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	// A person may be asked before the host answers.
	answerMaxFor    = 2 * time.Minute
	refusalMaxBytes = 64 << 10
	guestHeader     = "Warren-Guest"
)

// Refusal is the host's no.
type Refusal struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Body    string `json:"-"` // as the host sent it
}

func (r *Refusal) Error() string { return r.Message }

// Flow is one connection that the host has taken: what it sends is read here, what goes to it is read from the source
// that Connect was given.
type Flow struct {
	body   io.ReadCloser
	up     *upload
	asked  context.Context // ends with the flow, and when its host has gone
	cancel context.CancelFunc
}

// Connect asks the host for a connection to authority. Nothing is read from source before the host has agreed; stop
// makes a blocked read of source return. The error is a *Refusal when the host said no.
func (c *Client) Connect(ctx context.Context, authority, claim string, source io.Reader, stop func()) (*Flow, error) {
	var up *upload
	var asked context.Context
	answer, cancel, err := c.ask(ctx, answerMaxFor, func(ctx context.Context) *http.Request {
		asked = ctx
		up = &upload{source: source, stop: stop, agreed: make(chan struct{}), closed: make(chan struct{})}
		request := &http.Request{
			Method: http.MethodConnect, URL: &url.URL{Scheme: "http", Host: authority}, Host: authority,
			Header: http.Header{"User-Agent": nil}, Body: up,
		}
		if claim != "" {
			request.Header.Set(guestHeader, claim)
		}
		return request.WithContext(ctx)
	})
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK {
		close(up.agreed)
		return &Flow{answer.Body, up, asked, cancel}, nil
	}
	defer cancel()
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, refusalMaxBytes))
	refusal := &Refusal{}
	if json.Unmarshal(body, refusal) != nil || refusal.Message == "" {
		refusal.Message = fmt.Sprintf("the host answered %d", answer.StatusCode)
	}
	refusal.Status, refusal.Body = answer.StatusCode, string(body)
	return nil, refusal
}

// Read reads what comes from the host.
func (f *Flow) Read(into []byte) (int, error) { return f.body.Read(into) }

// Sent is closed when nothing more goes to the host.
func (f *Flow) Sent() <-chan struct{} { return f.up.closed }

// WhenGone calls work when the flow's host has gone: a read may then wait for the next one. stop undoes that.
func (f *Flow) WhenGone(work func()) (stop func() bool) { return context.AfterFunc(f.asked, work) }

// Abort resets the flow, unless it has ended.
func (f *Flow) Abort() {
	f.cancel()
	f.body.Close()
}

// upload is a request's body.
type upload struct {
	source io.Reader
	stop   func()
	agreed chan struct{}
	closed chan struct{}
	once   sync.Once
}

var errClosed = errors.New("the flow has ended")

func (u *upload) Read(into []byte) (int, error) {
	select {
	case <-u.agreed:
	case <-u.closed:
		return 0, errClosed
	}
	return u.source.Read(into)
}

// Close is called by the HTTP/2 client, whatever the end.
func (u *upload) Close() error {
	u.once.Do(func() {
		close(u.closed)
		select {
		case <-u.agreed:
			u.stop()
		default: // another attempt may follow
		}
	})
	return nil
}
