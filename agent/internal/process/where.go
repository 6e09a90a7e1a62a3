package process

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"

	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/inroot"
)

// where a session starts: as whom, and in which tree.
type where struct {
	user account.User
	root string // "" is the machine's own
	// alone: with a network of its own that leads nowhere.
	alone bool
}

func (s *Service) where(r *http.Request) (where, error) {
	name := r.Header.Get(RootHeader)
	if name == "" {
		user, err := s.User(r)
		return where{user: user}, err
	}
	if s.Roots == nil {
		return where{}, connect.Errorf("unimplemented", "this machine is no builder")
	}
	root, err := s.Roots(name)
	if err != nil {
		return where{}, err
	}
	spec, group, _ := r.BasicAuth()
	if group = strings.TrimSuffix(group, ":"); group != "" {
		spec += ":" + group
	}
	if spec == "" {
		spec = "root"
	}
	user, err := account.LookupIn(root, spec)
	if err != nil {
		return where{}, connect.Errorf("unauthenticated", "%v", err)
	}
	return where{user, root, r.Header.Get(NetworkHeader) == "none"}, nil
}

// environment is what a session has before anybody says more. In a step of a build it is what container engines give.
func (w where) environment() map[string]string {
	if w.root != "" {
		return map[string]string{"PATH": defaultPath, "HOME": w.user.Home}
	}
	shell := w.user.Shell
	if shell == "" {
		shell = "/bin/sh"
	}
	return map[string]string{"PATH": defaultPath, "HOME": w.user.Home, "USER": w.user.Name, "LOGNAME": w.user.Name, "SHELL": shell, "LANG": "C.UTF-8"}
}

// lookPath finds a command in the child's PATH, not in the agent's.
func (w where) lookPath(command, cwd string, environment []string) (string, error) {
	if command == "" {
		return "", errors.New("it is empty")
	}
	if strings.Contains(command, "/") {
		if !filepath.IsAbs(command) {
			command = filepath.Join(cwd, command)
		}
		return command, w.executable(command)
	}
	path := ""
	for _, variable := range environment {
		if value, found := strings.CutPrefix(variable, "PATH="); found {
			path = value
		}
	}
	for _, folder := range filepath.SplitList(path) {
		if !filepath.IsAbs(folder) {
			folder = filepath.Join(cwd, folder)
		}
		if candidate := filepath.Join(folder, command); w.executable(candidate) == nil {
			return candidate, nil
		}
	}
	return "", errors.New("command not found")
}

func (w where) executable(path string) error {
	found, err := inroot.Stat(w.root, path)
	switch {
	case err != nil:
		return errors.New("no such file")
	case found.IsDir():
		return errors.New("it is a folder")
	case found.Mode()&0o111 == 0:
		return errors.New("permission denied")
	}
	return nil
}
