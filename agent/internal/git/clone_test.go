package git

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"warren.dev/agent/internal/account"
)

// A clone that cannot be made leaves nothing, wherever it fails; and no manifest leads outside its folder.

func TestFailedCloneLeavesNothing(t *testing.T) {
	s := start(t)
	p := makePacked(t)
	other := makePacked(t)
	root := t.TempDir()
	path := filepath.Join(root, "a/b/demo")
	good := p.tar(t, p.manifest(path))
	missingTree := p.manifest(path)
	missingTree.Repositories[0].Worktree = text0(strings.Repeat("ab", 20))
	swapped := packed{p.head, p.pack, append([]byte(nil), other.idx...)}
	copy(swapped.idx[len(swapped.idx)-40:], make([]byte, 20))
	bad := map[string][]byte{
		"cut in the middle":       good[:len(good)-2000],
		"without its index":       tarOf(t, entry{name: "clone.json", data: jsonOf(t, p.manifest(path))}, entry{name: "pack-0.pack", data: p.pack}),
		"without its pack":        tarOf(t, entry{name: "clone.json", data: jsonOf(t, p.manifest(path))}),
		"pack out of order":       tarOf(t, entry{name: "clone.json", data: jsonOf(t, p.manifest(path))}, entry{name: "pack-0.idx", data: p.idx}),
		"an index of another":     swapped.tar(t, p.manifest(path)),
		"a tree that is not here": p.tar(t, missingTree),
		"carry leads out":         p.tar(t, p.manifest(path), entry{name: "carry/../x", data: []byte("x")}),
		"carry into .git":         p.tar(t, p.manifest(path), entry{name: "carry/.git/config", data: []byte("x")}),
		"carry through a file":    p.tar(t, p.manifest(path), entry{name: "carry/a.txt/x", data: []byte("x")}),
		"an unknown entry":        p.tar(t, p.manifest(path), entry{name: "other", data: []byte("x")}),
		"a symlink":               p.tar(t, p.manifest(path), entry{name: "carry/x", kind: tar.TypeSymlink}),
		"no manifest":             tarOf(t, entry{name: "pack-0.pack", data: p.pack}),
		"garbage":                 []byte("hello"),
		"nothing":                 {},
	}
	for what, body := range bad {
		response, data := s.post("clone", bytes.NewReader(body))
		if response.StatusCode < 400 {
			t.Errorf("%s was accepted: %s", what, data)
		}
		if entries, _ := os.ReadDir(root); len(entries) > 0 {
			t.Fatalf("%s left %v", what, entries)
		}
	}

	// An empty folder that was there stays, and stays empty; a full one is not touched.
	must(t, os.MkdirAll(path, 0o755))
	s.refused("clone", bytes.NewReader(bad["a tree that is not here"]), "internal")
	if entries, err := os.ReadDir(path); err != nil || len(entries) > 0 {
		t.Errorf("the folder that was there: %v %v", entries, err)
	}
	if response, data := s.post("clone", bytes.NewReader(good)); response.StatusCode != 200 {
		t.Errorf("clone into an empty folder: %s", data)
	}
	s.refused("clone", bytes.NewReader(good), "already_exists")
	sh(t, path, "fsck", "--strict")
}

func TestCarriedFileReplacesALink(t *testing.T) {
	s := start(t)
	root := t.TempDir()
	sh(t, root, "init", "-q")
	must(t, os.Symlink("/nonexistent/target", filepath.Join(root, ".env")))
	must(t, os.Symlink(root, filepath.Join(root, "out")))
	sh(t, root, "add", "-A")
	sh(t, root, "commit", "-q", "-m", "links")
	sh(t, root, "repack", "-adq")
	files, _ := filepath.Glob(filepath.Join(root, ".git/objects/pack/pack-*.pack"))
	pack, _ := os.ReadFile(files[0])
	idx, _ := os.ReadFile(strings.TrimSuffix(files[0], ".pack") + ".idx")
	p := packed{sh(t, root, "rev-parse", "HEAD"), pack, idx}
	path := filepath.Join(t.TempDir(), "demo")
	body := p.tar(t, p.manifest(path), entry{name: "carry/.env", data: []byte("A=1")}, entry{name: "carry/new/deep", data: []byte("x")})
	if response, data := s.post("clone", bytes.NewReader(body)); response.StatusCode != 200 {
		t.Fatalf("%s", data)
	}
	info, err := os.Lstat(filepath.Join(path, ".env"))
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	through := p.tar(t, p.manifest(filepath.Join(t.TempDir(), "demo")), entry{name: "carry/out/planted", data: []byte("x")})
	s.refused("clone", bytes.NewReader(through), "failed_precondition")
	if _, err := os.Lstat(filepath.Join(root, "planted")); err == nil {
		t.Error("a carried file went through a symlink")
	}
}

func TestManifestsThatAreRefused(t *testing.T) {
	p := makePacked(t)
	id := strings.Repeat("ab", 20)
	sub := repository{Path: "libs/a", Name: "a", ObjectFormat: "sha1", Head: &id}
	bad := map[string]func(*manifest){
		"relative path":      func(m *manifest) { m.Path = "x" },
		"root":               func(m *manifest) { m.Path = "/" },
		"unclean path":       func(m *manifest) { m.Path = "/a/../b" },
		"no repositories":    func(m *manifest) { m.Repositories = nil },
		"too many":           func(m *manifest) { m.Repositories = make([]repository, repositoriesMax+1) },
		"first has a path":   func(m *manifest) { m.Repositories[0].Path = "x" },
		"unknown format":     func(m *manifest) { m.Repositories[0].ObjectFormat = "md5" },
		"branch is option":   func(m *manifest) { m.Repositories[0].Branch = text0("-x") },
		"branch leads out":   func(m *manifest) { m.Repositories[0].Branch = text0("../../x") },
		"branch with break":  func(m *manifest) { m.Repositories[0].Branch = text0("a\nb") },
		"head is option":     func(m *manifest) { m.Repositories[0].Head = text0("--help") },
		"long id":            func(m *manifest) { m.Repositories[0].Head = text0(strings.Repeat("a", 64)) },
		"shallow with break": func(m *manifest) { m.Repositories[0].Shallow = []string{"a\n"} },
		"pack out of order":  func(m *manifest) { m.Repositories[0].Pack = number(1) },
		"no branch, no head": func(m *manifest) { m.Repositories[0].Branch, m.Repositories[0].Head = nil, nil },
		"identity break":     func(m *manifest) { m.Identity = &identity{"a\n[core]", "x"} },
		"submodule twice":    func(m *manifest) { m.Repositories = append(m.Repositories, sub, sub) },
		"submodule out":      func(m *manifest) { s := sub; s.Path = "../x"; m.Repositories = append(m.Repositories, s) },
		"submodule in .git":  func(m *manifest) { s := sub; s.Path = "x/.GIT/y"; m.Repositories = append(m.Repositories, s) },
		"name leads out":     func(m *manifest) { s := sub; s.Name = "../../hooks"; m.Repositories = append(m.Repositories, s) },
		"name with break":    func(m *manifest) { s := sub; s.Name = "a\n[core]"; m.Repositories = append(m.Repositories, s) },
		"url with break":     func(m *manifest) { s := sub; s.URL = text0("x\n[core]"); m.Repositories = append(m.Repositories, s) },
	}
	for what, spoil := range bad {
		m := p.manifest("/workspaces/demo")
		spoil(m)
		if _, err := parseManifest(jsonOf(t, m)); err == nil {
			t.Errorf("%s was accepted", what)
		}
	}
	m := p.manifest("/workspaces/demo")
	m.Repositories = append(m.Repositories, sub)
	if _, err := parseManifest(jsonOf(t, m)); err != nil {
		t.Error(err)
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"path":"/a","user":"u","repositories":[{"path":"","name":"","objectFormat":"sha1","branch":"b"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseManifest(data)
		if err != nil {
			return
		}
		c := &cloning{manifest: m}
		for i := range m.Repositories {
			r := &m.Repositories[i]
			for _, at := range []string{c.gitDir(r), c.worktree(r)} {
				if at != m.Path && !strings.HasPrefix(at, m.Path+"/") {
					t.Fatalf("%q leads out of %q", at, m.Path)
				}
			}
			if config := c.configFile(r); strings.Count(config, "\n[core]")+strings.Count(config, "\n\t[") > 0 {
				t.Fatalf("a value became a section:\n%s", config)
			}
		}
	})
}

func TestCloneBelongsToItsUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	s := start(t)
	other := account.User{Name: "other", Home: "/nonexistent", Shell: "/bin/sh", Uid: 12345, Gid: 23456, Groups: []uint32{23456}}
	mux := http.NewServeMux()
	Register(mux, Environment{LookupUser: func(string) (account.User, error) { return other, nil }})
	live := httptest.NewServer(mux)
	defer live.Close()
	s.url = live.URL
	p := makePacked(t)
	root := t.TempDir()
	for at := root; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		must(t, os.Chmod(at, 0o755))
	}
	path := filepath.Join(root, "workspaces", "demo")
	m := p.manifest(path)
	m.Identity = &identity{"Ada", "a@x"}
	body := p.tar(t, m, entry{name: "carry/deep/.env", data: []byte("A=1")})
	if response, data := s.post("clone", bytes.NewReader(body)); response.StatusCode != 200 {
		t.Fatalf("%s", data)
	}
	must(t, filepath.WalkDir(filepath.Join(root, "workspaces"), func(at string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(at)
		if err != nil {
			return err
		}
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != other.Uid || owner.Gid != other.Gid {
			t.Errorf("%s belongs to %d:%d", at, owner.Uid, owner.Gid)
		}
		return nil
	}))
	must(t, os.WriteFile(filepath.Join(path, "new"), []byte("x"), 0o644))
	var done commitResponse
	s.json("commit", commitRequest{place{path, "other"}, "work"}, &done)
	var st statusResponse
	s.json("status", statusRequest{place: place{path, "other"}, Base: &p.head}, &st)
	if st.Ahead != 1 || st.ChangesTotal != 0 || st.Commits[0].Author != "Ada" {
		t.Errorf("%+v", st)
	}
	packed, _ := json.Marshal(packRequest{place{path, "other"}, "HEAD", nil})
	if response, _ := s.post("pack", bytes.NewReader(packed)); response.StatusCode != 200 {
		t.Errorf("pack: %d", response.StatusCode)
	}
}
