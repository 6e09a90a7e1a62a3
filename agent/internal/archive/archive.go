// Package archive carries folders between host and guest as tar. Unpacking is done as root in folders where others
// write at the same time: every entry is resolved beneath the destination by the kernel, without symlinks.
package archive

import (
	"net/http"

	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/place"
	"warren.dev/agent/internal/process"
)

const copyBufferBytes = 256 << 10

type service struct {
	lookup func(name string) (account.User, error)
}

// Register adds the two calls of /warren/archive.
func Register(mux *http.ServeMux, lookup func(name string) (account.User, error)) {
	s := &service{lookup}
	mux.HandleFunc("GET /warren/archive", s.send)
	mux.HandleFunc("PUT /warren/archive", s.receive)
}

func (s *service) send(w http.ResponseWriter, r *http.Request) {
	path, _, err := s.target(r)
	if err != nil {
		connect.WriteError(w, err)
		return
	}
	source, err := openSource(path)
	if err != nil {
		connect.WriteError(w, place.Error("read", path, err))
		return
	}
	defer source.close()
	w.Header().Set("Content-Type", "application/x-tar")
	w.WriteHeader(http.StatusOK)
	if err := source.pack(r.Context(), w); err != nil {
		// The head is gone: only a reset tells the host that the archive is not whole.
		panic(http.ErrAbortHandler)
	}
}

func (s *service) receive(w http.ResponseWriter, r *http.Request) {
	path, user, err := s.target(r)
	if err != nil {
		connect.WriteError(w, err)
		return
	}
	unpacked, err := unpack(r.Body, path, user)
	if err != nil {
		connect.WriteError(w, err)
		return
	}
	connect.WriteJSON(w, http.StatusOK, unpacked)
}

func (s *service) target(r *http.Request) (string, account.User, error) {
	query := r.URL.Query()
	path, name := query.Get("path"), query.Get("user")
	if path == "" || place.HasNul(path) {
		return "", account.User{}, connect.Errorf("invalid_argument", "%q is no path", path)
	}
	user, err := s.lookup(name)
	if err != nil {
		return "", user, connect.Errorf("not_found", "there is no user %q", name)
	}
	return process.ExpandPath(path, user), user, nil
}
