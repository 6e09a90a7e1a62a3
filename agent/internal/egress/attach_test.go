package egress

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// The host dies before it has answered, as by a restore: the flow goes to the next attach, and no byte is lost.
func TestUnansweredFlowsGoToTheNextAttach(t *testing.T) {
	var client Client
	asked := make(chan struct{})
	first := attach(t, &client, func(_ http.ResponseWriter, r *http.Request) { close(asked); <-r.Context().Done() })
	program, _ := open(t, &client)
	_, _ = io.WriteString(program, "said ")
	<-asked
	first.die()
	attach(t, &client, echo)
	if got := talk(t, program, "twice"); got != "192.0.2.1:443 said twice" {
		t.Fatal(got)
	}
}

// A new attach comes while the old connection hangs: nothing waits for the old one's end.
func TestAttachReplacesAHungConnection(t *testing.T) {
	var client Client
	asked := make(chan struct{}, 2)
	hang := func(_ http.ResponseWriter, r *http.Request) { asked <- struct{}{}; <-r.Context().Done() }
	attach(t, &client, hang)
	program, _ := open(t, &client)
	<-asked
	attach(t, &client, echo)
	if got := talk(t, program, "x"); got != "192.0.2.1:443 x" {
		t.Fatal(got)
	}
	attach(t, &client, echo)
	program, _ = open(t, &client)
	if got := talk(t, program, "y"); got != "192.0.2.1:443 y" {
		t.Fatal(got)
	}
}

// A host that only seems to have left goes on; one that has left is waited for.
func TestTheHostSeemsToLeave(t *testing.T) {
	var client Client
	h := attach(t, &client, echo)
	close(h.leave)
	program, _ := open(t, &client)
	if got := talk(t, program, "alive"); got != "192.0.2.1:443 alive" {
		t.Fatal(got)
	}
	silent, theirs := net.Pipe() // reads nothing, says nothing
	defer silent.Close()
	left := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, silent) }()
	client.Attach(leavingConn{theirs, left})
	close(left)
	wanted := make(chan bool, 1)
	go func() { w, _ := client.Wanted(context.Background()); wanted <- w }()
	time.Sleep(20 * time.Millisecond)
	started := time.Now()
	program, _ = open(t, &client)
	if !<-wanted || time.Since(started) > pingTimeout/2 {
		t.Fatalf("not wanted at once: %v", time.Since(started))
	}
	attach(t, &client, echo)
	if got := talk(t, program, "again"); got != "192.0.2.1:443 again" {
		t.Fatal(got)
	}
}

// A host that says goodbye (GOAWAY) and stays connected is not asked again.
func TestWantedAfterGoodbye(t *testing.T) {
	var client Client
	h := attach(t, &client, echo)
	program, _ := open(t, &client)
	talk(t, program, "x")
	h.die()
	waitUntil(t, "the end", func() bool { client.lock.Lock(); defer client.lock.Unlock(); return client.usable() == nil })
	open(t, &client)
	if w, err := client.Wanted(context.Background()); err != nil || !w {
		t.Fatal(w, err)
	}
}
