// Package build runs the steps of builds in a builder machine. A stage is a stack of trees: the layer that it starts
// from and what each step changed; a step sees it as an overlay of its own, and what it changed goes to the host as one
// layer. Which steps there are, and whether they are needed at all, the host decides.
package build

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"warren.dev/agent/internal/boot"
	"warren.dev/agent/internal/connect"
)

const (
	rootsFolder = "/roots"
	// Of overlayfs: lower folders, and the page that its mount options must fit into.
	lowersMax = 480
)

// isName: of a stage, a tree or a cache; it is part of paths.
func isName(text string) bool {
	return text != "" && len(text) <= 64 && text[0] != '.' && text[0] != '-' &&
		strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789.-") == ""
}

// Service keeps the stages of one build.
type Service struct {
	// Certificates are the host's authority's, with the marks around them; nil when there is none.
	Certificates func() (plain, marked []byte)

	lock   sync.Mutex
	made   int // folders so far
	stages map[string]*stage
}

// Register adds the calls under /warren/build/.
func (s *Service) Register(mux *http.ServeMux) {
	s.stages = map[string]*stage{}
	mux.HandleFunc("POST /warren/build/stage", connect.Unary(s.begin))
	mux.HandleFunc("POST /warren/build/open", connect.Unary(s.open))
	mux.HandleFunc("POST /warren/build/socket", s.socket)
	mux.HandleFunc("POST /warren/build/close", connect.Unary(s.close))
	mux.HandleFunc("GET /warren/build/layer", s.layer)
	mux.HandleFunc("POST /warren/build/folder", connect.Unary(s.folder))
	mux.HandleFunc("PUT /warren/build/copy", s.copy)
	mux.HandleFunc("POST /warren/build/copy-from", connect.Unary(s.copyFrom))
	mux.HandleFunc("PUT /warren/build/tree", s.tree)
}

// stage is a stack of trees and perhaps a step that is open on it.
type stage struct {
	name   string
	base   string   // "" is nothing
	uppers []string // lowest first
	step   *step
}

type beginRequest struct {
	Stage string `json:"stage"`
	// Layer is the number of a layer of the machine; null starts from nothing.
	Layer *int `json:"layer"`
	// From continues another stage as it is now, in place of a layer.
	From string `json:"from"`
}

type nothing struct{}

func (s *Service) begin(_ *http.Request, request *beginRequest) (nothing, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if !isName(request.Stage) || s.stages[request.Stage] != nil {
		return nothing{}, connect.Errorf("invalid_argument", "%q is not a new stage", request.Stage)
	}
	made := &stage{name: request.Stage}
	switch {
	case request.From != "":
		from, err := s.named(request.From)
		if err != nil {
			return nothing{}, err
		}
		made.base, made.uppers = from.base, append([]string(nil), from.uppers...)
	case request.Layer != nil:
		base, err := layerFolder(*request.Layer)
		if err != nil {
			return nothing{}, err
		}
		made.base = base
	}
	s.stages[made.name] = made
	return nothing{}, nil
}

// named finds a stage; the lock is held.
func (s *Service) named(name string) (*stage, error) {
	if found := s.stages[name]; found != nil {
		return found, nil
	}
	return nil, connect.Errorf("not_found", "there is no stage %q", name)
}

// opened finds the open step of a stage.
func (s *Service) opened(name string) (*step, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	found, err := s.named(name)
	if err != nil {
		return nil, err
	}
	if found.step == nil {
		return nil, connect.Errorf("failed_precondition", "no step of stage %q is open", name)
	}
	return found.step, nil
}

// Root is the tree of a stage's open step.
func (s *Service) Root(name string) (string, error) {
	found, err := s.opened(name)
	if err != nil {
		return "", err
	}
	return found.root, nil
}

// newFolder makes a folder on the disk with these in it; the lock is held.
func (s *Service) newFolder(names ...string) (string, error) {
	s.made++
	folder := fmt.Sprintf("%s/%d", boot.StepsFolder, s.made)
	for _, name := range append([]string{""}, names...) {
		if err := os.Mkdir(folder+"/"+name, 0o755); err != nil {
			return "", err
		}
	}
	return folder, nil
}

func layerFolder(number int) (string, error) {
	folder := fmt.Sprintf("%s/%d", boot.LayersFolder, number)
	if _, err := os.Stat(folder); err != nil {
		return "", connect.Errorf("not_found", "the machine has no layer %d", number)
	}
	return folder, nil
}
