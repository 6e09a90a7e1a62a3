package git

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// packOf packs what ref of a repository has and have has not.
func packOf(t *testing.T, root, ref, have string) packed {
	t.Helper()
	list := sh(t, root, "rev-list", "--objects", ref, "^"+have)
	prefix := filepath.Join(t.TempDir(), "pack")
	command := command{dir: root, args: []string{"pack-objects", "-q", prefix}, stdin: strings.NewReader(list + "\n")}
	name, err := (&service{}).git(context.Background(), command)
	must(t, err)
	name = bytes.TrimSpace(name)
	pack, err := os.ReadFile(prefix + "-" + string(name) + ".pack")
	must(t, err)
	idx, err := os.ReadFile(prefix + "-" + string(name) + ".idx")
	must(t, err)
	return packed{sh(t, root, "rev-parse", ref), pack, idx}
}

func TestUpdateStandsWhereTheHostStands(t *testing.T) {
	s := start(t)
	p := makePacked(t)
	path := filepath.Join(t.TempDir(), "workspaces", "demo")
	detached := p.manifest(path)
	detached.Repositories[0].Branch = nil
	if response, data := s.post("clone", bytes.NewReader(p.tar(t, detached, entry{name: "carry/.env", data: []byte("A=1")}))); response.StatusCode != 200 {
		t.Fatalf("clone: %d %s", response.StatusCode, data)
	}
	// The host goes on meanwhile.
	host := t.TempDir()
	sh(t, host, "clone", "-q", path, ".")
	write(t, host, map[string]string{"a.txt": "two\n", "new.txt": "new\n", "built": "tracked now\n"})
	sh(t, host, "rm", "-q", "dir/run.sh")
	sh(t, host, "add", "-A")
	sh(t, host, "commit", "-q", "-m", "second")

	// What a preparation may do: leave what git does not track, and spoil what it does.
	write(t, path, map[string]string{
		"node_modules/x/index.js": "x", "built": "by hand", "a.txt": "spoiled\n", ".git/info/exclude": "node_modules\n",
		".git/index.lock": "", ".git/objects/pack/" + incoming: "torn",
	})
	must(t, os.Remove(filepath.Join(path, ".git/index.lock")))
	sh(t, path, "checkout", "-q", "-b", "other")
	sh(t, path, "commit", "-q", "-a", "-m", "of the preparation")
	write(t, path, map[string]string{".git/index.lock": "", "a.txt": "spoiled again\n"})

	next := packOf(t, host, "HEAD", p.head)
	m := next.manifest(path)
	m.Repositories[0].Branch = text0("warren/later")
	response, data := s.post("update", bytes.NewReader(next.tar(t, m, entry{name: "carry/.env", data: []byte("A=2")})))
	if response.StatusCode != 200 || !strings.Contains(string(data), next.head) {
		t.Fatalf("update: %d %s", response.StatusCode, data)
	}
	sh(t, path, "fsck", "--strict")
	for name, want := range map[string]string{
		"a.txt": "two\n", "new.txt": "new\n", "built": "tracked now\n", "node_modules/x/index.js": "x", ".env": "A=2",
	} {
		if got, err := os.ReadFile(filepath.Join(path, name)); string(got) != want {
			t.Errorf("%s holds %q (%v), want %q", name, got, err, want)
		}
	}
	if _, err := os.Lstat(filepath.Join(path, "dir")); err == nil {
		t.Error("a file that the host removed is still there")
	}
	var st statusResponse
	s.json("status", statusRequest{place: place{path, "user"}, Base: &next.head}, &st)
	if *st.Branch != "warren/later" || *st.Head != next.head || st.Ahead != 0 || st.ChangesTotal != 1 || st.Changes[0].Path != ".env" {
		t.Errorf("status: %+v", st)
	}
	if base := sh(t, path, "rev-parse", "refs/warren/base"); base != next.head {
		t.Errorf("refs/warren/base is %s", base)
	}

	// The same again, with nothing new, and with changes that are not committed.
	sh(t, host, "checkout", "-q", "--detach")
	write(t, host, map[string]string{"a.txt": "three\n"})
	sh(t, host, "commit", "-q", "-a", "-m", "only its tree counts")
	dirty := packOf(t, host, "HEAD^{tree}", next.head)
	m.Repositories[0].Head, m.Repositories[0].Worktree = &next.head, &dirty.head
	if response, data := s.post("update", bytes.NewReader(dirty.tar(t, m))); response.StatusCode != 200 {
		t.Fatalf("update: %d %s", response.StatusCode, data)
	}
	if got := sh(t, path, "status", "--porcelain", "--", "a.txt"); got != "M a.txt" {
		t.Errorf("uncommitted changes: %q", got)
	}
	m.Repositories[0].Pack, m.Repositories[0].Worktree = nil, nil
	if response, data := s.post("update", bytes.NewReader(tarOf(t, entry{name: "clone.json", data: jsonOf(t, m)}))); response.StatusCode != 200 {
		t.Fatalf("update without a pack: %d %s", response.StatusCode, data)
	}
	if got := sh(t, path, "status", "--porcelain", "--", "a.txt"); got != "" {
		t.Errorf("it stands at the commit, and git says %q", got)
	}
}

func TestUpdateRefuses(t *testing.T) {
	s := start(t)
	p := makePacked(t)
	path := filepath.Join(t.TempDir(), "demo")
	s.refused("update", bytes.NewReader(p.tar(t, p.manifest(path))), "failed_precondition")
	s.refused("update", strings.NewReader("garbage"), "invalid_argument")
	outside := t.TempDir()
	at, _ := clone(t, s)
	must(t, os.RemoveAll(filepath.Join(at, ".git/refs/heads")))
	must(t, os.Symlink(outside, filepath.Join(at, ".git/refs/heads")))
	s.refused("update", bytes.NewReader(p.tar(t, p.manifest(at))), "failed_precondition")
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("a symlink led it out: %v", entries)
	}
}
