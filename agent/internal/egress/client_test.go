package egress

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// open connects a program's end by way of the client, as a redirected connection is.
func open(t *testing.T, client *Client) (program *net.TCPConn, refused chan error) {
	t.Helper()
	theirs, ours := pair(t)
	refused = make(chan error, 1)
	go func() {
		flow, err := client.Connect(context.Background(), "192.0.2.1:443", "", ours, stopReading(ours))
		refused <- err
		if err != nil {
			reset(ours)
			return
		}
		relay(ours, flow)
	}()
	return theirs, refused
}

func talk(t *testing.T, program *net.TCPConn, text string) string {
	t.Helper()
	if _, err := io.WriteString(program, text); err != nil {
		t.Fatal(err)
	}
	if err := program.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(program)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func TestFlowKeepsHalfClosedEnds(t *testing.T) {
	var client Client
	attach(t, &client, echo)
	program, _ := open(t, &client)
	long := strings.Repeat("0123456789abcdef", 200_000) // more than the windows hold
	if got := talk(t, program, long); got != "192.0.2.1:443 "+long {
		t.Fatalf("%d bytes, %.40q", len(got), got)
	}
}

// The host ends its side first; what the program says afterwards still arrives.
func TestHostEndsFirst(t *testing.T) {
	var client Client
	got := make(chan string, 1)
	attach(t, &client, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_, _ = io.WriteString(w, "hello")
		_ = http.NewResponseController(w).Flush()
		all, _ := io.ReadAll(r.Body)
		got <- string(all)
	})
	program, _ := open(t, &client)
	word := make([]byte, 5)
	if _, err := io.ReadFull(program, word); err != nil || string(word) != "hello" {
		t.Fatal(err)
	}
	_, _ = io.WriteString(program, "bye")
	program.CloseWrite()
	if said := <-got; said != "bye" {
		t.Fatalf("%q", said)
	}
}

func TestRefusalResets(t *testing.T) {
	var client Client
	attach(t, &client, refuse)
	program, refused := open(t, &client)
	var refusal *Refusal
	if err := <-refused; !errors.As(err, &refusal) || refusal.Status != 403 || refusal.Code != "egress.denied" || refusal.Message != "no rule allows this" {
		t.Fatal(err)
	}
	if _, err := program.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Fatalf("%v, want a reset", err)
	}
}

// A program that is killed and a host that resets are told to the other side.
func TestAbortsTravel(t *testing.T) {
	var client Client
	seen := make(chan error, 1)
	attach(t, &client, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		word := make([]byte, 4)
		_, err := io.ReadFull(r.Body, word)
		if string(word) == "die!" {
			panic(http.ErrAbortHandler)
		}
		if err == nil {
			_, err = r.Body.Read(word)
		}
		seen <- err
	})
	program, refused := open(t, &client)
	if err := <-refused; err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(program, "word")
	time.Sleep(20 * time.Millisecond)
	reset(program)
	if err := <-seen; err == nil || err == io.EOF {
		t.Fatalf("the host saw %v, want a reset", err)
	}
	program, _ = open(t, &client)
	_, _ = io.WriteString(program, "die!")
	if _, err := program.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Fatalf("the program saw %v, want a reset", err)
	}
}

func TestFlowsWaitForAHost(t *testing.T) {
	var client Client
	wanted := make(chan bool, 1)
	go func() { w, _ := client.Wanted(context.Background()); wanted <- w }()
	waitUntil(t, "the poll", func() bool { client.lock.Lock(); defer client.lock.Unlock(); return client.poll != nil })
	select {
	case <-wanted:
		t.Fatal("wanted before anything waits")
	case <-time.After(50 * time.Millisecond):
	}
	program, _ := open(t, &client)
	if !<-wanted {
		t.Fatal("the poll was replaced")
	}
	if w, err := client.Wanted(context.Background()); !w || err != nil { // at once: it still waits
		t.Fatal(w, err)
	}
	attach(t, &client, echo)
	if got := talk(t, program, "early"); got != "192.0.2.1:443 early" {
		t.Fatal(got)
	}
	if n := client.pendingNow(); n != 0 {
		t.Fatalf("%d still wait", n)
	}
}

func TestANewPollReplacesTheOld(t *testing.T) {
	var client Client
	first := make(chan bool, 1)
	go func() { w, _ := client.Wanted(context.Background()); first <- w }()
	waitUntil(t, "the poll", func() bool { client.lock.Lock(); defer client.lock.Unlock(); return client.poll != nil })
	ctx, cancel := context.WithCancel(context.Background())
	second := make(chan error, 1)
	go func() { _, err := client.Wanted(ctx); second <- err }()
	if <-first {
		t.Fatal("the first poll was told that a host is wanted")
	}
	cancel()
	if err := <-second; err == nil {
		t.Fatal("the second poll did not end with its caller")
	}
	client.lock.Lock()
	defer client.lock.Unlock()
	if client.poll != nil {
		t.Fatal("a poll whose caller left still waits")
	}
}

func TestPendingIsBounded(t *testing.T) {
	client := Client{waitFor: time.Hour}
	results := make(chan error, pendingMax)
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	connect := func() error {
		_, err := client.Connect(ctx, "192.0.2.1:443", "", strings.NewReader(""), func() {})
		return err
	}
	for range pendingMax {
		go func() { results <- connect() }()
	}
	waitUntil(t, "all waiting", func() bool { return client.pendingNow() == pendingMax })
	if err := connect(); !errors.Is(err, errTooMany) {
		t.Fatal(err)
	}
	leave()
	for range pendingMax {
		if err := <-results; !errors.Is(err, errNoHost) {
			t.Fatal(err)
		}
	}
	if n := client.pendingNow(); n != 0 {
		t.Fatalf("%d still wait", n)
	}
}

func TestNobodyWaitsForAHostForEver(t *testing.T) {
	client := Client{waitFor: 10 * time.Millisecond}
	if _, err := client.Connect(context.Background(), "192.0.2.1:443", "", strings.NewReader(""), func() {}); !errors.Is(err, errNoHost) {
		t.Fatal(err)
	}
}

func TestClaimTravels(t *testing.T) {
	var client Client
	got := make(chan string, 1)
	attach(t, &client, func(w http.ResponseWriter, r *http.Request) { got <- r.Header.Get(guestHeader); echo(w, r) })
	flow, err := client.Connect(context.Background(), "a.example:443", "e30=", bytes.NewReader(nil), func() {})
	if err != nil {
		t.Fatal(err)
	}
	defer flow.Abort()
	if claim := <-got; claim != "e30=" {
		t.Fatal(claim)
	}
}
