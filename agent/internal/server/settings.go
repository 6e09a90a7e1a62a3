package server

import (
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"
	"time"

	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/filesystem"
)

// settings are what envd's /init changes: token, variables, default user and folder.
type settings struct {
	lookup func(string) (account.User, error)

	lock        sync.RWMutex
	token       string
	envs        map[string]string
	defaultUser string
	workdir     string
}

const fallbackUser = "user"

func newSettings(lookup func(string) (account.User, error)) *settings {
	return &settings{lookup: lookup, envs: map[string]string{}}
}

func (s *settings) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("GET /envs", func(w http.ResponseWriter, _ *http.Request) { connect.WriteJSON(w, http.StatusOK, s.Envs()) })
	mux.HandleFunc("POST /init", s.init)
}

type initRequest struct {
	AccessToken    *string           `json:"accessToken"`
	EnvVars        map[string]string `json:"envVars"`
	DefaultUser    *string           `json:"defaultUser"`
	DefaultWorkdir *string           `json:"defaultWorkdir"`
}

func (s *settings) init(w http.ResponseWriter, r *http.Request) {
	var request initRequest
	if err := connect.ReadJSON(r, &request); err != nil {
		connect.WriteError(w, err)
		return
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if request.AccessToken != nil {
		s.token = *request.AccessToken
	}
	if request.EnvVars != nil {
		s.envs = request.EnvVars
	}
	if request.DefaultUser != nil {
		s.defaultUser = *request.DefaultUser
	}
	if request.DefaultWorkdir != nil {
		s.workdir = *request.DefaultWorkdir
	}
	w.WriteHeader(http.StatusNoContent)
}

// Workdir is where sessions start that do not say.
func (s *settings) Workdir() string {
	s.lock.RLock()
	defer s.lock.RUnlock()
	return s.workdir
}

// Envs are the variables that every session gets.
func (s *settings) Envs() map[string]string {
	s.lock.RLock()
	defer s.lock.RUnlock()
	copied := make(map[string]string, len(s.envs))
	for key, value := range s.envs {
		copied[key] = value
	}
	return copied
}

// user is the one that Basic auth names, else the default, else `user`, else root.
func (s *settings) user(r *http.Request) (account.User, error) {
	// The header splits at the first colon, and envd's clients end the name with one: USER:GROUP comes as two.
	name, group, named := r.BasicAuth()
	if group = strings.TrimSuffix(group, ":"); group != "" {
		name += ":" + group
	}
	if !named || name == "" {
		s.lock.RLock()
		name = s.defaultUser
		s.lock.RUnlock()
		if name == "" {
			if found, err := s.lookup(fallbackUser); err == nil {
				return found, nil
			}
			name = "root"
		}
	}
	found, err := s.lookup(name)
	if err != nil {
		return account.User{}, connect.Errorf("unauthenticated", "invalid username: '%s'", name)
	}
	return found, nil
}

// authenticated asks for the token once /init has set one; for /files, a signature made with it will do.
func (s *settings) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.lock.RLock()
		token := s.token
		s.lock.RUnlock()
		own := strings.HasPrefix(r.URL.Path, "/warren/") || r.URL.Path == "/health" || r.URL.Path == "/init"
		if token == "" || own || subtle.ConstantTimeCompare([]byte(r.Header.Get("X-Access-Token")), []byte(token)) == 1 {
			next.ServeHTTP(w, r)
			return
		}
		if r.URL.Path == "/files" {
			if why := unsigned(r, token, time.Now()); why != "" {
				filesystem.Refuse(w, http.StatusUnauthorized, why)
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		connect.WriteError(w, connect.Errorf("unauthenticated", "the access token is wrong or missing"))
	})
}
