package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"warren.dev/agent/internal/account"
)

// The service over HTTP. As root, what is unpacked must belong to someone else; otherwise to oneself.

type server struct {
	*testing.T
	url  string
	user account.User
}

func start(t *testing.T) *server {
	user := account.User{Name: "someone", Home: t.TempDir(), Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
	if os.Getuid() == 0 {
		user.Uid, user.Gid = 12345, 12346
	}
	mux := http.NewServeMux()
	Register(mux, func(string) (account.User, error) { return user, nil })
	live := httptest.NewServer(mux)
	t.Cleanup(live.Close)
	return &server{t, live.URL, user}
}

func (s *server) at(path string) string {
	return s.url + "/warren/archive?" + url.Values{"path": {path}, "user": {"someone"}}.Encode()
}

func (s *server) put(path string, body []byte) (int, unpacked, string) {
	s.Helper()
	request, _ := http.NewRequest(http.MethodPut, s.at(path), bytes.NewReader(body))
	response, err := http.DefaultClient.Do(request)
	must(s.T, err)
	defer response.Body.Close()
	var answer struct {
		unpacked
		Code, Message string
	}
	must(s.T, json.NewDecoder(response.Body).Decode(&answer))
	return response.StatusCode, answer.unpacked, answer.Code
}

func (s *server) get(path string) (int, []byte, error) {
	s.Helper()
	response, err := http.Get(s.at(path))
	if err != nil { // a reset can come before the buffered head
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type entry struct {
	tar.Header
	content string
}

var modified = time.Date(2021, 3, 4, 5, 6, 7, 123456789, time.UTC)

func file(name, content string, mode int64) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))}, content}
}

func other(kind byte, name, link string, mode int64) entry {
	return entry{tar.Header{Typeflag: kind, Name: name, Linkname: link, Mode: mode}, ""}
}

func pack(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var body bytes.Buffer
	to := tar.NewWriter(&body)
	for _, each := range entries {
		each.ModTime, each.Format = modified, tar.FormatPAX
		must(t, to.WriteHeader(&each.Header))
		_, err := to.Write([]byte(each.content))
		must(t, err)
	}
	must(t, to.Close())
	return body.Bytes()
}

func TestUnpacks(t *testing.T) {
	s := start(t)
	top := filepath.Join(t.TempDir(), "made", "for it")
	status, done, _ := s.put(top, pack(t,
		other(tar.TypeDir, "a/", "", 0o555),
		file("a/read", "hello", 0o4755),
		file("deep/er/file", "x", 0o600),
		other(tar.TypeSymlink, "a/link", "/etc/passwd", 0o777),
		other(tar.TypeLink, "hard", "a/read", 0o644),
		other(tar.TypeDir, "sticky", "", 0o7777),
	))
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(top, "a"), 0o755) }) // so that it can be removed
	if status != 200 || done != (unpacked{6, 6}) {
		t.Fatalf("%d %+v", status, done)
	}
	for name, mode := range map[string]os.FileMode{
		"":       os.ModeDir | 0o755,
		"a":      os.ModeDir | 0o555,
		"a/read": 0o755,
		"a/link": os.ModeSymlink | 0o777,
		"hard":   0o755,
		"deep":   os.ModeDir | 0o755,
		"sticky": os.ModeDir | os.ModeSticky | 0o777,
	} {
		found, err := os.Lstat(filepath.Join(top, name))
		must(t, err)
		owner := found.Sys().(*syscall.Stat_t)
		if found.Mode() != mode || owner.Uid != s.user.Uid || owner.Gid != s.user.Gid {
			t.Errorf("%q: %v of %d:%d", name, found.Mode(), owner.Uid, owner.Gid)
		}
		if name != "" && name != "deep" && !found.ModTime().Equal(modified) {
			t.Errorf("%q: changed at %v", name, found.ModTime())
		}
	}
	if to, _ := os.Readlink(filepath.Join(top, "a/link")); to != "/etc/passwd" {
		t.Errorf("the symlink leads to %q", to)
	}
}

func TestDestinationMayHoldSymlinks(t *testing.T) {
	s, real := start(t), t.TempDir()
	must(t, os.Symlink(real, filepath.Join(s.user.Home, "link")))
	for _, path := range []string{"~/link", "link/below", s.user.Home + "/link"} {
		if status, _, code := s.put(path, pack(t, file("f", path, 0o644))); status != 200 {
			t.Fatalf("%s: %d %s", path, status, code)
		}
	}
	for _, name := range []string{"f", "below/f"} {
		if _, err := os.Stat(filepath.Join(real, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestRefuses(t *testing.T) {
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "there"), []byte("precious"), 0o644))
	for name, try := range map[string]struct {
		code    string
		entries []entry
	}{
		"absolute":            {"invalid_argument", []entry{file(outside+"/new", "x", 0o644)}},
		"dots":                {"invalid_argument", []entry{file("a/../../new", "x", 0o644)}},
		"dots inside":         {"invalid_argument", []entry{file("a/../b", "x", 0o644)}},
		"through its symlink": {"failed_precondition", []entry{other(tar.TypeSymlink, "out", outside, 0), file("out/new", "x", 0o644)}},
		"folder in symlink":   {"failed_precondition", []entry{other(tar.TypeSymlink, "out", outside, 0), other(tar.TypeDir, "out/new", "", 0o755)}},
		"folder is a symlink": {"failed_precondition", []entry{other(tar.TypeSymlink, "out", outside, 0), other(tar.TypeDir, "out", "", 0o700)}},
		"relative symlink":    {"failed_precondition", []entry{other(tar.TypeSymlink, "out", ".", 0), file("out/new", "x", 0o644)}},
		"hard link outside":   {"invalid_argument", []entry{other(tar.TypeLink, "new", outside+"/there", 0)}},
		"hard link with dots": {"invalid_argument", []entry{other(tar.TypeLink, "new", "../there", 0)}},
		"hard link to a link": {"invalid_argument", []entry{other(tar.TypeSymlink, "out", outside+"/there", 0), other(tar.TypeLink, "new", "out", 0)}},
		"hard link through":   {"failed_precondition", []entry{other(tar.TypeSymlink, "out", outside, 0), other(tar.TypeLink, "new", "out/there", 0)}},
		"hard link to none":   {"not_found", []entry{other(tar.TypeLink, "new", "none", 0)}},
		"link to itself":      {"invalid_argument", []entry{file("f", "x", 0o644), other(tar.TypeLink, "f", "./f", 0)}},
		"device":              {"invalid_argument", []entry{other(tar.TypeChar, "null", "", 0o666)}},
		"pipe":                {"invalid_argument", []entry{other(tar.TypeFifo, "pipe", "", 0o666)}},
		"file over a folder":  {"failed_precondition", []entry{file("a/b", "x", 0o644), file("a", "x", 0o644)}},
		"file as a folder":    {"failed_precondition", []entry{file("a", "x", 0o644), file("a/b", "x", 0o644)}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			status, _, code := s.put(filepath.Join(t.TempDir(), "in"), pack(t, try.entries...))
			if status == 200 || code != try.code {
				t.Errorf("%d %s", status, code)
			}
			names, _ := os.ReadDir(outside)
			kept, _ := os.ReadFile(filepath.Join(outside, "there"))
			if len(names) != 1 || string(kept) != "precious" {
				t.Errorf("outside there is %v, %q", names, kept)
			}
		})
	}
}

func TestReplacesWithoutFollowing(t *testing.T) {
	s, top, outside := start(t), t.TempDir(), filepath.Join(t.TempDir(), "f")
	must(t, os.WriteFile(outside, []byte("precious"), 0o644))
	must(t, os.Symlink(outside, filepath.Join(top, "soft")))
	must(t, os.Link(outside, filepath.Join(top, "hard")))
	if status, _, code := s.put(top, pack(t, file("soft", "new", 0o644), file("hard", "new", 0o644))); status != 200 {
		t.Fatalf("%d %s", status, code)
	}
	if kept, _ := os.ReadFile(outside); string(kept) != "precious" {
		t.Errorf("%q outside", kept)
	}
	found, err := os.Lstat(filepath.Join(top, "soft"))
	must(t, err)
	if !found.Mode().IsRegular() {
		t.Errorf("still %v", found.Mode())
	}
}

func TestKeepsFoldersThatAreThere(t *testing.T) {
	s, top := start(t), t.TempDir()
	must(t, os.Mkdir(filepath.Join(top, "etc"), 0o751))
	if status, _, code := s.put(top, pack(t, other(tar.TypeDir, "./", "", 0o700), other(tar.TypeDir, "etc/", "", 0o777), file("etc/f", "", 0o644))); status != 200 {
		t.Fatalf("%d %s", status, code)
	}
	found, err := os.Stat(filepath.Join(top, "etc"))
	must(t, err)
	if owner := found.Sys().(*syscall.Stat_t); found.Mode().Perm() != 0o751 || owner.Uid != uint32(os.Getuid()) {
		t.Errorf("%v of %d", found.Mode(), owner.Uid)
	}
}

func TestUnpackBreaksOff(t *testing.T) {
	s, top := start(t), t.TempDir()
	body := pack(t, file("first", "kept", 0o644), file("second", strings.Repeat("x", 5000), 0o644))
	status, _, code := s.put(top, body[:len(body)-3000-1024])
	if status == 200 || code != "invalid_argument" {
		t.Errorf("%d %s", status, code)
	}
	if _, err := os.Stat(filepath.Join(top, "first")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(top, "second")); err == nil {
		t.Error("half a file is left")
	}
	if status, _, code := s.put(top, []byte(strings.Repeat("no tar ", 1000))); code != "invalid_argument" {
		t.Errorf("%d %s", status, code)
	}
}

func TestPacks(t *testing.T) {
	s, top := start(t), filepath.Join(t.TempDir(), "top")
	must(t, os.MkdirAll(filepath.Join(top, "sub/empty"), 0o755))
	must(t, os.WriteFile(filepath.Join(top, "sub/f"), []byte("hello"), 0o640))
	must(t, os.Link(filepath.Join(top, "sub/f"), filepath.Join(top, "sub/twin")))
	must(t, os.Symlink("/nowhere", filepath.Join(top, "link")))
	must(t, os.WriteFile(filepath.Join(top, "odd\xff"), nil, 0o600))
	must(t, syscall.Mkfifo(filepath.Join(top, "pipe"), 0o644))
	must(t, os.Chtimes(filepath.Join(top, "sub/f"), modified, modified))
	must(t, os.Symlink(top, filepath.Join(s.user.Home, "alias")))

	status, body, err := s.get(top)
	must(t, err)
	var names []string
	entries := tar.NewReader(bytes.NewReader(body))
	for {
		header, err := entries.Next()
		if err == io.EOF {
			break
		}
		must(t, err)
		names = append(names, header.Name)
		content, _ := io.ReadAll(entries)
		switch header.Name {
		case "top/sub/f", "top/sub/twin":
			if string(content) != "hello" || header.Mode != 0o640 || !header.ModTime.Equal(modified) || header.Typeflag != tar.TypeReg {
				t.Errorf("%q %+v", content, header)
			}
		case "top/link":
			if header.Typeflag != tar.TypeSymlink || header.Linkname != "/nowhere" {
				t.Errorf("%+v", header)
			}
		}
	}
	want := "top/ top/link top/odd\xff top/sub/ top/sub/empty/ top/sub/f top/sub/twin"
	if status != 200 || strings.Join(names, " ") != want {
		t.Errorf("%d %q", status, names)
	}
	_, alias, _ := s.get("alias")
	if first, err := tar.NewReader(bytes.NewReader(alias)).Next(); err != nil || first.Name != "alias/" {
		t.Errorf("through a symlink: %v %v", first, err)
	}
	copied := t.TempDir()
	if status, _, code := s.put(copied, body); status != 200 {
		t.Fatalf("%d %s", status, code)
	}
	if content, _ := os.ReadFile(filepath.Join(copied, "top/sub/f")); string(content) != "hello" {
		t.Errorf("%q came back", content)
	}
}

func TestPackErrors(t *testing.T) {
	s := start(t)
	for path, want := range map[string]int{"none": 404, "": 400, "/dev/null": 400, "a\x00b": 400} {
		if status, body, _ := s.get(path); status != want {
			t.Errorf("%q: %d %s", path, status, body)
		}
	}
}

// changing has the size that is told and the content that is there.
type changing struct {
	os.FileInfo
	size int64
}

func (c changing) Size() int64 { return c.size }

func TestPackOfAChangingFileFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	must(t, os.WriteFile(path, []byte("12345"), 0o644))
	info, err := os.Stat(path)
	must(t, err)
	for _, size := range []int64{4, 5, 6} {
		opened, err := openSource(path)
		must(t, err)
		p := &packer{context.Background(), tar.NewWriter(io.Discard), make([]byte, copyBufferBytes)}
		if err := p.regular(opened.file, "f", changing{info, size}); (err == nil) != (size == 5) {
			t.Errorf("size %d: %v", size, err)
		}
		opened.close()
	}
}

// The kernel's files say 0 bytes and hold more: the stream must end in an error, not in an archive.
func TestPackFailureResetsTheStream(t *testing.T) {
	s := start(t)
	if status, body, err := s.get("/proc/self/status"); err == nil {
		t.Errorf("%d, %d bytes, %v", status, len(body), err)
	}
}
