// Package channel is the agent's end of the byte streams to the host (docs/CHANNEL.md).
package channel

import "encoding/binary"

// The decoder cuts the host's bytes into frames. It keeps no payload: data goes on as slices of what came in.
// A reader would get wrong that it may start in the middle of an older frame: filler completes that one.

const (
	frameFiller = 0x00
	frameHello  = 0x01
	frameData   = 0x02

	EpochBytes      = 16
	helloBytes      = EpochBytes + 4
	PayloadMaxBytes = 16384
)

// Epoch names one attach.
type Epoch [EpochBytes]byte

// Sink takes what the decoder found.
type Sink interface {
	Hello(epoch Epoch, generation uint32)
	Data(payload []byte)
}

// Decoder is a state machine over bytes; its zero value is ready.
type Decoder struct {
	state   byte // 0: between frames; frameHello; frameData: reading the length; payload
	head    [helloBytes]byte
	have    int
	left    int
	Skipped uint64 // bytes that began no frame
}

const statePayload = 0xff

// Feed decodes all of bytes.
func (d *Decoder) Feed(bytes []byte, sink Sink) {
	for len(bytes) > 0 {
		switch d.state {
		case 0:
			switch bytes[0] {
			case frameHello, frameData:
				d.state, d.have = bytes[0], 0
			case frameFiller:
			default:
				d.Skipped++
			}
			bytes = bytes[1:]
		case frameHello:
			bytes = d.fill(bytes, helloBytes)
			if d.have == helloBytes {
				d.state = 0
				sink.Hello(Epoch(d.head[:EpochBytes]), binary.BigEndian.Uint32(d.head[EpochBytes:]))
			}
		case frameData:
			bytes = d.fill(bytes, 2)
			if d.have == 2 {
				d.left = int(binary.BigEndian.Uint16(d.head[:2]))
				d.state = statePayload
				if d.left == 0 || d.left > PayloadMaxBytes {
					d.state = 0
					d.Skipped += 3
				}
			}
		case statePayload:
			n := min(d.left, len(bytes))
			sink.Data(bytes[:n])
			bytes = bytes[n:]
			if d.left -= n; d.left == 0 {
				d.state = 0
			}
		}
	}
}

func (d *Decoder) fill(bytes []byte, want int) []byte {
	n := copy(d.head[d.have:want], bytes)
	d.have += n
	return bytes[n:]
}
