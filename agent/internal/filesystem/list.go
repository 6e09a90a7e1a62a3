package filesystem

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/place"
)

// An answer is one JSON message: about 300 bytes for each entry.
const listedMax = 200_000

type listRequest struct {
	Path  string `json:"path"`
	Depth uint32 `json:"depth"`
}

type listResponse struct {
	Entries []entry `json:"entries"`
}

func (s *Service) listDir(r *http.Request, request *listRequest) (listResponse, error) {
	path, _, err := s.asked(r, request.Path)
	if err != nil {
		return listResponse{}, err
	}
	real, err := realFolder(path)
	if err != nil {
		return listResponse{}, err
	}
	response := listResponse{Entries: []entry{}}
	owners := newNames()
	err = filepath.WalkDir(real, func(at string, found fs.DirEntry, err error) error {
		if r.Context().Err() != nil {
			return r.Context().Err()
		}
		if at == real {
			return err
		}
		if err != nil { // gone meanwhile, or not to be read: it is listed, its content is not
			return nil
		}
		info, err := found.Info()
		if err != nil {
			return nil
		}
		if len(response.Entries) == listedMax {
			return connect.Errorf("resource_exhausted", "cannot list '%s': it holds more than %d entries", path, listedMax)
		}
		inside := strings.TrimPrefix(strings.TrimPrefix(at, real), "/")
		listed := newEntry(at, info, owners)
		listed.Path = filepath.Join(path, inside)
		response.Entries = append(response.Entries, listed)
		if found.IsDir() && uint32(strings.Count(inside, "/"))+1 >= max(request.Depth, 1) {
			return fs.SkipDir
		}
		return nil
	})
	if err != nil {
		return listResponse{}, place.Error("list", path, err)
	}
	return response, nil
}

// realFolder answers where a folder is once all symlinks are followed.
func realFolder(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		if strings.Contains(err.Error(), "too many links") { // the only word that Go has for it
			return "", connect.Errorf("failed_precondition", "cyclic symlink at '%s'", path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return "", connect.Errorf("not_found", "path not found: %s", path)
		}
		return "", place.Error("open", path, err)
	}
	found, err := os.Stat(real)
	if err != nil {
		return "", place.Error("open", path, err)
	}
	if !found.IsDir() {
		return "", connect.Errorf("invalid_argument", "path is not a directory: %s", path)
	}
	return real, nil
}
