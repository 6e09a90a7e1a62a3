package channel

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// scripted is a port whose host says what it says and reads everything.
type scripted struct {
	in   *bytes.Reader
	step int
	out  bytes.Buffer
}

func (p *scripted) Read(into []byte) (int, error) {
	if p.step > 0 && len(into) > p.step {
		into = into[:p.step]
	}
	return p.in.Read(into)
}
func (p *scripted) Write(b []byte) (int, error) { return p.out.Write(b) }
func (p *scripted) Close() error                { return nil }

// attachments is what a decoder that has all bytes at once would hand to each connection.
type attachments struct{ data [][]byte }

func (a *attachments) Hello(Epoch, uint32) { a.data = append(a.data, nil) }
func (a *attachments) Data(payload []byte) {
	if n := len(a.data); n > 0 {
		a.data[n-1] = append(a.data[n-1], payload...)
	}
}

// begins says whether all is what one of them got first; which one is not known: they are served in goroutines.
func (a *attachments) begins(all []byte) bool {
	for _, data := range a.data {
		if bytes.HasPrefix(data, all) {
			return true
		}
	}
	return false
}

// FuzzServe lets a host say anything: each HELLO is answered once with its own epoch, in order and with nothing else
// written; each connection gets exactly the data behind its own HELLO, or the beginning of it when the next one ended it.
func FuzzServe(f *testing.F) {
	hello := append(append([]byte{}, filler...), helloFrame(2, 3)...)
	f.Add(append(hello, dataFrame([]byte("abc"))...), uint16(0))
	f.Add(append(append(append([]byte{}, hello...), dataFrame([]byte("old"))...), append(helloFrame(4, 9), dataFrame([]byte("new"))...)...), uint16(1))
	f.Add(append(dataFrame(helloFrame(1, 1)), helloFrame(1, 1)...), uint16(7))
	f.Add([]byte{2, 0x40, 1, 3, 1, 1, 1}, uint16(3))
	f.Fuzz(func(t *testing.T, said []byte, step uint16) {
		var want attachments
		var acks []byte
		new(Decoder).Feed(said, &want)
		new(Decoder).Feed(said, ackWriter{&acks})
		got, conns := make(chan []byte, len(want.data)+1), make(chan net.Conn, len(want.data)+1)
		port := &scripted{in: bytes.NewReader(said), step: int(step % 512)}
		err := Serve(port, testGeneration, func(conn net.Conn) {
			conns <- conn
			all, _ := io.ReadAll(conn)
			got <- all
		})
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
		if !bytes.Equal(port.out.Bytes(), acks) {
			t.Fatalf("written %x, want %x", port.out.Bytes(), acks)
		}
		late := time.After(10 * time.Second)
		for range want.data {
			select {
			case all := <-got:
				if !want.begins(all) {
					t.Fatalf("a connection got %x, of %x", all, want.data)
				}
			case <-late:
				t.Fatal("a connection does not end with its port")
			}
			if _, err := (<-conns).Write([]byte("late")); !errors.Is(err, net.ErrClosed) {
				t.Fatalf("a connection that has ended is written to: %v", err)
			}
		}
	})
}

type ackWriter struct{ into *[]byte }

func (a ackWriter) Hello(epoch Epoch, _ uint32) {
	*a.into = append(append(*a.into, ackMagic...), epoch[:]...)
	*a.into = binary.BigEndian.AppendUint32(*a.into, testGeneration)
}
func (ackWriter) Data([]byte) {}
