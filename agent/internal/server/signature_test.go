package server

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func sign(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "v1_" + strings.TrimRight(base64.StdEncoding.EncodeToString(sum[:]), "=")
}

// All services together, with a token: a signature opens one file to one operation, and nothing else.
func TestSignedFiles(t *testing.T) {
	s := New("test", false)
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	ask := func(method, target string, query url.Values, token string) int {
		body := ""
		if method == http.MethodPost {
			body = `{"accessToken":"secret"}`
		}
		r := httptest.NewRequest(method, target+"?"+query.Encode(), strings.NewReader(body))
		r.Header.Set("Content-Type", "application/octet-stream")
		r.Header.Set("X-Access-Token", token)
		if token == "" {
			r.Header.Del("X-Access-Token")
		}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w.Code
	}
	root := url.Values{"path": {path}, "username": {"root"}}
	if status := ask("GET", "/files", root, ""); status != 200 {
		t.Fatalf("before the token: %d", status)
	}
	if status := ask("POST", "/init", nil, ""); status != 204 {
		t.Fatal(status)
	}
	later, past := time.Now().Unix()+60, time.Now().Unix()-1
	read := sign(path + ":read:root:secret")
	with := func(signature string, expiration int64) url.Values {
		query := url.Values{"path": {path}, "username": {"root"}, "signature": {signature}}
		if expiration != 0 {
			query.Set("signature_expiration", fmt.Sprint(expiration))
		}
		return query
	}
	elsewhere := with(read, 0)
	elsewhere.Set("path", "/etc/passwd")
	for name, try := range map[string]struct {
		method, target string
		query          url.Values
		token          string
		status         int
	}{
		"token":            {"GET", "/files", root, "secret", 200},
		"wrong token":      {"GET", "/files", with(read, 0), "wrong", 401},
		"nothing":          {"GET", "/files", root, "", 401},
		"signed":           {"GET", "/files", with(read, 0), "", 200},
		"signed for later": {"GET", "/files", with(sign(fmt.Sprintf("%s:read:root:secret:%d", path, later)), later), "", 200},
		"expired":          {"GET", "/files", with(sign(fmt.Sprintf("%s:read:root:secret:%d", path, past)), past), "", 401},
		"longer":           {"GET", "/files", with(sign(fmt.Sprintf("%s:read:root:secret:%d", path, past)), later), "", 401},
		"other file":       {"GET", "/files", elsewhere, "", 401},
		"other operation":  {"POST", "/files", with(read, 0), "", 401},
		"write":            {"POST", "/files", with(sign(path+":write:root:secret"), 0), "", 200},
		"other call":       {"GET", "/envs", with(read, 0), "", 401},
	} {
		if status := ask(try.method, try.target, try.query, try.token); status != try.status {
			t.Errorf("%s: %d", name, status)
		}
	}
}
