package egress

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"warren.dev/agent/internal/channel"
)

// Downloads that nobody reads: as many flows as a host takes hold what they may, and one more is not held up.
func TestUnreadDownloadsHoldUpNobody(t *testing.T) {
	var client Client
	full := make(chan struct{}, hostMaxFlows)
	attach(t, &client, func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "unread.test:443" {
			echo(w, r)
			return
		}
		w.WriteHeader(http.StatusOK)
		_, _ = w.Write(make([]byte, streamWindowBytes))
		_ = http.NewResponseController(w).Flush()
		full <- struct{}{}
		_, _ = w.Write([]byte("beyond the window"))
	})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	source := blockedSource(t)
	for range hostMaxFlows - 1 {
		flow, err := client.Connect(ctx, "unread.test:443", "", source, func() {})
		if err != nil {
			t.Fatal(err)
		}
		defer flow.Abort()
	}
	for have := range hostMaxFlows - 1 {
		select {
		case <-full:
		case <-time.After(10 * time.Second):
			t.Fatalf("only %d of %d flows got what they may", have, hostMaxFlows-1)
		}
	}
	program, _ := open(t, &client)
	long := string(bytes.Repeat([]byte("0123456789abcdef"), 100_000)) // more than a window
	if got := talk(t, program, long); got != "192.0.2.1:443 "+long {
		t.Fatalf("%d bytes", len(got))
	}
}

// What the agent holds for programs that do not read stays a small part of the smallest machine's memory.
func TestWindowsAreBounded(t *testing.T) {
	if connectionWindowBytes > 72<<20 {
		t.Fatal(connectionWindowBytes)
	}
}

func blockedSource(t *testing.T) *io.PipeReader {
	t.Helper()
	reader, writer := io.Pipe()
	t.Cleanup(func() { writer.Close() })
	return reader
}

// Node reads nothing while it writes. What it writes may be for programs that have gone meanwhile, and the agent would
// tell it so while it cannot write, for an upload is in the way: it must read on, or both wait for each other.
func TestAbortedDownloadsInABlockedUpload(t *testing.T) {
	const downloads = 8
	var client Client
	h := newNodeLikeHost(t, &client)
	for range downloads {
		h.connect(&client, blockedSource(t)).Abort()
		h.await(http2.FrameRSTStream)
	}
	chunks, more := io.Pipe()
	defer more.Close()
	h.connect(&client, chunks)
	go func() {
		for chunk := make([]byte, 64<<10); ; {
			if _, err := more.Write(chunk); err != nil {
				return
			}
		}
	}()
	h.awaitData() // and from here on the host does not read, so that the agent's next write blocks
	time.Sleep(50 * time.Millisecond)
	written := make(chan error, 1)
	go func() { written <- h.fill(downloads) }()
	select {
	case err := <-written:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the agent reads nothing while it cannot write")
	}
	for range 20 { // it writes on as soon as the host reads
		h.awaitData()
	}
}

// nodeLikeHost is a host that reads and writes only when the test says so.
type nodeLikeHost struct {
	t      *testing.T
	frames *http2.Framer
	heads  bytes.Buffer
	hpack  *hpack.Encoder
	next   uint32
}

// framed writes the channel's frames.
type framed struct{ net.Conn }

func (f framed) Write(bytes []byte) (int, error) {
	for at := 0; at < len(bytes); at += channel.PayloadMaxBytes {
		payload := bytes[at:min(len(bytes), at+channel.PayloadMaxBytes)]
		head := binary.BigEndian.AppendUint16([]byte{2}, uint16(len(payload)))
		if _, err := f.Conn.Write(append(head, payload...)); err != nil {
			return at, err
		}
	}
	return len(bytes), nil
}

func newNodeLikeHost(t *testing.T, client *Client) *nodeLikeHost {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	_ = ours.SetDeadline(time.Now().Add(20 * time.Second))
	go func() { _ = channel.Serve(theirs, 1, client.Attach) }()
	hello := append([]byte{1}, make([]byte, channel.EpochBytes+4)...)
	if _, err := ours.Write(hello); err != nil {
		t.Fatal(err)
	}
	ack := make([]byte, len("WRN-ACK\n")+channel.EpochBytes+4)
	preface := make([]byte, len(http2.ClientPreface))
	for _, into := range [][]byte{ack, preface} {
		if _, err := io.ReadFull(ours, into); err != nil {
			t.Fatal(err)
		}
	}
	h := &nodeLikeHost{t: t, frames: http2.NewFramer(framed{ours}, ours), next: 1}
	h.frames.SetMaxReadFrameSize(1 << 20)
	h.hpack = hpack.NewEncoder(&h.heads)
	h.await(http2.FrameSettings)
	h.await(http2.FrameWindowUpdate)
	h.must(h.frames.WriteSettings(
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: 64 << 20},
		http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 100},
	))
	h.must(h.frames.WriteSettingsAck())
	h.must(h.frames.WriteWindowUpdate(0, 64<<20))
	waitUntil(t, "the attach", func() bool { client.lock.Lock(); defer client.lock.Unlock(); return client.usable() != nil })
	return h
}

func (h *nodeLikeHost) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *nodeLikeHost) await(kind http2.FrameType) {
	h.t.Helper()
	for {
		frame, err := h.frames.ReadFrame()
		h.must(err)
		if frame.Header().Type == kind {
			return
		}
	}
}

func (h *nodeLikeHost) awaitData() { h.t.Helper(); h.await(http2.FrameData) }

// connect takes the next flow.
func (h *nodeLikeHost) connect(client *Client, source *io.PipeReader) *Flow {
	h.t.Helper()
	made := make(chan *Flow, 1)
	go func() {
		flow, err := client.Connect(context.Background(), "192.0.2.1:443", "", source, func() { source.Close() })
		if err != nil {
			h.t.Error(err)
		}
		made <- flow
	}()
	h.await(http2.FrameHeaders)
	h.heads.Reset()
	h.must(h.hpack.WriteField(hpack.HeaderField{Name: ":status", Value: "200"}))
	h.must(h.frames.WriteHeaders(http2.HeadersFrameParam{
		StreamID: h.next, BlockFragment: h.heads.Bytes(), EndHeaders: true,
	}))
	h.next += 2
	return <-made
}

// fill sends the first flows as much as they may have unread.
func (h *nodeLikeHost) fill(flows int) error {
	const frame = 16 << 10
	for nr := range flows {
		for range streamWindowBytes / frame {
			if err := h.frames.WriteData(uint32(2*nr+1), false, make([]byte, frame)); err != nil {
				return err
			}
		}
	}
	return nil
}
