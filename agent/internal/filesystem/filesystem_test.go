package filesystem

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"warren.dev/agent/internal/account"
)

// The service over HTTP. As root, what is made must belong to someone else; otherwise to oneself.

type server struct {
	*testing.T
	url     string
	user    account.User
	service *Service
}

type workdir string

func (w workdir) Workdir() string { return string(w) }

func start(t *testing.T) *server {
	user := account.User{Name: "someone", Home: t.TempDir(), Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
	if os.Getuid() == 0 {
		user.Uid, user.Gid = 12345, 12346
	}
	mux := http.NewServeMux()
	service := &Service{
		Defaults: workdir(""),
		User:     func(*http.Request) (account.User, error) { return user, nil },
		Lookup: func(name string) (account.User, error) {
			if name != user.Name {
				return user, errors.New("invalid username")
			}
			return user, nil
		},
	}
	service.Register(mux)
	live := httptest.NewServer(mux)
	t.Cleanup(live.Close)
	return &server{t, live.URL, user, service}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type answer struct {
	Entry         *entry
	Entries       []entry
	Code, Message string
	raw           string
}

func (s *server) call(name string, request any) answer {
	s.Helper()
	body, _ := json.Marshal(request)
	response, err := http.Post(s.url+"/filesystem.Filesystem/"+name, "application/json", bytes.NewReader(body))
	must(s.T, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	must(s.T, err)
	got := answer{raw: string(data)}
	must(s.T, json.Unmarshal(data, &got))
	if (response.StatusCode == 200) != (got.Code == "") {
		s.Errorf("%s: %d %s", name, response.StatusCode, data)
	}
	return got
}

func (s *server) home(name string) string { return filepath.Join(s.user.Home, name) }

func (s *server) owned(path string) {
	s.Helper()
	found, err := os.Lstat(path)
	must(s.T, err)
	if owner := found.Sys().(*syscall.Stat_t); owner.Uid != s.user.Uid || owner.Gid != s.user.Gid {
		s.Errorf("%s belongs to %d:%d", path, owner.Uid, owner.Gid)
	}
}

func TestStat(t *testing.T) {
	s := start(t)
	must(t, os.WriteFile(s.home("f"), []byte("hello"), 0o640))
	when := time.Date(2021, 3, 4, 5, 6, 7, 8000, time.UTC)
	must(t, os.Chtimes(s.home("f"), when, when))
	for _, path := range []string{"f", "~/f", s.home("f"), "x/../f"} {
		got := s.call("Stat", map[string]string{"path": path})
		want := entry{
			Name: "f", Type: "FILE_TYPE_FILE", Path: s.home("f"), Size: 5, Mode: 0o640, Permissions: "-rw-r-----",
			Owner: account.NameOf(uint32(os.Getuid())), Group: account.GroupNameOf(uint32(os.Getgid())),
			ModifiedTime: "2021-03-04T05:06:07.000008Z",
		}
		if got.Entry == nil || string(mustJSON(t, got.Entry)) != string(mustJSON(t, want)) {
			t.Errorf("%s: %s", path, got.raw)
		}
		if !strings.Contains(got.raw, `"size":"5"`) || !strings.Contains(got.raw, `"mode":`+strconv.Itoa(0o640)) {
			t.Errorf("not proto3 JSON: %s", got.raw)
		}
	}
	if got := s.call("Stat", map[string]string{}); got.Entry == nil || got.Entry.Path != s.user.Home || got.Entry.Type != typeDirectory {
		t.Errorf("without a path: %s", got.raw)
	}
	if got := s.call("Stat", map[string]string{"path": "none"}); got.Code != "not_found" {
		t.Error(got.raw)
	}
	if got := s.call("Stat", map[string]string{"path": "a\x00b"}); got.Code != "invalid_argument" {
		t.Error(got.raw)
	}
}

func mustJSON(t *testing.T, value any) []byte {
	data, err := json.Marshal(value)
	must(t, err)
	return data
}

func TestStatOfSymlinks(t *testing.T) {
	s := start(t)
	must(t, os.Mkdir(s.home("folder"), 0o750))
	must(t, os.Symlink("folder", s.home("link")))
	must(t, os.Symlink("nowhere", s.home("broken")))
	got := s.call("Stat", map[string]string{"path": "link"}).Entry
	if got.Type != typeDirectory || got.Mode != 0o750 || got.Permissions != "Lrwxrwxrwx" || got.SymlinkTarget != s.home("folder") || got.Path != s.home("link") {
		t.Errorf("%+v", got)
	}
	got = s.call("Stat", map[string]string{"path": "broken"}).Entry
	if got == nil || got.Type != "" || got.SymlinkTarget != s.home("broken") {
		t.Errorf("%+v", got)
	}
}

func TestMakeDir(t *testing.T) {
	s := start(t)
	got := s.call("MakeDir", map[string]string{"path": "a/b"})
	if got.Entry == nil || got.Entry.Path != s.home("a/b") || got.Entry.Mode != 0o755 {
		t.Fatal(got.raw)
	}
	s.owned(s.home("a"))
	s.owned(s.home("a/b"))
	if got := s.call("MakeDir", map[string]string{"path": "a/b"}); got.Code != "already_exists" {
		t.Error(got.raw)
	}
	must(t, os.WriteFile(s.home("f"), nil, 0o644))
	for _, path := range []string{"f", "f/below"} {
		if got := s.call("MakeDir", map[string]string{"path": path}); got.Code != "invalid_argument" {
			t.Error(got.raw)
		}
	}
}

func TestMove(t *testing.T) {
	s := start(t)
	must(t, os.WriteFile(s.home("f"), []byte("x"), 0o644))
	got := s.call("Move", map[string]string{"source": "f", "destination": "new/g"})
	if got.Entry == nil || got.Entry.Path != s.home("new/g") || got.Entry.Name != "g" {
		t.Fatal(got.raw)
	}
	s.owned(s.home("new"))
	if _, err := os.Lstat(s.home("f")); err == nil {
		t.Error("it is still there")
	}
	if got := s.call("Move", map[string]string{"source": "f", "destination": "other/g"}); got.Code != "not_found" {
		t.Error(got.raw)
	}
	if _, err := os.Lstat(s.home("other")); err == nil {
		t.Error("a folder was made for nothing")
	}
}

func TestListDir(t *testing.T) {
	s := start(t)
	must(t, os.MkdirAll(s.home("top/a/b/c"), 0o755))
	must(t, os.WriteFile(s.home("top/f"), nil, 0o644))
	must(t, os.WriteFile(s.home("top/a/b/g"), nil, 0o644))
	must(t, os.Symlink("top", s.home("link")))
	must(t, os.Symlink("loop", s.home("loop")))
	for _, try := range []struct {
		path  string
		depth int
		want  string
	}{
		{"top", 0, "top/a top/f"},
		{"top", 1, "top/a top/f"},
		{"top", 2, "top/a top/a/b top/f"},
		{"top", 9, "top/a top/a/b top/a/b/c top/a/b/g top/f"},
		{"link", 2, "link/a link/a/b link/f"},
		{"top/a/b/c", 3, ""},
	} {
		got := s.call("ListDir", map[string]any{"path": try.path, "depth": try.depth})
		paths := []string{}
		for _, each := range got.Entries {
			path, _ := filepath.Rel(s.user.Home, each.Path)
			paths = append(paths, path)
		}
		if strings.Join(paths, " ") != try.want {
			t.Errorf("%s to %d: %q", try.path, try.depth, paths)
		}
	}
	for path, code := range map[string]string{"none": "not_found", "top/f": "invalid_argument", "loop": "failed_precondition"} {
		if got := s.call("ListDir", map[string]string{"path": path}); got.Code != code {
			t.Errorf("%s: %s", path, got.raw)
		}
	}
}

func TestRemove(t *testing.T) {
	s := start(t)
	must(t, os.MkdirAll(s.home("a/b"), 0o755))
	must(t, os.Symlink("a", s.home("link")))
	for path, code := range map[string]string{"link": "", "none": "", "": "invalid_argument"} {
		if got := s.call("Remove", map[string]string{"path": path}); got.Code != code {
			t.Errorf("%q: %s", path, got.raw)
		}
	}
	if _, err := os.Stat(s.home("a/b")); err != nil {
		t.Error(err)
	}
	s.call("Remove", map[string]string{"path": "a"})
	if _, err := os.Stat(s.home("a")); err == nil {
		t.Error("it is still there")
	}
}

// Not over HTTP: a mistake here would remove the computer that runs the test.
func TestRootIsNotRemoved(t *testing.T) {
	if mayRemove("/..", "/") || mayRemove("", "/home/user") || !mayRemove("x", "/home/user/x") {
		t.Error("the wrong paths may be removed")
	}
}
