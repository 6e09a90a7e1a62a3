package build

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/forward"
)

const socketsMax = 16 // of a step

// socket is where programs of a step find the host: whoever connects is handed to a request of the host's that waits.
type socket struct {
	Target string `json:"target"`
	Mode   uint32 `json:"mode"`
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
}

// sockets are those of an open step.
type sockets struct {
	listeners []net.Listener
	arrived   chan arrival
	closed    chan struct{}
	once      sync.Once
}

type arrival struct {
	number int // of the socket, in the order in which the host named them
	conn   *net.UnixConn
}

// putSockets mounts each socket from a file system in memory.
func putSockets(made *step, wanted []socket) error {
	if len(wanted) == 0 {
		return nil
	}
	if len(wanted) > socketsMax {
		return connect.Errorf("invalid_argument", "a step may have %d sockets", socketsMax)
	}
	folder := made.folder + "/sockets"
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	if err := unix.Mount("sockets", folder, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return err
	}
	made.sockets = newSockets()
	for number, each := range wanted {
		path := fmt.Sprintf("%s/%d", folder, number)
		if err := made.sockets.listen(path, number); err != nil {
			return err
		}
		if err := made.placeAt(each.Target, path, each.Mode, each.UID, each.GID); err != nil {
			return err
		}
	}
	return nil
}

func newSockets() *sockets {
	return &sockets{arrived: make(chan arrival), closed: make(chan struct{})}
}

func (all *sockets) listen(path string, number int) error {
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return err
	}
	all.listeners = append(all.listeners, listener)
	go all.accept(listener, number)
	return nil
}

// accept takes one connection and no more until the host wants it: others wait in the kernel's queue.
func (all *sockets) accept(listener *net.UnixListener, number int) {
	for {
		conn, err := listener.AcceptUnix()
		if err != nil {
			return
		}
		select {
		case all.arrived <- arrival{number, conn}:
		case <-all.closed:
			conn.Close()
			return
		}
	}
}

func (all *sockets) close() {
	if all == nil {
		return
	}
	all.once.Do(func() {
		close(all.closed)
		for _, listener := range all.listeners {
			listener.Close()
		}
	})
}

// socket hands one connection to the host, whenever it comes.
func (s *Service) socket(w http.ResponseWriter, r *http.Request) {
	on, err := s.opened(r.URL.Query().Get("stage"))
	if err != nil {
		connect.WriteError(w, err)
		return
	}
	if on.sockets == nil {
		connect.WriteError(w, connect.Errorf("failed_precondition", "the step has no sockets"))
		return
	}
	on.sockets.serve(w, r)
}

func (all *sockets) serve(w http.ResponseWriter, r *http.Request) {
	select {
	case each := <-all.arrived:
		w.Header().Set("Warren-Socket", strconv.Itoa(each.number))
		forward.Pipe(w, r, each.conn)
	case <-all.closed:
		connect.WriteError(w, connect.Errorf("failed_precondition", "the step has ended"))
	case <-r.Context().Done():
	}
}
