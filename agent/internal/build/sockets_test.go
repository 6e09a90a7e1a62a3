package build

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// host asks for connections as the host does, over one HTTP/2 connection.
func host(t *testing.T, all *sockets) func(body io.Reader) (*http.Response, error) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close() })
	handler := http.HandlerFunc(all.serve)
	go (&http2.Server{}).ServeConn(theirs, &http2.ServeConnOpts{Handler: handler})
	client, err := (&http2.Transport{AllowHTTP: true, DisableCompression: true}).NewClientConn(ours)
	if err != nil {
		t.Fatal(err)
	}
	return func(body io.Reader) (*http.Response, error) {
		request, err := http.NewRequest(http.MethodPost, "http://agent/warren/build/socket", body)
		if err != nil {
			t.Fatal(err)
		}
		return client.RoundTrip(request)
	}
}

func listening(t *testing.T, count int) (*sockets, []string) {
	t.Helper()
	all, paths := newSockets(), []string{}
	t.Cleanup(all.close)
	for number := range count {
		path := t.TempDir() + "/s"
		if err := all.listen(path, number); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return all, paths
}

func dial(t *testing.T, path string) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

func TestConnectionsOfASocketAreHandedToTheHostOneByOne(t *testing.T) {
	all, paths := listening(t, 2)
	ask := host(t, all)
	programs := []net.Conn{dial(t, paths[1]), dial(t, paths[1]), dial(t, paths[0])}
	for _, program := range programs {
		if _, err := program.Write([]byte("question")); err != nil {
			t.Fatal(err)
		}
	}
	numbers := map[string]int{}
	for range programs {
		body, answer := io.Pipe()
		response, err := ask(body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatal(response, err)
		}
		numbers[response.Header.Get("Warren-Socket")]++
		question := make([]byte, len("question"))
		if _, err := io.ReadFull(response.Body, question); err != nil || string(question) != "question" {
			t.Fatalf("%q %v", question, err)
		}
		go func() { _, _ = answer.Write([]byte("answer")) }()
	}
	if numbers["0"] != 1 || numbers["1"] != 2 {
		t.Errorf("connections by socket: %v", numbers)
	}
	for _, program := range programs {
		said := make([]byte, len("answer"))
		if _, err := io.ReadFull(program, said); err != nil || string(said) != "answer" {
			t.Fatalf("%q %v", said, err)
		}
	}
}

func TestAHostThatGivesUpEndsTheConnection(t *testing.T) {
	all, paths := listening(t, 1)
	ask := host(t, all)
	program := dial(t, paths[0])
	body, given := io.Pipe()
	if _, err := ask(body); err != nil {
		t.Fatal(err)
	}
	_ = given.CloseWithError(errors.New("given up"))
	if _, err := program.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it goes on: %v", err)
	}
}

func TestTheEndOfAStepEndsWhoWaits(t *testing.T) {
	all, paths := listening(t, 1)
	ask := host(t, all)
	answered := make(chan int)
	go func() {
		body, _ := io.Pipe()
		response, err := ask(body)
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		answered <- response.StatusCode
	}()
	all.close()
	all.close()
	if status := <-answered; status != http.StatusBadRequest {
		t.Errorf("status %d", status)
	}
	if _, err := net.Dial("unix", paths[0]); err == nil {
		t.Error("the socket still listens")
	}
}
