package channel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// script writes down what a decoder found; runs of data are joined, since frames may arrive in any pieces.
type script struct {
	text string
	data []byte
}

func (s *script) Hello(epoch Epoch, generation uint32) {
	s.flush()
	s.text += fmt.Sprintf("hello %x %d\n", epoch, generation)
}

func (s *script) Data(payload []byte) {
	if len(payload) == 0 || len(payload) > PayloadMaxBytes {
		s.text += fmt.Sprintf("a payload of %d\n", len(payload))
	}
	s.data = append(s.data, payload...)
}

func (s *script) flush() {
	if len(s.data) > 0 {
		s.text += fmt.Sprintf("data %x\n", s.data)
		s.data = nil
	}
}

func (s *script) end(skipped uint64) string {
	s.flush()
	return s.text + fmt.Sprintf("skipped %d\n", skipped)
}

func decode(pieces ...[]byte) string {
	var d Decoder
	var s script
	for _, piece := range pieces {
		d.Feed(piece, &s)
	}
	return s.end(d.Skipped)
}

// naive has all bytes at once and knows no states: what FuzzDecoder compares with.
func naive(all []byte) string {
	var s script
	skipped := uint64(0)
	for len(all) > 0 {
		first := all[0]
		all = all[1:]
		switch {
		case first == 0:
		case first == 1 && len(all) >= 20:
			s.Hello(Epoch(all[:16]), binary.BigEndian.Uint32(all[16:20]))
			all = all[20:]
		case first == 2 && len(all) >= 2:
			length := int(all[0])<<8 + int(all[1])
			all = all[2:]
			if length < 1 || length > 16384 {
				skipped += 3
				continue
			}
			length = min(length, len(all))
			s.data = append(s.data, all[:length]...)
			all = all[length:]
		case first == 1 || first == 2:
			all = nil
		default:
			skipped++
		}
	}
	return s.end(skipped)
}

func helloFrame(epoch byte, generation uint32) []byte {
	frame := append([]byte{frameHello}, bytes.Repeat([]byte{epoch}, EpochBytes)...)
	return binary.BigEndian.AppendUint32(frame, generation)
}

func dataFrame(payload []byte) []byte {
	frame := binary.BigEndian.AppendUint16([]byte{frameData}, uint16(len(payload)))
	return append(frame, payload...)
}

// filler is what the host begins an attach with: longer than any frame.
var filler = make([]byte, 3+PayloadMaxBytes+61)

func TestDecoderFrames(t *testing.T) {
	full := bytes.Repeat([]byte{1}, PayloadMaxBytes)
	for name, c := range map[string]struct {
		bytes []byte
		want  string
	}{
		"nothing":         {nil, "skipped 0\n"},
		"filler":          {filler, "skipped 0\n"},
		"unknown":         {[]byte{3, 0xff, 0, 'P'}, "skipped 3\n"},
		"hello":           {helloFrame(7, 0x01020304), fmt.Sprintf("hello %x 16909060\nskipped 0\n", bytes.Repeat([]byte{7}, 16))},
		"data":            {dataFrame([]byte{0, 1, 2}), "data 000102\nskipped 0\n"},
		"longest data":    {dataFrame(full), fmt.Sprintf("data %x\nskipped 0\n", full)},
		"empty data":      {append(dataFrame(nil), dataFrame([]byte{9})...), "data 09\nskipped 3\n"},
		"too long data":   {append([]byte{2, 0x40, 0x01}, dataFrame([]byte{9})...), "data 09\nskipped 3\n"},
		"longest length":  {append([]byte{2, 0xff, 0xff}, dataFrame([]byte{9})...), "data 09\nskipped 3\n"},
		"unknown between": {append(append(dataFrame([]byte{8}), 'x'), dataFrame([]byte{9})...), "data 0809\nskipped 1\n"},
	} {
		if got := decode(c.bytes); got != c.want {
			t.Errorf("%s: %.200q, want %.200q", name, got, c.want)
		}
	}
}

// Where the reads cut the bytes does not matter.
func TestDecoderTornAtEveryByte(t *testing.T) {
	var all []byte
	for _, frame := range [][]byte{
		helloFrame(7, 1), {0, 0}, dataFrame([]byte("first")), {0x33}, dataFrame([]byte{2}), helloFrame(2, 9),
		{2, 0, 0}, {2, 0x40, 1}, dataFrame(bytes.Repeat([]byte{1, 2, 0}, 20)), helloFrame(0, 0),
	} {
		all = append(all, frame...)
	}
	want := naive(all)
	for cut := range all {
		if got := decode(all[:cut], all[cut:]); got != want {
			t.Fatalf("cut at %d: %s", cut, got)
		}
	}
	single := make([][]byte, len(all))
	for i := range all {
		single[i] = all[i : i+1]
	}
	if got := decode(single...); got != want {
		t.Fatalf("byte by byte: %s", got)
	}
}

// A machine was frozen anywhere in a frame: after the filler of the next attach its HELLO is found, and what was
// torn ends before it.
func TestDecoderAttachAfterAnyTear(t *testing.T) {
	hello := fmt.Sprintf("hello %x 5\n", bytes.Repeat([]byte{6}, 16))
	for name, frame := range map[string][]byte{
		"hello":   helloFrame(1, 1),
		"data":    dataFrame(bytes.Repeat([]byte{2}, 300)),
		"longest": dataFrame(bytes.Repeat([]byte{1}, PayloadMaxBytes)),
	} {
		for cut := 0; cut < len(frame); cut += 1 + cut/50 {
			got := decode(frame[:cut], filler, helloFrame(6, 5), dataFrame([]byte("new")))
			if !strings.Contains(got, hello+"data 6e6577\nskipped ") {
				t.Fatalf("%s cut at %d: %.200q", name, cut, got)
			}
		}
	}
}

// HELLO inside a payload is payload.
func TestDecoderHelloInsideData(t *testing.T) {
	inside := helloFrame(1, 1)
	if got, want := decode(dataFrame(inside)), fmt.Sprintf("data %x\nskipped 0\n", inside); got != want {
		t.Fatal(got)
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte{}, []byte{1})
	f.Add(append(dataFrame([]byte("abc")), helloFrame(2, 3)...), []byte{2, 1, 30})
	f.Add(append(append(filler, helloFrame(2, 3)...), dataFrame([]byte{9})...), []byte{255, 4})
	f.Add([]byte{2, 0, 0, 2, 0x40, 1, 5, 1, 1, 1}, []byte{0})
	f.Fuzz(func(t *testing.T, all, cuts []byte) {
		var pieces [][]byte
		left := all
		for i := 0; len(left) > 0; i++ {
			n := len(left)
			if i < 1000 && len(cuts) > 0 {
				n = min(n, int(cuts[i%len(cuts)]))
			}
			pieces = append(pieces, left[:n])
			left = left[n:]
		}
		if got, want := decode(pieces...), naive(all); got != want {
			t.Fatalf("%x in pieces of %d: %q, want %q", all, cuts, got, want)
		}
	})
}
