package egress

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/sys/unix"
)

const (
	questionsMax      = 256 // at one time, over UDP and TCP together
	questionMaxFor    = 10 * time.Second
	dnsIdleMaxFor     = 10 * time.Second
	dnsAnswerMaxBytes = 64 << 10
)

// resolver turns DNS packets into questions to the host.
type resolver struct {
	client *Client
	slots  chan struct{}
}

func newResolver(client *Client) *resolver {
	return &resolver{client, make(chan struct{}, questionsMax)}
}

// resolve answers a packet, or nil for silence. Without a slot it does not wait.
func (r *resolver) resolve(packet []byte, tcp bool) []byte {
	asked, answer, ok := parseQuery(packet)
	if !ok {
		return answer
	}
	if answer, done := asked.local(); done {
		return answer
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		return asked.answer(dnsmessage.RCodeServerFailure, nil)
	}
	answer = asked.answer(r.ask(&asked))
	if !tcp {
		answer = asked.fitUDP(answer)
	}
	return answer
}

type dnsAnswer struct {
	RCode   string      `json:"rcode"`
	Answers []answerRow `json:"answers"`
}

func (r *resolver) ask(asked *query) (dnsmessage.RCode, []answerRow) {
	body, err := json.Marshal(map[string]string{"name": asked.name(), "type": typeName(asked.question.Type)})
	if err != nil {
		return dnsmessage.RCodeServerFailure, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), questionMaxFor)
	defer cancel()
	answer, done, err := r.client.ask(ctx, questionMaxFor, func(ctx context.Context) *http.Request {
		request := &http.Request{
			Method: http.MethodPost, URL: &url.URL{Scheme: "http", Host: "host", Path: "/dns"}, Host: "host",
			Header: http.Header{"User-Agent": nil, "Content-Type": {"application/json"}},
			Body:   io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
		}
		return request.WithContext(ctx)
	})
	if err != nil {
		return dnsmessage.RCodeServerFailure, nil
	}
	defer done()
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusForbidden {
		return dnsmessage.RCodeRefused, nil
	}
	var said dnsAnswer
	if answer.StatusCode != http.StatusOK || json.NewDecoder(io.LimitReader(answer.Body, dnsAnswerMaxBytes)).Decode(&said) != nil {
		return dnsmessage.RCodeServerFailure, nil
	}
	code, known := codes[said.RCode]
	if !known {
		return dnsmessage.RCodeServerFailure, nil
	}
	return code, said.Answers
}

// serveDatagrams answers questions until the socket is closed. An answer comes from the address that was asked, which
// a redirected program depends on.
func (r *resolver) serveDatagrams(socket *net.UDPConn) error {
	packet, control := make([]byte, queryMaxBytes+1), make([]byte, 64)
	for {
		n, controls, _, from, err := socket.ReadMsgUDPAddrPort(packet, control)
		if err != nil {
			if transient(err) {
				time.Sleep(retryAcceptWait)
				continue
			}
			return err
		}
		own, back := append([]byte(nil), packet[:n]...), replyFrom(control[:controls])
		answerIt := func() {
			if answer := r.resolve(own, false); answer != nil {
				_, _, _ = socket.WriteMsgUDPAddrPort(answer, back, from)
			}
		}
		if len(r.slots) == cap(r.slots) {
			answerIt() // no goroutine for a question that is not asked
			continue
		}
		go answerIt()
	}
}

// replyFrom makes the control message of an answer from that of a question: struct in_pktinfo with the interface
// left to the kernel.
func replyFrom(control []byte) []byte {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for _, message := range messages {
		if message.Header.Level == unix.IPPROTO_IP && message.Header.Type == unix.IP_PKTINFO && len(message.Data) >= unix.SizeofInet4Pktinfo {
			info := unix.Inet4Pktinfo{}
			copy(info.Spec_dst[:], message.Data[4:8])
			return unix.PktInfo4(&info)
		}
	}
	return nil
}

// serveStream answers the questions of one TCP connection, one after the other, and closes it.
func (r *resolver) serveStream(conn net.Conn) {
	defer conn.Close()
	for {
		_ = conn.SetDeadline(time.Now().Add(dnsIdleMaxFor))
		var head [2]byte
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return
		}
		length := int64(binary.BigEndian.Uint16(head[:]))
		if length > queryMaxBytes {
			return
		}
		var packet bytes.Buffer // grows as the bytes come
		if _, err := io.CopyN(&packet, conn, length); err != nil {
			return
		}
		_ = conn.SetDeadline(time.Now().Add(questionMaxFor + dnsIdleMaxFor))
		answer := r.resolve(packet.Bytes(), true)
		if answer == nil || len(answer) > 0xffff {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}
