package forward

import (
	"net/http"
	"os"
	"sort"

	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/sockets"
)

const portsMax = 1024

// Register adds `GET /warren/ports`.
func Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /warren/ports", func(w http.ResponseWriter, _ *http.Request) {
		listening, err := ports()
		if err != nil {
			connect.WriteError(w, err)
			return
		}
		connect.WriteJSON(w, http.StatusOK, map[string]any{"ports": listening})
	})
}

type port struct {
	Port    uint16 `json:"port"`
	Address string `json:"address"`
	PID     int    `json:"pid"` // 0: unknown
	Comm    string `json:"comm"`
}

// ports are the listening TCP sockets, without the agent's own.
func ports() ([]port, error) {
	rows, owner := []sockets.Row{}, map[uint64]int{}
	err := sockets.Each(func(row sockets.Row) bool {
		if row.State == sockets.StateListen {
			rows = append(rows, row)
			owner[row.Inode] = 0
		}
		return len(rows) < portsMax
	})
	if err != nil {
		return nil, err
	}
	sockets.Owners(owner)
	found := make([]port, 0, len(rows))
	for _, row := range rows {
		pid := owner[row.Inode]
		if pid == os.Getpid() {
			continue
		}
		p := port{Port: row.Local.Port(), Address: row.Local.Addr().String(), PID: pid}
		if pid != 0 {
			p.Comm = sockets.Comm(pid)
		}
		found = append(found, p)
	}
	sort.Slice(found, func(i, j int) bool {
		if found[i].Port != found[j].Port {
			return found[i].Port < found[j].Port
		}
		return found[i].Address < found[j].Address
	})
	return found, nil
}
