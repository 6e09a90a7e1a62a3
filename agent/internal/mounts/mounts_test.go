package mounts

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/account"
)

func TestFolders(t *testing.T) {
	mux := http.NewServeMux()
	Register(mux, account.Current)
	live := httptest.NewServer(mux)
	defer live.Close()
	root := t.TempDir()
	post := func(body string) int {
		t.Helper()
		response, err := http.Post(live.URL+"/warren/folders", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	if err := os.WriteFile(filepath.Join(root, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if code := post(`{"user": "x", "folders": [{"path": "` + root + `/a/b"}]}`); code != 200 {
			t.Fatalf("a folder: %d", code)
		}
	}
	if info, err := os.Stat(filepath.Join(root, "a/b")); err != nil || !info.IsDir() {
		t.Errorf("it is not there: %v", err)
	}
	many := strings.Repeat(`{"path": "`+root+`/a"},`, foldersMax)
	for _, bad := range []string{
		`{"folders": [{"path": "a"}]}`, `{"folders": [{"path": "/"}]}`, `{"folders": [{"path": "/a/../b"}]}`,
		`{"folders": [{"path": "` + root + `/file"}]}`, `{"folders": [` + many + `{"path": "/a"}]}`, `{`,
	} {
		if code := post(bad); code < 400 {
			t.Errorf("%.60s was taken: %d", bad, code)
		}
	}
}

func TestAFolderOfMemoryIsOneHoweverItIsNamed(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "real"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(root, "real", "x")
	user, err := account.Current("")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := ensure(folder{Path: filepath.Join(root, "link", "x"), Memory: true}, user); errors.Is(err, unix.EPERM) {
			t.Skip("nothing may be mounted here")
		} else if err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		for unix.Unmount(at, 0) == nil {
		}
	}()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	if count := strings.Count(string(mounts), " "+at+" "); count != 1 {
		t.Errorf("it was mounted %d times", count)
	}
}

func TestIsMemory(t *testing.T) {
	if !isMemory("/dev/shm") && !isMemory("/run") {
		t.Skip("no tmpfs is mounted here under a usual name")
	}
	if isMemory("/proc") || isMemory("/dev/sh") {
		t.Error("what is no tmpfs is taken for one")
	}
}
