package git

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"warren.dev/agent/internal/account"
)

// The service over HTTP with real git. What the host packs is made here by git alone; the host's own packing is
// tested against this service from test/repo.

type server struct {
	*testing.T
	url  string
	home string
}

func start(t *testing.T) *server {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	must(t, os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[user]\nname = Host\nemail = h@x\n[init]\ndefaultBranch = main\n"), 0o644))
	mux := http.NewServeMux()
	Register(mux, Environment{LookupUser: account.Current, Logf: t.Logf})
	live := httptest.NewServer(mux)
	t.Cleanup(live.Close)
	return &server{t, live.URL, home}
}

func (s *server) post(call string, body io.Reader) (*http.Response, []byte) {
	s.Helper()
	response, err := http.Post(s.url+"/warren/git/"+call, "", body)
	must(s.T, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	must(s.T, err)
	return response, data
}

func (s *server) json(call string, request, into any) {
	s.Helper()
	body, _ := json.Marshal(request)
	response, data := s.post(call, bytes.NewReader(body))
	if response.StatusCode != 200 {
		s.Fatalf("%s: %d %s", call, response.StatusCode, data)
	}
	must(s.T, json.Unmarshal(data, into))
}

// refused checks the code of an error answer.
func (s *server) refused(call string, body io.Reader, code string) {
	s.Helper()
	response, data := s.post(call, body)
	var said struct{ Code, Message string }
	_ = json.Unmarshal(data, &said)
	if response.StatusCode < 400 || said.Code != code {
		s.Errorf("%s answered %d %s, want %s", call, response.StatusCode, data, code)
	}
}

func sh(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Ann", "-c", "user.email=ann@example.com"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(root, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(content), 0o644))
	}
}

type entry struct {
	name string
	data []byte
	kind byte
}

func tarOf(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		if e.kind == 0 {
			e.kind = tar.TypeReg
		}
		header := &tar.Header{Name: e.name, Size: int64(len(e.data)), Mode: 0o644, Typeflag: e.kind}
		if e.kind != tar.TypeReg {
			header.Size, header.Linkname = 0, "x"
		}
		must(t, w.WriteHeader(header))
		if e.kind == tar.TypeReg {
			_, err := w.Write(e.data)
			must(t, err)
		}
	}
	must(t, w.Close())
	return out.Bytes()
}

// packed is a repository of one commit with its pack.
type packed struct {
	head      string
	pack, idx []byte
}

func makePacked(t *testing.T) packed {
	t.Helper()
	root := t.TempDir()
	sh(t, root, "init", "-q")
	write(t, root, map[string]string{"a.txt": "one\n", "dir/run.sh": "#!/bin/sh\n"})
	sh(t, root, "add", "-A")
	sh(t, root, "commit", "-q", "-m", "first")
	sh(t, root, "repack", "-adq")
	files, _ := filepath.Glob(filepath.Join(root, ".git/objects/pack/pack-*.pack"))
	pack, err := os.ReadFile(files[0])
	must(t, err)
	idx, err := os.ReadFile(strings.TrimSuffix(files[0], ".pack") + ".idx")
	must(t, err)
	return packed{sh(t, root, "rev-parse", "HEAD"), pack, idx}
}

func text0(v string) *string { return &v }
func number(v int) *int      { return &v }

func (p packed) manifest(path string) *manifest {
	return &manifest{Path: path, User: "user", ObjectFormat: "sha1", Repositories: []repository{{
		ObjectFormat: "sha1", Branch: text0("warren/demo"), Head: &p.head, Pack: number(0),
	}}}
}

func (p packed) tar(t *testing.T, m *manifest, more ...entry) []byte {
	t.Helper()
	data, err := json.Marshal(m)
	must(t, err)
	return tarOf(t, append([]entry{{name: "clone.json", data: data}, {name: "pack-0.pack", data: p.pack}, {name: "pack-0.idx", data: p.idx}}, more...)...)
}

func clone(t *testing.T, s *server) (string, packed) {
	t.Helper()
	p := makePacked(t)
	path := filepath.Join(t.TempDir(), "workspaces", "demo")
	response, data := s.post("clone", bytes.NewReader(p.tar(t, p.manifest(path))))
	if response.StatusCode != 200 || !strings.Contains(string(data), p.head) {
		t.Fatalf("clone: %d %s", response.StatusCode, data)
	}
	return path, p
}

func TestCloneStatusCommitPack(t *testing.T) {
	s := start(t)
	path, p := clone(t, s)
	sh(t, path, "fsck", "--strict")
	in := place{path, "user"}

	var st statusResponse
	s.json("status", statusRequest{place: in, Base: &p.head}, &st)
	if *st.Branch != "warren/demo" || *st.Head != p.head || !st.Descends || st.Ahead != 0 || st.ChangesTotal != 0 || st.Commits == nil || st.Changes == nil || st.Submodules == nil {
		t.Errorf("status of a fresh clone: %+v", st)
	}
	var none commitResponse
	s.json("commit", commitRequest{in, "nothing"}, &none)
	if none.Commit != nil {
		t.Errorf("an empty commit was made: %s", *none.Commit)
	}

	write(t, path, map[string]string{"a.txt": "two\n", "new ü\n.txt": "n", "sub/x": "x", ".git/info/exclude": "ignored\n", "ignored": "i"})
	sh(t, path, "rm", "-q", "--cached", "dir/run.sh")
	s.json("status", statusRequest{place: in, Base: &p.head, Limit: 2}, &st)
	if st.ChangesTotal != 5 || len(st.Changes) != 2 {
		t.Errorf("%d changes, %d listed: %+v", st.ChangesTotal, len(st.Changes), st.Changes)
	}
	s.json("status", statusRequest{place: in, Base: &p.head}, &st)
	got := ""
	for _, row := range st.Changes {
		got += row.Status + " " + row.Path + "|"
	}
	if got != "M a.txt|D dir/run.sh|?? dir/|?? new ü\n.txt|?? sub/|" {
		t.Errorf("changes: %q", got)
	}

	var done commitResponse
	s.json("commit", commitRequest{in, "second\n\nbody"}, &done)
	st = statusResponse{}
	s.json("status", statusRequest{place: in, Base: &p.head}, &st)
	if st.Ahead != 1 || st.ChangesTotal != 0 || st.Commits[0].ID != *done.Commit || st.Commits[0].Subject != "second" || st.Commits[0].Author != "Host" {
		t.Errorf("status after a commit: %+v", st)
	}
	for _, ref := range []string{"HEAD", "warren/demo", "refs/heads/warren/demo"} {
		body, _ := json.Marshal(packRequest{in, ref, []string{p.head, strings.Repeat("ab", 20)}})
		response, pack := s.post("pack", bytes.NewReader(body))
		if response.StatusCode != 200 || response.Header.Get("Warren-Tip") != *done.Commit || !bytes.HasPrefix(pack, []byte("PACK")) {
			t.Errorf("pack of %s: %d %q", ref, response.StatusCode, pack[:min(len(pack), 100)])
		}
	}
	body, _ := json.Marshal(packRequest{in, "HEAD", []string{*done.Commit}})
	response, pack := s.post("pack", bytes.NewReader(body))
	if response.StatusCode != 204 || len(pack) != 0 || response.Header.Get("Warren-Tip") != *done.Commit {
		t.Errorf("nothing new: %d", response.StatusCode)
	}
}

func TestStatusOfRewrittenAndForgottenBase(t *testing.T) {
	s := start(t)
	path, p := clone(t, s)
	in := place{path, "user"}
	sh(t, path, "commit", "-q", "--amend", "--allow-empty", "-m", "rewritten")
	var st statusResponse
	s.json("status", statusRequest{place: in, Base: &p.head}, &st)
	if st.Descends || st.Ahead != 1 {
		t.Errorf("rewritten: %+v", st)
	}
	gone := strings.Repeat("ab", 20)
	s.json("status", statusRequest{place: in, Base: &gone}, &st)
	if st.Descends || st.Ahead != 1 {
		t.Errorf("base is gone: %+v", st)
	}
	s.json("status", statusRequest{place: in}, &st)
	if !st.Descends || st.Ahead != 1 {
		t.Errorf("no base: %+v", st)
	}
	for i := 0; i < 5; i++ {
		sh(t, path, "commit", "-q", "--allow-empty", "-m", "more \xff")
	}
	s.json("status", statusRequest{place: in, Limit: 3}, &st)
	if st.Ahead != 6 || len(st.Commits) != 3 || st.Commits[0].Subject != "more ÿ" {
		t.Errorf("more commits than rows: %+v", st)
	}
	sh(t, path, "checkout", "-q", "--detach")
	st = statusResponse{}
	s.json("status", statusRequest{place: in}, &st)
	if st.Branch != nil || st.Head == nil {
		t.Errorf("detached: %+v", st)
	}
}

func TestCommitWithoutIdentityAndDespiteHooks(t *testing.T) {
	s := start(t)
	path, _ := clone(t, s)
	must(t, os.Remove(filepath.Join(s.home, ".gitconfig")))
	for _, hook := range []string{"pre-commit", "commit-msg", "post-commit", "prepare-commit-msg"} {
		file := filepath.Join(path, ".git/hooks", hook)
		must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		must(t, os.WriteFile(file, []byte("#!/bin/sh\nexit 1\n"), 0o755))
	}
	sh(t, path, "config", "user.useConfigOnly", "true")
	write(t, path, map[string]string{"x": "1"})
	var done commitResponse
	s.json("commit", commitRequest{place{path, "user"}, "work"}, &done)
	if got := sh(t, path, "log", "-1", "--format=%an <%ae> %s"); got != "user <user@localhost> work" {
		t.Error(got)
	}
}

func TestRefusals(t *testing.T) {
	s := start(t)
	path, p := clone(t, s)
	plain := t.TempDir()
	body := func(v any) io.Reader { data, _ := json.Marshal(v); return bytes.NewReader(data) }
	in, nowhere := place{path, "user"}, place{filepath.Join(plain, "none"), "user"}
	s.refused("status", strings.NewReader("{"), "invalid_argument")
	s.refused("status", body(statusRequest{place: place{"relative", "user"}}), "invalid_argument")
	s.refused("status", body(statusRequest{place: nowhere}), "not_found")
	s.refused("status", body(statusRequest{place: place{plain, "user"}}), "failed_precondition")
	s.refused("status", body(statusRequest{place: in, Base: text0("--help")}), "invalid_argument")
	s.refused("commit", body(commitRequest{in, " \n"}), "invalid_argument")
	s.refused("commit", body(commitRequest{place{plain, "user"}, "x"}), "failed_precondition")
	s.refused("commit", body(commitRequest{nowhere, "x"}), "not_found")
	for _, ref := range []string{"--all", "a..b", "", "refs/tags/x", "HEAD~1", "@{u}", "a b"} {
		s.refused("pack", body(packRequest{in, ref, nil}), map[bool]string{true: "not_found", false: "invalid_argument"}[ref == "refs/tags/x"])
	}
	s.refused("pack", body(packRequest{in, "none", nil}), "not_found")
	s.refused("pack", body(packRequest{in, "HEAD", []string{"^x"}}), "invalid_argument")
	s.refused("pack", bytes.NewReader(make([]byte, requestMaxBytes+1)), "invalid_argument")
	s.refused("clone", bytes.NewReader(p.tar(t, p.manifest(path))), "already_exists")

	t.Setenv("PATH", plain)
	s.refused("status", body(statusRequest{place: in}), "failed_precondition")
	s.refused("clone", bytes.NewReader(p.tar(t, p.manifest(filepath.Join(plain, "a/b")))), "failed_precondition")
	if entries, _ := os.ReadDir(plain); len(entries) > 0 {
		t.Errorf("without git it left %v", entries)
	}
}

func TestPackThatFailsMidwayResetsTheStream(t *testing.T) {
	s := start(t)
	path, p := clone(t, s)
	write(t, path, map[string]string{"big": strings.Repeat("0123456789abcdef", 1<<16)})
	sh(t, path, "add", "-A")
	sh(t, path, "-c", "core.compression=0", "commit", "-q", "-m", "big")
	id := sh(t, path, "rev-parse", "HEAD:big")
	must(t, os.Chmod(filepath.Join(path, ".git/objects", id[:2], id[2:]), 0o644))
	must(t, os.Truncate(filepath.Join(path, ".git/objects", id[:2], id[2:]), 1000))
	body, _ := json.Marshal(packRequest{place{path, "user"}, "HEAD", []string{p.head}})
	response, err := http.Post(s.url+"/warren/git/pack", "", bytes.NewReader(body))
	must(t, err)
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err == nil && response.StatusCode == 200 {
		t.Error("a torn pack ended as if it were whole")
	}
}

func TestCancelledStatusTakesItsFiltersAlong(t *testing.T) {
	s := start(t)
	path, _ := clone(t, s)
	pidFile := filepath.Join(t.TempDir(), "pid")
	// The repository's own monitor is not asked; a filter is, and it must not outlive the request.
	sh(t, path, "config", "core.fsmonitor", "sleep 100")
	sh(t, path, "config", "filter.hang.clean", "echo $$ >"+pidFile+"; sleep 100")
	write(t, path, map[string]string{".gitattributes": "*.txt filter=hang\n", "a.txt": "1ne\n"})
	ctx, cancel := context.WithCancel(context.Background())
	body, _ := json.Marshal(statusRequest{place: place{path, "user"}})
	request, _ := http.NewRequestWithContext(ctx, "POST", s.url+"/warren/git/status", bytes.NewReader(body))
	ended := make(chan error)
	go func() {
		_, err := http.DefaultClient.Do(request)
		ended <- err
	}()
	pid := ""
	wait(t, "the filter starts", func() bool {
		data, _ := os.ReadFile(pidFile)
		pid = strings.TrimSpace(string(data))
		return pid != ""
	})
	cancel()
	if err := <-ended; err == nil {
		t.Error("it was answered although it was cancelled")
	}
	wait(t, "the filter ends", func() bool {
		state, err := os.ReadFile("/proc/" + pid + "/stat")
		return err != nil || strings.Contains(string(state), ") Z ")
	})
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func jsonOf(t *testing.T, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	must(t, err)
	return data
}
