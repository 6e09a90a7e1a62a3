// Package connect is the little of the Connect protocol that envd's clients use: JSON codec, unary calls and server
// streams (https://connectrpc.com/docs/protocol).
package connect

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// BodyMaxBytes bounds one JSON message of a request.
const BodyMaxBytes = 8 << 20

// Error carries a Connect code across the wire.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error.
func Errorf(code, format string, args ...any) *Error {
	return &Error{code, fmt.Sprintf(format, args...)}
}

// AsError finds the Error in err; anything else is internal.
func AsError(err error) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return &Error{"internal", err.Error()}
}

var statusOf = map[string]int{
	"canceled": 499, "unknown": 500, "invalid_argument": 400, "deadline_exceeded": 504, "not_found": 404,
	"already_exists": 409, "permission_denied": 403, "resource_exhausted": 429, "failed_precondition": 400,
	"aborted": 409, "out_of_range": 400, "unimplemented": 501, "internal": 500, "unavailable": 503,
	"data_loss": 500, "unauthenticated": 401,
}

// WriteError answers a unary call with an error.
func WriteError(w http.ResponseWriter, err error) {
	e := AsError(err)
	status, known := statusOf[e.Code]
	if !known {
		status = http.StatusInternalServerError
	}
	WriteJSON(w, status, e)
}

// WriteJSON answers with a value.
func WriteJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		status, body = 500, []byte(`{"code":"internal","message":"cannot encode the answer"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// ReadJSON reads a request's body, at most BodyMaxBytes of it.
func ReadJSON(r *http.Request, into any) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, BodyMaxBytes+1))
	if err != nil {
		return Errorf("canceled", "cannot read the request: %v", err)
	}
	return parse(body, into)
}

func parse(body []byte, into any) error {
	if len(body) > BodyMaxBytes {
		return Errorf("resource_exhausted", "a message may have %d bytes", BodyMaxBytes)
	}
	if len(body) == 0 {
		return nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return Errorf("invalid_argument", "cannot read the request: %v", err)
	}
	return nil
}

// Unary makes a handler of a function from request to response.
func Unary[Request, Response any](serve func(r *http.Request, request *Request) (Response, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request Request
		err := ReadJSON(r, &request)
		if err == nil {
			var response Response
			if response, err = serve(r, &request); err == nil {
				WriteJSON(w, http.StatusOK, response)
				return
			}
		}
		WriteError(w, err)
	}
}

const (
	compressedFlag = 0x01
	endFlag        = 0x02
)

// ReadEnvelope reads one message of a streaming request. io.EOF: there is no further one.
func ReadEnvelope(body io.Reader, into any) error {
	var head [5]byte
	if _, err := io.ReadFull(body, head[:]); err == io.EOF {
		return io.EOF
	} else if err != nil {
		return cutShort(err)
	}
	length := binary.BigEndian.Uint32(head[1:])
	if length > BodyMaxBytes {
		return Errorf("resource_exhausted", "a message may have %d bytes", BodyMaxBytes)
	}
	var message bytes.Buffer // grows as the bytes come: a length alone costs nothing
	if _, err := io.CopyN(&message, body, int64(length)); err != nil {
		return cutShort(err)
	}
	switch {
	case head[0]&endFlag != 0:
		return io.EOF
	case head[0]&compressedFlag != 0:
		return Errorf("unimplemented", "compressed messages are not taken")
	}
	return parse(message.Bytes(), into)
}

// ReadRequest reads the one message that a server stream's request has.
func ReadRequest(body io.Reader, into any) error {
	err := ReadEnvelope(body, into)
	if err == io.EOF {
		return Errorf("invalid_argument", "the request has no message")
	}
	return err
}

func cutShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return Errorf("invalid_argument", "the message is cut short")
	}
	return Errorf("canceled", "cannot read the request: %v", err)
}

// Envelope encodes one message of a stream.
func Envelope(message []byte) []byte {
	return envelope(0, message)
}

func envelope(flag byte, message []byte) []byte {
	out := make([]byte, 5, 5+len(message))
	out[0] = flag
	binary.BigEndian.PutUint32(out[1:], uint32(len(message)))
	return append(out, message...)
}

// Stream is the sending side of a server stream.
type Stream struct {
	w       http.ResponseWriter
	flusher *http.ResponseController
}

// OpenStream sends the head of a server stream; errors from here on travel in its last envelope.
func OpenStream(w http.ResponseWriter) *Stream {
	w.Header().Set("Content-Type", "application/connect+json")
	w.WriteHeader(http.StatusOK)
	s := &Stream{w, http.NewResponseController(w)}
	_ = s.flusher.Flush()
	return s
}

// Send writes envelopes that are encoded already, and flushes.
func (s *Stream) Send(envelope []byte) error {
	if _, err := s.w.Write(envelope); err != nil {
		return err
	}
	return s.flusher.Flush()
}

// End sends the last envelope; err may be nil.
func (s *Stream) End(err error) {
	message := []byte("{}")
	if err != nil {
		message, _ = json.Marshal(map[string]*Error{"error": AsError(err)})
	}
	_ = s.Send(envelope(endFlag, message))
}
