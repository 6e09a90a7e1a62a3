package process

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/connect"
)

// A client of the service over real HTTP/2, prior knowledge, as the host is one. What it waits for has an event; the
// limit only ends a test that hangs.

const testLimit = 20 * time.Second

type defaults struct {
	workdir string
	envs    map[string]string
}

func (d defaults) Workdir() string         { return d.workdir }
func (d defaults) Envs() map[string]string { return d.envs }

type client struct {
	t       *testing.T
	http    *http.Client
	service *Service
	address string
	user    string
	ctx     context.Context
}

// newClient serves until the test ends; then every session ends, by its pid.
func newClient(t *testing.T) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testLimit)
	t.Cleanup(cancel)
	service := &Service{
		Defaults:    defaults{workdir: t.TempDir(), envs: map[string]string{"GLOBAL": "g"}},
		BecomeUsers: os.Getuid() == 0,
		MayStart: func(r *http.Request) error {
			if r.Header.Get("Asleep") != "" {
				return connect.Errorf("failed_precondition", "asleep")
			}
			return nil
		},
		User: func(r *http.Request) (account.User, error) {
			name, _, _ := r.BasicAuth()
			if name == "" {
				return account.Current("me")
			}
			found, err := account.Lookup(name)
			if err != nil {
				return found, connect.Errorf("unauthenticated", "%v", err)
			}
			return found, nil
		},
	}
	mux := http.NewServeMux()
	service.Register(mux)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http2.Server{MaxConcurrentStreams: 512}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go server.ServeConn(conn, &http2.ServeConnOpts{Handler: mux})
		}
	}()
	c := &client{t: t, service: service, ctx: ctx, address: listener.Addr().String()}
	c.http = c.dial()
	t.Cleanup(func() {
		service.kill()
		listener.Close()
	})
	return c
}

// kill is EndAll without the patience.
func (s *Service) kill() {
	s.lock.Lock()
	defer s.lock.Unlock()
	for _, each := range s.sessions {
		each.lock.Lock()
		if each.ended == nil {
			_ = each.cmd.Process.Kill()
		}
		each.lock.Unlock()
	}
}

// dial makes a connection of its own.
func (c *client) dial() *http.Client {
	transport := &http2.Transport{
		AllowHTTP: true,
		DialTLSContext: func(context.Context, string, string, *tls.Config) (net.Conn, error) {
			return net.Dial("tcp", c.address)
		},
	}
	c.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (c *client) post(ctx context.Context, call, contentType string, body []byte, headers ...string) *http.Response {
	c.t.Helper()
	r, err := http.NewRequestWithContext(ctx, "POST", "http://agent/process.Process/"+call, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if c.user != "" {
		r.SetBasicAuth(c.user, "")
	}
	answer, err := c.http.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	return answer
}

// call is a unary call; it answers the body, or the code of the error.
func (c *client) call(name, request string) (body, code string) {
	c.t.Helper()
	answer := c.post(c.ctx, name, "application/json", []byte(request))
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if answer.StatusCode == http.StatusOK {
		return string(text), ""
	}
	var failed connect.Error
	if err := json.Unmarshal(text, &failed); err != nil || failed.Code == "" {
		c.t.Fatalf("%s: %d %s", name, answer.StatusCode, text)
	}
	return string(text), failed.Code
}

func (c *client) must(name, format string, args ...any) string {
	c.t.Helper()
	body, code := c.call(name, fmt.Sprintf(format, args...))
	if code != "" {
		c.t.Fatalf("%s: %s", name, body)
	}
	return body
}

// events is one stream.
type events struct {
	early string // came with what `until` awaited, after it
	t     *testing.T
	body  io.ReadCloser
	leave context.CancelFunc
	pid   int
}

type event struct {
	Start     *struct{ Pid int }
	Data      *struct{ Stdout, Stderr, Pty []byte }
	End       *end
	Keepalive *struct{}
}

func (c *client) open(call, request string, headers ...string) *events {
	c.t.Helper()
	ctx, leave := context.WithCancel(c.ctx)
	c.t.Cleanup(leave)
	answer := c.post(ctx, call, "application/connect+json", connect.Envelope([]byte(request)), headers...)
	if answer.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: status %d", call, answer.StatusCode)
	}
	return &events{t: c.t, body: answer.Body, leave: leave}
}

// start starts a session and waits for its pid.
func (c *client) start(request string, headers ...string) *events {
	c.t.Helper()
	e := c.open("Start", request, headers...)
	return e.begun()
}

func (c *client) sh(script string) *events {
	c.t.Helper()
	return c.start(shell(script, ""))
}

func (c *client) connect(pid int) *events {
	c.t.Helper()
	return c.open("Connect", fmt.Sprintf(`{"process":{"pid":%d}}`, pid)).begun()
}

func shell(script, more string) string {
	quoted, _ := json.Marshal(script)
	return fmt.Sprintf(`{"process":{"cmd":"/bin/sh","args":["-c",%s]}%s}`, quoted, more)
}

func (e *events) begun() *events {
	e.t.Helper()
	first, failed := e.next()
	if failed != nil {
		e.t.Fatal(failed)
	}
	if first == nil || first.Start == nil {
		e.t.Fatalf("the first event is %+v", first)
	}
	e.pid = first.Start.Pid
	return e
}

// next answers nil at the stream's end, with its error if it has one.
func (e *events) next() (*event, *connect.Error) {
	e.t.Helper()
	var head [5]byte
	if _, err := io.ReadFull(e.body, head[:]); err != nil {
		e.t.Fatalf("the stream broke: %v", err)
	}
	message := make([]byte, binary.BigEndian.Uint32(head[1:]))
	if _, err := io.ReadFull(e.body, message); err != nil {
		e.t.Fatalf("the stream broke: %v", err)
	}
	if head[0] == 2 {
		var last struct{ Error *connect.Error }
		if err := json.Unmarshal(message, &last); err != nil {
			e.t.Fatal(err)
		}
		return nil, last.Error
	}
	var sent struct{ Event event }
	if err := json.Unmarshal(message, &sent); err != nil || head[0] != 0 {
		e.t.Fatalf("%v: %s", err, message)
	}
	return &sent.Event, nil
}

type result struct {
	stdout, stderr, pty string
	end                 *end
	failed              *connect.Error
}

// rest reads to the end of the stream.
func (e *events) rest() (r result) {
	e.t.Helper()
	for {
		next, failed := e.next()
		if next == nil {
			r.failed = failed
			return r
		}
		if r.end != nil {
			e.t.Fatalf("%+v after the end", next)
		}
		if next.Data != nil {
			r.stdout += string(next.Data.Stdout)
			r.stderr += string(next.Data.Stderr)
			r.pty += string(next.Data.Pty)
		}
		r.end = next.End
	}
}

// until reads on until the output has what is awaited; it answers all of it.
func (e *events) until(awaited string) (seen string) {
	e.t.Helper()
	seen, e.early = e.early, ""
	for {
		if at := strings.Index(seen, awaited); at >= 0 {
			e.early = seen[at+len(awaited):]
			return seen
		}
		next, failed := e.next()
		if next == nil || next.End != nil {
			e.t.Fatalf("ended with %v before %q; seen %q", failed, awaited, seen)
		}
		if next.Data != nil {
			seen += string(next.Data.Stdout) + string(next.Data.Stderr) + string(next.Data.Pty)
		}
	}
}

func (e *events) expectEnd(code int, status string) result {
	e.t.Helper()
	r := e.rest()
	if r.failed != nil || r.end == nil || r.end.ExitCode != code || r.end.Status != status {
		e.t.Fatalf("ended with %+v %v, want %d %q; stdout %.200q stderr %.200q pty %.200q", r.end, r.failed, code, status, r.stdout, r.stderr, r.pty)
	}
	return r
}
