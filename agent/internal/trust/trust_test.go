package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func certificate(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTrust(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Dir(root+systemPath), 0o755); err != nil {
		t.Fatal(err)
	}
	system := certificate(t)
	if err := os.WriteFile(root+systemPath, []byte(strings.TrimSuffix(system, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	s := New(root)
	if s.Envs() != nil {
		t.Fatal("variables without files")
	}
	first, second := certificate(t), certificate(t)
	for _, ours := range []string{first, second, second, first + second} {
		if _, err := s.trust(nil, &trustRequest{ours}); err != nil {
			t.Fatal(err)
		}
		if got := read(t, root+ownPath); got != ours {
			t.Fatalf("%q", got)
		}
		marked := beginMark + ours + endMark
		if got := read(t, root+localPath); got != marked {
			t.Fatalf("%q", got)
		}
		if got := read(t, root+systemPath); got != system+marked {
			t.Fatalf("%q", got)
		}
		if to, err := os.Readlink(root + bundlePath); err != nil || to != systemPath {
			t.Fatal(to, err)
		}
	}
	if len(s.Envs()) != 9 || s.Envs()["NODE_EXTRA_CA_CERTS"] != ownPath || s.Envs()["SSL_CERT_FILE"] != bundlePath {
		t.Fatal(s.Envs())
	}
	before, _ := os.Stat(root + systemPath)
	if _, err := s.trust(nil, &trustRequest{first + second}); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(root + systemPath); !os.SameFile(before, after) {
		t.Fatal("the same certificates were written again")
	}
	if to, err := os.Readlink(root + hookedPath); err != nil || to != localPath {
		t.Fatal(to, err)
	}
	leftOver, _ := filepath.Glob(root + "/etc/ssl/certs/*")
	if len(leftOver) != 2 {
		t.Fatal(leftOver)
	}
}

// What update-ca-certificates writes has ours in the middle.
func TestOursInTheMiddle(t *testing.T) {
	for text, want := range map[string]string{
		"a\n" + beginMark + "old\n" + endMark + "b\n":           "a\nb\n",
		beginMark + endMark + "b\n" + beginMark + "x" + endMark: "b\n",
		"a\n" + beginMark + "no end":                            "a\n" + beginMark + "no end",
		"nothing":                                               "nothing", "": "",
	} {
		if got := string(WithoutMarked([]byte(text))); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestNoSystemBundle(t *testing.T) {
	root, ours := t.TempDir(), certificate(t)
	if _, err := New(root).trust(nil, &trustRequest{ours}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, root+systemPath); got != beginMark+ours+endMark {
		t.Fatalf("%q", got)
	}
}

func TestOnlyCertificatesAreTaken(t *testing.T) {
	good := certificate(t)
	for what, text := range map[string]string{
		"nothing": "", "words": "hello", "a tail": good + "tail", "a key": strings.ReplaceAll(good, "CERTIFICATE", "PRIVATE KEY"),
		"no certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "too long": strings.Repeat(good, 200),
	} {
		root := t.TempDir()
		if _, err := New(root).trust(nil, &trustRequest{text}); err == nil {
			t.Errorf("%s was taken", what)
		}
		if left, _ := filepath.Glob(root + "/*"); len(left) != 0 {
			t.Errorf("%s left %v", what, left)
		}
	}
}
