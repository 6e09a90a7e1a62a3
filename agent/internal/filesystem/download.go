package filesystem

import (
	"compress/gzip"
	"io"
	"mime"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// download is GET /files.
func (s *Service) download(w http.ResponseWriter, r *http.Request) {
	file, err := s.openDownload(r)
	if err != nil {
		refuse(w, err)
		return
	}
	defer file.Close()
	w.Header().Set("Vary", "Accept-Encoding")
	chosen := chooseEncoding(r.Header)
	if chosen == notAcceptable {
		Refuse(w, http.StatusNotAcceptable, "no acceptable encoding: this file can be had as gzip or identity")
		return
	}
	info, err := file.Stat()
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", mime.FormatMediaType("inline", map[string]string{"filename": filepath.Base(file.Name())}))
	if chosen == identity {
		http.ServeContent(w, r, "", info.ModTime(), file)
		return
	}
	w.Header().Set("Content-Encoding", "gzip")
	if r.Method == http.MethodHead {
		return
	}
	// The fastest level: the bytes stay on this computer.
	zipped, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if _, err := io.Copy(zipped, file); err != nil {
		panic(http.ErrAbortHandler) // the head is gone: only a reset tells that the file is not whole
	}
	_ = zipped.Close()
}

func (s *Service) openDownload(r *http.Request) (*os.File, error) {
	path, _, err := s.fileTarget(r, r.URL.Query().Get("path"))
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // not blocking: it may be a pipe
	if err != nil {
		return nil, failedAt("read", path, err)
	}
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = failed(http.StatusBadRequest, "path '%s' is a directory", path)
	case !info.Mode().IsRegular():
		err = failed(http.StatusBadRequest, "path '%s' is not a regular file", path)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
