// Package filesystem is envd's filesystem.Filesystem service and its /files. All is done as root, for the host's
// user; what is made belongs to the user of the request.
package filesystem

import (
	"net/http"
	"os"
	"path/filepath"

	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/place"
	"warren.dev/agent/internal/process"
)

// Defaults are what /init may have changed.
type Defaults interface {
	// Workdir is meant by a request without a path; "" is the user's home.
	Workdir() string
}

// Service answers the calls.
type Service struct {
	Defaults Defaults
	// User finds the user of a request (Basic auth, else the default one).
	User func(r *http.Request) (account.User, error)
	// Lookup finds a user by the name that /files was given.
	Lookup func(name string) (account.User, error)

	watchers watchers
}

// Register adds the calls of filesystem.Filesystem, and /files.
func (s *Service) Register(mux *http.ServeMux) {
	mux.HandleFunc("POST /filesystem.Filesystem/Stat", connect.Unary(s.stat))
	mux.HandleFunc("POST /filesystem.Filesystem/MakeDir", connect.Unary(s.makeDir))
	mux.HandleFunc("POST /filesystem.Filesystem/Move", connect.Unary(s.move))
	mux.HandleFunc("POST /filesystem.Filesystem/ListDir", connect.Unary(s.listDir))
	mux.HandleFunc("POST /filesystem.Filesystem/Remove", connect.Unary(s.remove))
	s.watchers.polled = map[string]*polled{}
	mux.HandleFunc("POST /filesystem.Filesystem/WatchDir", s.watchDir)
	mux.HandleFunc("POST /filesystem.Filesystem/CreateWatcher", connect.Unary(s.createWatcher))
	mux.HandleFunc("POST /filesystem.Filesystem/GetWatcherEvents", connect.Unary(s.getWatcherEvents))
	mux.HandleFunc("POST /filesystem.Filesystem/RemoveWatcher", connect.Unary(s.removeWatcher))
	mux.HandleFunc("GET /files", s.download)
	mux.HandleFunc("POST /files", s.upload)
}

type pathRequest struct {
	Path string `json:"path"`
}

type moveRequest struct {
	Source      string `json:"source"`
	Destination string `json:"destination"`
}

type entryResponse struct {
	Entry *entry `json:"entry"`
}

type empty struct{}

// target makes the path of a request absolute, as its user means it.
func (s *Service) target(path string, user account.User) (string, error) {
	if place.HasNul(path) {
		return "", connect.Errorf("invalid_argument", "%q is no path", path)
	}
	if path == "" {
		path = s.Defaults.Workdir()
	}
	return process.ExpandPath(path, user), nil
}

// asked answers the absolute path and the user of a request.
func (s *Service) asked(r *http.Request, path string) (string, account.User, error) {
	user, err := s.User(r)
	if err != nil {
		return "", user, err
	}
	path, err = s.target(path, user)
	return path, user, err
}

func (s *Service) stat(r *http.Request, request *pathRequest) (entryResponse, error) {
	path, _, err := s.asked(r, request.Path)
	if err != nil {
		return entryResponse{}, err
	}
	return entryAt("stat", path)
}

func (s *Service) makeDir(r *http.Request, request *pathRequest) (entryResponse, error) {
	path, user, err := s.asked(r, request.Path)
	if err != nil {
		return entryResponse{}, err
	}
	found, err := os.Stat(path)
	switch {
	case err == nil && found.IsDir():
		return entryResponse{}, connect.Errorf("already_exists", "directory already exists: %s", path)
	case err == nil:
		return entryResponse{}, connect.Errorf("invalid_argument", "path already exists but it is not a directory: %s", path)
	}
	if err := place.MakeFolder(path, user); err != nil {
		return entryResponse{}, place.Error("make", path, err)
	}
	return entryAt("stat", path)
}

func (s *Service) move(r *http.Request, request *moveRequest) (entryResponse, error) {
	source, user, err := s.asked(r, request.Source)
	if err != nil {
		return entryResponse{}, err
	}
	destination, err := s.target(request.Destination, user)
	if err != nil {
		return entryResponse{}, err
	}
	if _, err := os.Lstat(source); err != nil { // before a folder is made for nothing
		return entryResponse{}, place.Error("move", source, err)
	}
	if err := place.MakeFolder(filepath.Dir(destination), user); err != nil {
		return entryResponse{}, place.Error("make", filepath.Dir(destination), err)
	}
	if err := os.Rename(source, destination); err != nil {
		return entryResponse{}, place.Error("move", source, err)
	}
	return entryAt("stat", destination)
}

// remove takes away all that is at a path; nothing there is fine.
func (s *Service) remove(r *http.Request, request *pathRequest) (empty, error) {
	path, _, err := s.asked(r, request.Path)
	if err != nil {
		return empty{}, err
	}
	if !mayRemove(request.Path, path) {
		return empty{}, connect.Errorf("invalid_argument", "cannot remove %q: name a file or folder", request.Path)
	}
	return empty{}, place.Error("remove", path, os.RemoveAll(path))
}

// mayRemove: unlike envd's, an empty path is refused; it would mean the whole home.
func mayRemove(asked, path string) bool { return asked != "" && path != "/" }
