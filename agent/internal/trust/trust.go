// Package trust makes programs trust the host's certificate authority: files that they look at, and variables for
// those with a list of their own.
package trust

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"warren.dev/agent/internal/connect"
)

const (
	pemMaxBytes = 64 << 10

	ownPath    = "/run/warren/ca.pem"
	bundlePath = "/run/warren/ca-bundle.pem"
	localPath  = "/usr/local/share/ca-certificates/warren.crt" // what update-ca-certificates adds
	hookedPath = "/etc/ssl/certs/warren.pem"                   // what it would have made of it: a Java that is installed later reads these
	systemPath = "/etc/ssl/certs/ca-certificates.crt"
	beginMark  = "# Warren: this sandbox's certificate authority\n"
	endMark    = "# Warren: end\n"
	fileMode   = 0o644
	folderMode = 0o755
	newSuffix  = ".warren-new"
)

// variables name a file for programs that do not look at the system's.
var variables = map[string]string{
	"SSL_CERT_FILE":       bundlePath,
	"REQUESTS_CA_BUNDLE":  bundlePath,
	"CURL_CA_BUNDLE":      bundlePath,
	"GIT_SSL_CAINFO":      bundlePath,
	"PIP_CERT":            bundlePath,
	"CARGO_HTTP_CAINFO":   bundlePath,
	"AWS_CA_BUNDLE":       bundlePath,
	"NODE_EXTRA_CA_CERTS": ownPath, // these two add to what they know
	"DENO_CERT":           ownPath,
}

// Service answers `POST /warren/trust`.
type Service struct {
	root string
	lock sync.Mutex
	pem  []byte // what is in place
}

// New makes the service for the tree at root.
func New(root string) *Service { return &Service{root: root} }

// Register adds the call.
func (s *Service) Register(mux *http.ServeMux) {
	mux.HandleFunc("POST /warren/trust", connect.Unary(s.trust))
}

// Envs are the variables of each session, once there is something to trust.
func (s *Service) Envs() map[string]string {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.pem == nil {
		return nil
	}
	return variables
}

// Certificates are what is trusted, as they are and with the marks around them; nil while there is nothing.
func (s *Service) Certificates() (plain, marked []byte) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.pem == nil {
		return nil, nil
	}
	return s.pem, mark(s.pem)
}

func mark(certificates []byte) []byte {
	return append(append([]byte(beginMark), certificates...), endMark...)
}

type trustRequest struct {
	PEM string `json:"pem"`
}

type trustResponse struct {
	Certificates int `json:"certificates"`
}

func (s *Service) trust(_ *http.Request, request *trustRequest) (trustResponse, error) {
	certificates, count, err := parseCertificates([]byte(request.PEM))
	if err != nil {
		return trustResponse{}, err
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if err := s.write(certificates); err != nil {
		return trustResponse{}, connect.Errorf("internal", "cannot write the certificates: %v", err)
	}
	s.pem = certificates
	writeJava(s.root, certificates)
	return trustResponse{count}, nil
}

// parseCertificates takes certificates and nothing else, and returns them anew.
func parseCertificates(text []byte) (certificates []byte, count int, err error) {
	if len(text) > pemMaxBytes {
		return nil, 0, connect.Errorf("invalid_argument", "pem may have %d bytes", pemMaxBytes)
	}
	var made bytes.Buffer
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if _, err := x509.ParseCertificate(block.Bytes); block.Type != "CERTIFICATE" || err != nil {
			return nil, 0, connect.Errorf("invalid_argument", "pem holds something that is no certificate")
		}
		count++
		_ = pem.Encode(&made, &pem.Block{Type: block.Type, Bytes: block.Bytes})
	}
	if count == 0 || len(bytes.TrimSpace(text)) != 0 {
		return nil, 0, connect.Errorf("invalid_argument", "pem must hold certificates and nothing else")
	}
	return made.Bytes(), count, nil
}

func (s *Service) write(certificates []byte) error {
	marked := mark(certificates)
	if err := s.replace(ownPath, certificates); err != nil {
		return err
	}
	if err := s.replace(localPath, marked); err != nil {
		return err
	}
	if err := s.writeSystem(marked); err != nil {
		return err
	}
	if err := s.link(hookedPath, localPath); err != nil {
		return err
	}
	// One copy serves both: what a user adds to the system's is trusted by way of the variables too.
	return s.link(bundlePath, systemPath)
}

// writeSystem puts ours at the end of the system's bundle, in place of an earlier one of ours.
func (s *Service) writeSystem(marked []byte) error {
	before, err := os.ReadFile(s.root + systemPath)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if bytes.HasSuffix(before, marked) && bytes.Count(before, []byte(beginMark)) == 1 {
		return nil
	}
	after := make([]byte, 0, len(before)+len(marked)+1)
	after = append(after, WithoutMarked(before)...)
	if len(after) > 0 && after[len(after)-1] != '\n' {
		after = append(after, '\n')
	}
	return s.rewrite(systemPath, append(after, marked...))
}

// WithoutMarked cuts ours out, wherever it was put; a begin without an end is left alone.
func WithoutMarked(text []byte) []byte {
	for {
		from := bytes.Index(text, []byte(beginMark))
		if from < 0 {
			return text
		}
		length := bytes.Index(text[from:], []byte(endMark))
		if length < 0 {
			return text
		}
		text = append(append([]byte(nil), text[:from]...), text[from+length+len(endMark):]...)
	}
}

// replace writes a file unless it is the same already.
func (s *Service) replace(path string, content []byte) error {
	if present, err := os.ReadFile(s.root + path); err == nil && bytes.Equal(present, content) {
		return nil
	}
	return s.rewrite(path, content)
}

// rewrite writes a file as a whole: who opens it meanwhile sees the old or the new one.
func (s *Service) rewrite(path string, content []byte) error {
	path = s.root + path
	if err := os.MkdirAll(filepath.Dir(path), folderMode); err != nil {
		return err
	}
	// A symlink (as on some systems) stays; what it names is replaced.
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if err := os.WriteFile(path+newSuffix, content, fileMode); err != nil {
		return err
	}
	return os.Rename(path+newSuffix, path)
}

func (s *Service) link(path, to string) error {
	path = s.root + path
	if present, err := os.Readlink(path); err == nil && present == to {
		return nil
	}
	_ = os.Remove(path + newSuffix)
	if err := os.Symlink(to, path+newSuffix); err != nil {
		return err
	}
	return os.Rename(path+newSuffix, path)
}
