package connect

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

type word struct {
	Word string `json:"word"`
}

func codeOf(err error) string {
	if err == nil || err == io.EOF {
		return fmt.Sprint(err)
	}
	return AsError(err).Code
}

func head(flag byte, length uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{flag}, length)
}

func TestReadEnvelope(t *testing.T) {
	for name, c := range map[string]struct {
		bytes []byte
		want  string
		code  string
	}{
		"a message":           {Envelope([]byte(`{"word":"yes"}`)), "yes", "<nil>"},
		"an unknown field":    {Envelope([]byte(`{"word":"yes","later":1}`)), "yes", "<nil>"},
		"no bytes of JSON":    {Envelope(nil), "", "<nil>"},
		"nothing":             {nil, "", "EOF"},
		"the end":             {envelope(endFlag, []byte("{}")), "", "EOF"},
		"a head cut short":    {head(0, 3)[:4], "", "invalid_argument"},
		"no payload":          {head(0, 3), "", "invalid_argument"},
		"a payload cut short": {append(head(0, 3), '{'), "", "invalid_argument"},
		"an end cut short":    {head(endFlag, 2), "", "invalid_argument"},
		"no JSON":             {Envelope([]byte("{")), "", "invalid_argument"},
		"another type":        {Envelope([]byte(`{"word":1}`)), "", "invalid_argument"},
		"compressed":          {envelope(1, []byte(`{"word":"yes"}`)), "", "unimplemented"},
		"too long":            {head(0, BodyMaxBytes+1), "", "resource_exhausted"},
		"absurdly long":       {head(0, 0xffffffff), "", "resource_exhausted"},
	} {
		var got word
		err := ReadEnvelope(bytes.NewReader(c.bytes), &got)
		if code := codeOf(err); code != c.code || got.Word != c.want {
			t.Errorf("%s: %q %s, want %q %s", name, got.Word, code, c.want, c.code)
		}
	}
}

func TestLongestMessage(t *testing.T) {
	long := strings.Repeat("x", BodyMaxBytes-len(`{"word":""}`))
	var got word
	if err := ReadEnvelope(bytes.NewReader(Envelope([]byte(`{"word":"`+long+`"}`))), &got); err != nil || got.Word != long {
		t.Fatal(len(got.Word), err)
	}
	for _, extra := range []string{"", "x"} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(`{"word":"`+long+extra+`"}`))
		if err := ReadJSON(r, &got); (err == nil) != (extra == "") {
			t.Fatalf("%d bytes too many: %v", len(extra), err)
		}
	}
}

// A length costs memory only as the bytes arrive.
func TestALengthAloneCostsLittle(t *testing.T) {
	const times = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range times {
		var got word
		_ = ReadEnvelope(bytes.NewReader(head(0, BodyMaxBytes)), &got)
	}
	runtime.ReadMemStats(&after)
	if allocated := (after.TotalAlloc - before.TotalAlloc) / times; allocated > 64<<10 {
		t.Fatalf("%d bytes", allocated)
	}
}

// brokenBody is a request whose client left.
type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errors.New("stream reset") }

func TestABrokenStreamIsNoEnd(t *testing.T) {
	var got word
	if err := ReadEnvelope(brokenBody{}, &got); codeOf(err) != "canceled" {
		t.Fatal(err)
	}
	if err := ReadEnvelope(io.MultiReader(bytes.NewReader(head(0, 9)), brokenBody{}), &got); codeOf(err) != "canceled" {
		t.Fatal(err)
	}
}

func TestUnary(t *testing.T) {
	handler := Unary(func(_ *http.Request, request *word) (word, error) {
		switch request.Word {
		case "known":
			return word{}, fmt.Errorf("wrapped: %w", Errorf("not_found", "no %s", request.Word))
		case "odd":
			return word{}, Errorf("no.such.code", "odd")
		case "other":
			return word{}, errors.New("other")
		}
		return word{request.Word + "!"}, nil
	})
	for body, want := range map[string]struct {
		status int
		body   string
	}{
		`{"word":"a"}`:     {200, `{"word":"a!"}`},
		``:                 {200, `{"word":"!"}`},
		`{"word":"known"}`: {404, `{"code":"not_found","message":"no known"}`},
		`{"word":"odd"}`:   {500, `{"code":"no.such.code","message":"odd"}`},
		`{"word":"other"}`: {500, `{"code":"internal","message":"other"}`},
	} {
		w := httptest.NewRecorder()
		handler(w, httptest.NewRequest("POST", "/", strings.NewReader(body)))
		if w.Code != want.status || w.Body.String() != want.body || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	for body, status := range map[string]int{"{": 400, `[1]`: 400, strings.Repeat(" ", BodyMaxBytes+1): 429} {
		w := httptest.NewRecorder()
		handler(w, httptest.NewRequest("POST", "/", strings.NewReader(body)))
		if w.Code != status {
			t.Errorf("%.10q: %d", body, w.Code)
		}
	}
}

func TestStream(t *testing.T) {
	for _, c := range []struct {
		err  error
		last string
	}{
		{nil, "{}"},
		{Errorf("not_found", "none"), `{"error":{"code":"not_found","message":"none"}}`},
	} {
		w := httptest.NewRecorder()
		stream := OpenStream(w)
		if err := stream.Send(Envelope([]byte("{}"))); err != nil {
			t.Fatal(err)
		}
		stream.End(c.err)
		want := string(head(0, 2)) + "{}" + string(head(2, uint32(len(c.last)))) + c.last
		if w.Code != 200 || w.Header().Get("Content-Type") != "application/connect+json" || w.Body.String() != want {
			t.Fatalf("%d %q, want %q", w.Code, w.Body, want)
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	f.Add([]byte{})
	f.Add(append(Envelope([]byte(`{"word":"a"}`)), envelope(endFlag, []byte("{}"))...))
	f.Add(head(0, BodyMaxBytes+1))
	f.Add(append(head(0, 9), `{"word"`...))
	f.Fuzz(func(t *testing.T, stream []byte) {
		body := bytes.NewReader(stream)
		for left := stream; ; {
			var got json.RawMessage
			err := ReadEnvelope(body, &got)
			if len(left) < 5 { // the same once more, with the whole stream at hand
				if (err == io.EOF) != (len(left) == 0) || err == nil {
					t.Fatalf("%x: %v", left, err)
				}
				return
			}
			length := uint64(binary.BigEndian.Uint32(left[1:5]))
			whole := length <= uint64(len(left)-5)
			switch {
			case length > BodyMaxBytes:
				if codeOf(err) != "resource_exhausted" {
					t.Fatal(err)
				}
				return
			case !whole:
				if codeOf(err) != "invalid_argument" {
					t.Fatal(err)
				}
				return
			}
			message := left[5 : 5+length]
			left = left[5+length:]
			switch {
			case stream[len(stream)-len(left)-len(message)-5]&endFlag != 0:
				if err != io.EOF {
					t.Fatal(err)
				}
				return
			case stream[len(stream)-len(left)-len(message)-5]&compressedFlag != 0:
				if codeOf(err) != "unimplemented" {
					t.Fatal(err)
				}
				return
			case len(message) > 0 && json.Valid(message) != (err == nil):
				t.Fatalf("%q: %v", message, err)
			case err != nil:
				return
			}
			if body.Len() != len(left) {
				t.Fatalf("%d bytes left, want %d", body.Len(), len(left))
			}
			again := Envelope(message)
			if err := ReadEnvelope(bytes.NewReader(again), &got); err != nil {
				t.Fatal(err)
			}
		}
	})
}
