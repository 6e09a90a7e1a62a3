package filesystem

import (
	"compress/gzip"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/place"
)

const (
	uploadedMax     = 10_000
	fileMode        = 0o666 // less the umask
	copyBufferBytes = 256 << 10
)

type uploaded struct {
	Name     string            `json:"name"`
	Type     string            `json:"type"`
	Path     string            `json:"path"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// upload is POST /files.
func (s *Service) upload(w http.ResponseWriter, r *http.Request) {
	done, err := s.receive(r)
	if err != nil {
		refuse(w, err)
		return
	}
	connect.WriteJSON(w, http.StatusOK, done)
}

func (s *Service) receive(r *http.Request) ([]uploaded, error) {
	metadata, err := parseMetadata(r.Header)
	if err != nil {
		return nil, err
	}
	body, err := decoded(r)
	if err != nil {
		return nil, err
	}
	kind, parameters, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/octet-stream":
		path := r.URL.Query().Get("path")
		if path == "" {
			return nil, failed(http.StatusBadRequest, "an octet-stream needs the query parameter 'path'")
		}
		one, err := s.store(r, path, body, metadata)
		return []uploaded{one}, err
	case "multipart/form-data":
		return s.receiveParts(r, multipart.NewReader(body, parameters["boundary"]), metadata)
	}
	return nil, failed(http.StatusBadRequest, "cannot upload %q: multipart/form-data and application/octet-stream are taken", kind)
}

func decoded(r *http.Request) (io.Reader, error) {
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
		return r.Body, nil
	case "gzip":
		body, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, failed(http.StatusBadRequest, "the body is no gzip: %v", err)
		}
		return body, nil
	default:
		return nil, failed(http.StatusBadRequest, "unsupported Content-Encoding: %s", encoding)
	}
}

func (s *Service) receiveParts(r *http.Request, parts *multipart.Reader, metadata map[string]string) ([]uploaded, error) {
	done := []uploaded{}
	taken := map[string]bool{}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return done, nil
		}
		if err != nil {
			return nil, failed(http.StatusBadRequest, "cannot read the form: %v", err)
		}
		if part.FormName() != "file" {
			continue
		}
		path := r.URL.Query().Get("path")
		if path == "" { // not part.FileName(), which is only the base name
			_, named, _ := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
			path = named["filename"]
		}
		if path == "" {
			return nil, failed(http.StatusBadRequest, "a part of the form has no file name")
		}
		if taken[path] {
			return nil, failed(http.StatusBadRequest, "you cannot upload multiple files to the same path '%s'", path)
		}
		if len(done) == uploadedMax {
			return nil, failed(http.StatusBadRequest, "more than %d files in one form", uploadedMax)
		}
		taken[path] = true
		one, err := s.store(r, path, part, metadata)
		if err != nil {
			return nil, err
		}
		done = append(done, one)
	}
}

// store writes in place, as envd does: links are followed, and whoever has the file open sees it change.
func (s *Service) store(r *http.Request, path string, content io.Reader, metadata map[string]string) (uploaded, error) {
	path, user, err := s.fileTarget(r, path)
	if err != nil {
		return uploaded{}, err
	}
	file, err := openUpload(path, user)
	if err != nil {
		return uploaded{}, failedAt("write", path, err)
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return uploaded{}, failed(http.StatusBadRequest, "path '%s' is not a regular file", path)
	}
	if err := place.Give(int(file.Fd()), user); err != nil {
		return uploaded{}, failedAt("write", path, err)
	}
	source := &reading{from: content}
	if _, err := io.CopyBuffer(struct{ io.Writer }{file}, source, make([]byte, copyBufferBytes)); err != nil {
		if source.failed {
			return uploaded{}, failed(http.StatusBadRequest, "cannot write '%s': the upload ended early: %v", path, err)
		}
		return uploaded{}, failedAt("write", path, err)
	}
	if err := replaceMetadata(file, metadata); err != nil {
		return uploaded{}, failedAt("keep the metadata of", path, err)
	}
	if err := file.Close(); err != nil {
		return uploaded{}, failedAt("write", path, err)
	}
	return uploaded{filepath.Base(path), "file", path, metadata}, nil
}

// openUpload asks to make the file only when there is none: the kernel may refuse that for another's file in /tmp
// (fs.protected_regular). It does not wait for the reader of a pipe.
func openUpload(path string, user account.User) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_TRUNC | unix.O_NONBLOCK
	file, err := os.OpenFile(path, flags, 0)
	if !errors.Is(err, os.ErrNotExist) {
		return file, err
	}
	if err := place.MakeFolder(filepath.Dir(path), user); err != nil {
		return nil, err
	}
	return os.OpenFile(path, flags|os.O_CREATE, fileMode)
}

// reading remembers whose fault a failed copy is.
type reading struct {
	from   io.Reader
	failed bool
}

func (r *reading) Read(buffer []byte) (int, error) {
	n, err := r.from.Read(buffer)
	r.failed = err != nil && err != io.EOF
	return n, err
}

// fileTarget answers the absolute path and the user of a request to /files: `username`, else as for the calls.
func (s *Service) fileTarget(r *http.Request, path string) (string, account.User, error) {
	user, err := account.User{}, error(nil)
	if name := r.URL.Query().Get("username"); name != "" {
		user, err = s.Lookup(name)
	} else {
		user, err = s.User(r)
	}
	if err != nil {
		return "", user, failed(http.StatusUnauthorized, "%s", err.Error())
	}
	path, err = s.target(path, user)
	if err != nil {
		return "", user, failed(http.StatusBadRequest, "%v", err)
	}
	return path, user, nil
}
