// Package process is envd's process.Process service: sessions, each one process with pipes or a terminal. They
// outlive their connections; every subscriber gets all output from the moment it came, in order.
package process

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"syscall"

	"warren.dev/agent/internal/connect"
)

// The messages, as proto3 JSON writes them: zero values may be missing, bytes are base64, enums are names.

type startRequest struct {
	Process processConfig `json:"process"`
	Pty     *ptyConfig    `json:"pty"`
	Tag     string        `json:"tag"`
	Stdin   *bool         `json:"stdin"`
}

type processConfig struct {
	Cmd  string            `json:"cmd"`
	Args []string          `json:"args"`
	Envs map[string]string `json:"envs"`
	Cwd  string            `json:"cwd,omitempty"`
}

type ptyConfig struct {
	Size struct {
		Cols uint16 `json:"cols"`
		Rows uint16 `json:"rows"`
	} `json:"size"`
}

type selector struct {
	Pid uint32 `json:"pid"`
	Tag string `json:"tag"`
}

type selected struct {
	Process selector `json:"process"`
}

type updateRequest struct {
	Process selector   `json:"process"`
	Pty     *ptyConfig `json:"pty"`
}

type input struct {
	Stdin []byte `json:"stdin"`
	Pty   []byte `json:"pty"`
}

type inputRequest struct {
	Process selector `json:"process"`
	Input   input    `json:"input"`
}

// streamInput is one message of the client stream StreamInput.
type streamInput struct {
	Start     *selected              `json:"start"`
	Data      *struct{ Input input } `json:"data"`
	KeepAlive *struct{}              `json:"keepalive"`
}

type signalRequest struct {
	Process selector        `json:"process"`
	Signal  json.RawMessage `json:"signal"`
}

type processInfo struct {
	Config processConfig `json:"config"`
	Pid    uint32        `json:"pid"`
	Tag    string        `json:"tag,omitempty"`
}

type listResponse struct {
	Processes []processInfo `json:"processes"`
}

type empty struct{}

// Beyond envd's two: what a terminal sends.
var signals = map[string]syscall.Signal{
	"SIGNAL_SIGTERM": syscall.SIGTERM, "SIGNAL_SIGKILL": syscall.SIGKILL, "SIGNAL_SIGINT": syscall.SIGINT,
	"SIGNAL_SIGHUP": syscall.SIGHUP, "SIGNAL_SIGQUIT": syscall.SIGQUIT, "SIGNAL_SIGUSR1": syscall.SIGUSR1,
	"SIGNAL_SIGUSR2": syscall.SIGUSR2, "SIGNAL_SIGSTOP": syscall.SIGSTOP, "SIGNAL_SIGCONT": syscall.SIGCONT,
	"SIGNAL_SIGTSTP": syscall.SIGTSTP, "SIGNAL_SIGWINCH": syscall.SIGWINCH,
}

func parseSignal(raw json.RawMessage) (syscall.Signal, error) {
	text := strings.Trim(string(raw), `"`)
	if signal, known := signals[text]; known {
		return signal, nil
	}
	if number, err := strconv.Atoi(text); err == nil && number > 0 && number < 65 {
		return syscall.Signal(number), nil
	}
	return 0, connect.Errorf("invalid_argument", "invalid signal: %s", text)
}

func startEvent(pid int) []byte {
	return connect.Envelope([]byte(`{"event":{"start":{"pid":` + strconv.Itoa(pid) + `}}}`))
}

// dataEvent is the hot path: no reflection, one allocation.
func dataEvent(stream string, data []byte) []byte {
	head := `{"event":{"data":{"` + stream + `":"`
	const tail = `"}}}`
	message := make([]byte, 5+len(head)+base64.StdEncoding.EncodedLen(len(data))+len(tail))
	n := len(message) - 5
	message[1], message[2], message[3], message[4] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	at := 5 + copy(message[5:], head)
	base64.StdEncoding.Encode(message[at:], data)
	copy(message[len(message)-len(tail):], tail)
	return message
}

var keepAliveEvent = connect.Envelope([]byte(`{"event":{"keepalive":{}}}`))

func endEvent(state end) []byte {
	var message bytes.Buffer
	_ = json.NewEncoder(&message).Encode(map[string]any{"event": map[string]any{"end": state}})
	return connect.Envelope(bytes.TrimRight(message.Bytes(), "\n"))
}

type end struct {
	ExitCode int    `json:"exitCode,omitempty"`
	Exited   bool   `json:"exited,omitempty"`
	Status   string `json:"status"`
	Error    string `json:"error,omitempty"`
}
