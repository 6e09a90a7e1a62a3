package build

import (
	"archive/tar"
	"io"
	"net/http"
	"os"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/trust"
)

// layer sends what the last kept step of a stage changed, as the tar of one OCI layer.
func (s *Service) layer(w http.ResponseWriter, r *http.Request) {
	upper, root, err := s.uppermost(r.URL.Query().Get("stage"))
	if err != nil {
		connect.WriteError(w, err)
		return
	}
	folder, err := os.Open(upper)
	if err != nil {
		connect.WriteError(w, err)
		return
	}
	defer folder.Close()
	w.Header().Set("Content-Type", "application/x-tar")
	w.WriteHeader(http.StatusOK)
	p := newPacker(r.Context(), w)
	p.layer = true
	p.replaced = withoutTrust
	if root != nil {
		err = p.to.WriteHeader(root)
	}
	if err == nil {
		err = p.contents(folder, "", 0)
	}
	if err == nil {
		err = p.to.Close()
	}
	if err != nil {
		// The head is gone: only a reset tells the host that the layer is not whole.
		panic(http.ErrAbortHandler)
	}
}

// uppermost answers the folder of the last kept step, and an entry of the root if that has changed.
func (s *Service) uppermost(name string) (string, *tar.Header, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	on, err := s.named(name)
	if err != nil {
		return "", nil, err
	}
	if len(on.uppers) == 0 {
		return "", nil, connect.Errorf("failed_precondition", "no step of stage %q has changed anything", name)
	}
	upper := on.uppers[len(on.uppers)-1]
	changed, err := on.rootChanged(upper)
	if err != nil || !changed {
		return upper, nil, err
	}
	var found unix.Stat_t
	if err := unix.Stat(upper, &found); err != nil {
		return "", nil, err
	}
	header := headerOf("./", &found)
	header.Typeflag = tar.TypeDir
	return upper, header, nil
}

// withoutTrust cuts our certificates out of a system's bundle.
func withoutTrust(name string, content io.Reader) ([]byte, error) {
	if !isBundle(name) {
		return nil, nil
	}
	whole, err := io.ReadAll(io.LimitReader(content, bundleMaxBytes+1))
	if err != nil || len(whole) > bundleMaxBytes {
		return nil, err
	}
	return trust.WithoutMarked(whole), nil
}
