// Package git moves repositories between the host and the user's folders: clone takes what the host packed,
// update what is new since, status says what changed, commit and pack bring work on its way home. All git runs as the user; the work
// done as root is only what the user could not do (a folder at the root of the disk).
package git

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"strings"

	"warren.dev/agent/internal/account"
)

// Environment is what this package needs from the agent.
type Environment struct {
	LookupUser func(name string) (account.User, error)
	Logf       func(string, ...any)
}

type service struct {
	env Environment
}

const requestMaxBytes = 1 << 20

// Register adds the five calls under /warren/git/.
func Register(mux *http.ServeMux, env Environment) {
	if env.Logf == nil {
		env.Logf = func(string, ...any) {}
	}
	s := &service{env}
	mux.HandleFunc("POST /warren/git/clone", s.taking(s.cloneFrom))
	mux.HandleFunc("POST /warren/git/update", s.taking(s.updateFrom))
	mux.HandleFunc("POST /warren/git/status", answer(s, s.status))
	mux.HandleFunc("POST /warren/git/commit", answer(s, s.commit))
	mux.HandleFunc("POST /warren/git/pack", s.pack)
}

// answer makes a handler of a function from a JSON request to a JSON response.
func answer[Request, Response any](s *service, serve func(context.Context, Request) (Response, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request Request
		if err := readJSON(r, &request); err != nil {
			writeFailure(w, err)
			return
		}
		response, err := serve(r.Context(), request)
		if err != nil {
			s.env.Logf("%s: %v", r.URL.Path, err)
			writeFailure(w, err)
			return
		}
		writeJSON(w, http.StatusOK, response)
	}
}

func readJSON(r *http.Request, into any) error {
	data, err := io.ReadAll(io.LimitReader(r.Body, requestMaxBytes+1))
	if err != nil {
		return fail("canceled", "cannot read the request: %v", err)
	}
	if len(data) > requestMaxBytes {
		return invalid("the request is larger than %d bytes", requestMaxBytes)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return invalid("the request is not valid JSON: %v", err)
	}
	return nil
}

func (s *service) lookup(name string) (account.User, error) {
	user, err := s.env.LookupUser(name)
	if err != nil {
		return user, fail("not_found", "there is no user %q: %v", name, err)
	}
	return user, nil
}

// place is a user and a folder of theirs, as most requests name it.
type place struct {
	Path string `json:"path"`
	User string `json:"user"`
}

func (s *service) find(p place) (account.User, error) {
	if !path.IsAbs(p.Path) || strings.ContainsRune(p.Path, 0) {
		return account.User{}, invalid("%q is not an absolute path", p.Path)
	}
	return s.lookup(p.User)
}
