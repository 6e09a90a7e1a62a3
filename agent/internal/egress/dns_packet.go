package egress

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	queryMaxBytes = 4096
	udpMaxBytes   = 512 // EDNS is ignored
	answersMax    = 64
	answerTTLMax  = 24 * 60 * 60
	localTTL      = 60
)

// query is what a packet asks.
type query struct {
	id        uint16
	recursion bool
	question  dnsmessage.Question
}

// answerRow is one answer in the host's words.
type answerRow struct {
	Type string `json:"type"`
	TTL  uint32 `json:"ttl"`
	Data string `json:"data"`
}

var typeNames = map[dnsmessage.Type]string{
	1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 10: "NULL", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV",
	35: "NAPTR", 43: "DS", 48: "DNSKEY", 64: "SVCB", 65: "HTTPS", 251: "IXFR", 252: "AXFR", 255: "ANY", 257: "CAA",
}

func typeName(kind dnsmessage.Type) string {
	if name, known := typeNames[kind]; known {
		return name
	}
	return "TYPE" + strconv.Itoa(int(kind))
}

// parseQuery reads a packet. Unless ok, answer is what to send, or nil for silence.
func parseQuery(packet []byte) (asked query, answer []byte, ok bool) {
	var parser dnsmessage.Parser
	header, err := parser.Start(packet)
	if err != nil || header.Response {
		return query{}, nil, false
	}
	asked = query{id: header.ID, recursion: header.RecursionDesired}
	refuse := func(code dnsmessage.RCode) (query, []byte, bool) {
		head := dnsmessage.Header{ID: header.ID, Response: true, OpCode: header.OpCode, RecursionDesired: header.RecursionDesired, RCode: code}
		message := dnsmessage.Message{Header: head}
		packed, err := message.Pack()
		if err != nil {
			return query{}, nil, false
		}
		return query{}, packed, false
	}
	switch {
	case header.OpCode != 0:
		return refuse(dnsmessage.RCodeNotImplemented)
	case len(packet) > queryMaxBytes, header.Truncated, counts(packet) != [3]uint16{1, 0, 0}:
		return refuse(dnsmessage.RCodeFormatError)
	}
	if asked.question, err = parser.Question(); err != nil {
		return refuse(dnsmessage.RCodeFormatError)
	}
	if parser.SkipAllQuestions() != nil || parser.SkipAllAnswers() != nil || parser.SkipAllAuthorities() != nil || parser.SkipAllAdditionals() != nil {
		return refuse(dnsmessage.RCodeFormatError)
	}
	if asked.question.Class != dnsmessage.ClassINET {
		return refuse(dnsmessage.RCodeNotImplemented)
	}
	return asked, nil, true
}

// counts are those of questions, answers and authorities; of a packet that has a whole header.
func counts(packet []byte) (of [3]uint16) {
	for i := range of {
		of[i] = uint16(packet[4+2*i])<<8 | uint16(packet[5+2*i])
	}
	return of
}

// local answers what never leaves the guest.
func (q *query) local() (answer []byte, done bool) {
	name := strings.ToLower(strings.TrimSuffix(q.question.Name.String(), "."))
	switch {
	case name == "localhost" || strings.HasSuffix(name, ".localhost"):
		switch q.question.Type {
		case dnsmessage.TypeA:
			return q.answer(dnsmessage.RCodeSuccess, []answerRow{{"A", localTTL, "127.0.0.1"}}), true
		case dnsmessage.TypeAAAA:
			return q.answer(dnsmessage.RCodeSuccess, []answerRow{{"AAAA", localTTL, "::1"}}), true
		}
		return q.answer(dnsmessage.RCodeSuccess, nil), true
	case name == "":
		return q.answer(dnsmessage.RCodeSuccess, nil), true
	}
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return q.answer(dnsmessage.RCodeNameError, nil), true
		}
	}
	return nil, false
}

// name is the question's, as the host is told it.
func (q *query) name() string { return strings.TrimSuffix(q.question.Name.String(), ".") }

// answer packs an answer; rows that make no sense are left out.
func (q *query) answer(code dnsmessage.RCode, rows []answerRow) []byte {
	message := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: q.id, Response: true, RecursionDesired: q.recursion, RecursionAvailable: true, RCode: code,
		},
		Questions: []dnsmessage.Question{q.question},
	}
	for _, row := range rows[:min(len(rows), answersMax)] {
		if body := row.body(); body != nil {
			message.Answers = append(message.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.question.Name, Class: dnsmessage.ClassINET, TTL: min(row.TTL, answerTTLMax)},
				Body:   body,
			})
		}
	}
	packed, err := message.Pack()
	if err != nil {
		return nil
	}
	return packed
}

func (r answerRow) body() dnsmessage.ResourceBody {
	switch r.Type {
	case "A":
		if address, err := netip.ParseAddr(r.Data); err == nil && address.Is4() {
			return &dnsmessage.AResource{A: address.As4()}
		}
	case "AAAA":
		if address, err := netip.ParseAddr(r.Data); err == nil && address.Is6() {
			return &dnsmessage.AAAAResource{AAAA: address.As16()}
		}
	case "PTR":
		if name, err := dnsmessage.NewName(strings.TrimSuffix(r.Data, ".") + "."); err == nil {
			return &dnsmessage.PTRResource{PTR: name}
		}
	}
	return nil
}

// fitUDP cuts an answer that is too long for a datagram to its question, so that TCP is asked.
func (q *query) fitUDP(answer []byte) []byte {
	if len(answer) <= udpMaxBytes {
		return answer
	}
	short := q.answer(dnsmessage.RCodeSuccess, nil)
	if len(short) > 2 {
		short[2] |= 0x02 // TC
	}
	return short
}

var codes = map[string]dnsmessage.RCode{
	"NOERROR": dnsmessage.RCodeSuccess, "NXDOMAIN": dnsmessage.RCodeNameError,
	"REFUSED": dnsmessage.RCodeRefused, "FORMERR": dnsmessage.RCodeFormatError,
}
