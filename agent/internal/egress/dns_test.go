package egress

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func question(name string, kind dnsmessage.Type, change func(*dnsmessage.Message)) []byte {
	message := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: 7, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}},
	}
	if change != nil {
		change(&message)
	}
	packed, err := message.Pack()
	if err != nil {
		panic(err)
	}
	return packed
}

// hostNames answers as the host's door does.
func hostNames(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Name, Type string }
	_ = json.NewDecoder(r.Body).Decode(&asked)
	switch {
	case r.Method != "POST" || r.URL.Path != "/dns":
		w.WriteHeader(http.StatusNotFound)
	case asked.Name == "forbidden.test":
		w.WriteHeader(http.StatusForbidden)
	case asked.Name == "broken.test":
		_, _ = io.WriteString(w, "{")
	case asked.Name == "denied.test":
		_, _ = io.WriteString(w, `{"rcode":"NXDOMAIN"}`)
	case asked.Name == "many.test":
		_, _ = io.WriteString(w, `{"rcode":"NOERROR","answers":[`+strings.Repeat(`{"type":"A","ttl":30,"data":"198.18.0.7"},`, 200)+`{"type":"A","data":"x"}]}`)
	case asked.Type == "A":
		_, _ = io.WriteString(w, `{"rcode":"NOERROR","answers":[{"type":"A","ttl":30,"data":"198.18.0.7"},{"type":"A","ttl":30,"data":"nonsense"},{"type":"EVIL","data":""}]}`)
	case asked.Type == "PTR":
		_, _ = io.WriteString(w, `{"rcode":"NOERROR","answers":[{"type":"PTR","ttl":30,"data":"example.com"}]}`)
	default:
		_, _ = io.WriteString(w, `{"rcode":"NOERROR","answers":[]}`)
	}
}

func TestQuestions(t *testing.T) {
	var client Client
	attach(t, &client, hostNames)
	names := newResolver(&client)
	looped := append(question("a.example.", dnsmessage.TypeA, nil)[:12], 0xc0, 12, 0, 1, 0, 1)
	for what, try := range map[string]struct {
		packet []byte
		want   string
	}{
		"A":             {question("Example.com.", dnsmessage.TypeA, nil), "RCodeSuccess 198.18.0.7"},
		"AAAA":          {question("example.com.", dnsmessage.TypeAAAA, nil), "RCodeSuccess"},
		"HTTPS":         {question("example.com.", 65, nil), "RCodeSuccess"},
		"PTR":           {question("7.0.18.198.in-addr.arpa.", dnsmessage.TypePTR, nil), "RCodeSuccess example.com."},
		"localhost":     {question("LocalHost.", dnsmessage.TypeA, nil), "RCodeSuccess 127.0.0.1"},
		"localhost six": {question("a.localhost.", dnsmessage.TypeAAAA, nil), "RCodeSuccess ::1"},
		"localhost MX":  {question("a.localhost.", dnsmessage.TypeMX, nil), "RCodeSuccess"},
		"root":          {question(".", dnsmessage.TypeNS, nil), "RCodeSuccess"},
		"strange bytes": {question("a\x00b.test.", dnsmessage.TypeA, nil), "RCodeNameError"},
		"denied":        {question("denied.test.", dnsmessage.TypeA, nil), "RCodeNameError"},
		"forbidden":     {question("forbidden.test.", dnsmessage.TypeA, nil), "RCodeRefused"},
		"broken":        {question("broken.test.", dnsmessage.TypeA, nil), "RCodeServerFailure"},
		"too many":      {question("many.test.", dnsmessage.TypeA, nil), "truncated"},
		"opcode":        {question("a.test.", dnsmessage.TypeA, func(m *dnsmessage.Message) { m.OpCode = 2 }), "RCodeNotImplemented"},
		"no question":   {question("a.test.", dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Questions = nil }), "RCodeFormatError"},
		"two questions": {question("a.test.", dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) }), "RCodeFormatError"},
		"chaos":         {question("a.test.", dnsmessage.TypeTXT, func(m *dnsmessage.Message) { m.Questions[0].Class = 3 }), "RCodeNotImplemented"},
		"with an answer": {question("a.test.", dnsmessage.TypeA, func(m *dnsmessage.Message) {
			m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("a.test."), Class: 1}, Body: &dnsmessage.AResource{}}}
		}), "RCodeFormatError"},
		"with EDNS": {question("a.test.", dnsmessage.TypeA, func(m *dnsmessage.Message) {
			m.Additionals = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("."), Class: 65535}, Body: &dnsmessage.OPTResource{}}}
		}), "RCodeSuccess 198.18.0.7"},
		"an answer":   {question("a.test.", dnsmessage.TypeA, func(m *dnsmessage.Message) { m.Response = true }), "silence"},
		"a loop":      {looped, "RCodeFormatError"},
		"cut short":   {question("a.test.", dnsmessage.TypeA, nil)[:14], "RCodeFormatError"},
		"half a head": {make([]byte, 11), "silence"},
		"long label":  {append(question("a.test.", dnsmessage.TypeA, nil)[:12], 0x40, 'a', 0, 0, 1, 0, 1), "RCodeFormatError"},
	} {
		if got := describe(t, names.resolve(try.packet, false)); got != try.want {
			t.Errorf("%s: %q, want %q", what, got, try.want)
		}
	}
	if got := describe(t, names.resolve(question("many.test.", dnsmessage.TypeA, nil), true)); strings.Count(got, " 198.18.0.7") != answersMax {
		t.Errorf("over TCP: %s", got)
	}
}

func describe(t *testing.T, answer []byte) string {
	t.Helper()
	if answer == nil {
		return "silence"
	}
	var message dnsmessage.Message
	if err := message.Unpack(answer); err != nil {
		t.Fatalf("%x: %v", answer, err)
	}
	if message.ID != 7 && message.ID != 0 || !message.Response {
		t.Errorf("not an answer: %+v", message.Header)
	}
	if message.Truncated {
		return "truncated"
	}
	text := message.RCode.String()
	for _, row := range message.Answers {
		switch body := row.Body.(type) {
		case *dnsmessage.AResource:
			text += " " + net.IP(body.A[:]).String()
		case *dnsmessage.AAAAResource:
			text += " " + net.IP(body.AAAA[:]).String()
		case *dnsmessage.PTRResource:
			text += " " + body.PTR.String()
		}
	}
	return text
}

// With every slot taken the next question fails at once.
func TestQuestionsAreBounded(t *testing.T) {
	names := newResolver(&Client{})
	for range questionsMax {
		names.slots <- struct{}{}
	}
	started := time.Now()
	if got := describe(t, names.resolve(question("a.test.", dnsmessage.TypeA, nil), false)); got != "RCodeServerFailure" || time.Since(started) > time.Second {
		t.Fatal(got)
	}
}

// Lengths that lie end the connection; true ones are answered before.
func TestQuestionsOverTCP(t *testing.T) {
	var client Client
	attach(t, &client, hostNames)
	names := newResolver(&client)
	packet := question("a.test.", dnsmessage.TypeA, nil)
	for what, tail := range map[string][]byte{"too long": {0xff, 0xff, 1}, "none": {0, 0}, "half": {0}} {
		theirs, ours := pair(t)
		go names.serveStream(ours)
		_, _ = theirs.Write(append(append([]byte{0, byte(len(packet))}, packet...), tail...))
		_ = theirs.CloseWrite()
		got, _ := io.ReadAll(theirs)
		if len(got) < 2 || describe(t, got[2:2+int(got[0])<<8+int(got[1])]) != "RCodeSuccess 198.18.0.7" {
			t.Errorf("%s: %x", what, got)
		}
	}
}

func FuzzQuery(f *testing.F) {
	f.Add(question("a.test.", dnsmessage.TypeA, nil))
	f.Add([]byte{0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1})
	f.Fuzz(func(t *testing.T, packet []byte) {
		asked, answer, ok := parseQuery(packet)
		if ok {
			if answer, _ = asked.local(); answer == nil {
				answer = asked.answer(dnsmessage.RCodeServerFailure, nil)
			}
			if answer == nil {
				t.Fatal("a question without an answer")
			}
		}
		var message dnsmessage.Message
		if answer != nil && message.Unpack(answer) != nil {
			t.Fatalf("%x: an answer that is none", answer)
		}
	})
}
