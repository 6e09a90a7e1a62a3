package build

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
	"golang.org/x/sys/unix"
)

func TestModesAreChangedAsChmodDoes(t *testing.T) {
	for _, row := range []struct {
		text     string
		before   uint32
		isFolder bool
		after    uint32
	}{
		{"755", 0o644, false, 0o755}, {"4755", 0, false, 0o4755}, {"0", 0o777, true, 0},
		{"u=rwX,go=rX", 0o600, false, 0o644}, {"u=rwX,go=rX", 0o600, true, 0o755}, {"u=rwX,go=rX", 0o700, false, 0o755},
		{"go-w", 0o666, false, 0o644}, {"+x", 0o644, false, 0o755}, {"a+t", 0o777, true, 0o1777},
		{"u+s", 0o755, false, 0o4755}, {"g=u", 0o640, false, 0o660}, {"o=", 0o777, false, 0o770}, {"u-x+w", 0o500, false, 0o600},
	} {
		change, err := parseMode(row.text)
		if err != nil {
			t.Fatalf("%s: %v", row.text, err)
		}
		if got := change(row.before, row.isFolder); got != row.after {
			t.Errorf("%s of %o (folder: %v) is %o, want %o", row.text, row.before, row.isFolder, got, row.after)
		}
	}
	for _, text := range []string{"8", "77777", "u", "u=q", "=ug", "x+u=", ",", "u=r,"} {
		if _, err := parseMode(text); err == nil {
			t.Errorf("%q was taken for a mode", text)
		}
	}
}

// asLayer packs a folder as a layer and answers a line for each entry.
func asLayer(t *testing.T, folder string) []string {
	t.Helper()
	top, err := os.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer top.Close()
	var packed bytes.Buffer
	p := newPacker(context.Background(), &packed)
	p.layer, p.replaced = true, withoutTrust
	if err := p.contents(top, "", 0); err != nil {
		t.Fatal(err)
	}
	if err := p.to.Close(); err != nil {
		t.Fatal(err)
	}
	lines := []string{}
	for entries := tar.NewReader(&packed); ; {
		header, err := entries.Next()
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		content, _ := io.ReadAll(entries)
		lines = append(lines, fmt.Sprintf("%c %s %o %s %q", header.Typeflag, header.Name, header.Mode, header.Linkname, content))
	}
}

func TestALayerHasWhiteoutsLinksAndNoSockets(t *testing.T) {
	folder := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Mkdir(folder+"/d", 0o750))
	must(os.WriteFile(folder+"/d/one", []byte("1"), 0o600))
	must(os.Link(folder+"/d/one", folder+"/d/two"))
	must(os.Symlink("../x", folder+"/d/up"))
	must(unix.Mkfifo(folder+"/pipe", 0o644))
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(err)
	defer unix.Close(fd)
	must(unix.Bind(fd, &unix.SockaddrUnix{Name: folder + "/socket"}))
	want := []string{`5 d/ 750  ""`, `0 d/one 600  "1"`, `1 d/two 600 d/one ""`, `2 d/up 777 ../x ""`, `6 pipe 644  ""`}
	if os.Getuid() == 0 {
		must(unix.Mknod(folder+"/gone", unix.S_IFCHR, 0))
		must(os.Mkdir(folder+"/over", 0o755))
		if unix.Setxattr(folder+"/over", opaqueXattr, []byte("y"), 0) == nil {
			want = append(want, `5 over/ 755  ""`, `0 over/.wh..wh..opq 0  ""`)
		} else {
			want = append(want, `5 over/ 755  ""`)
		}
		want = append(want, `0 .wh.gone 0  ""`)
	}
	got := asLayer(t, folder)
	sort.Strings(got)
	sort.Strings(want)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestALayerDoesNotHoldOurCertificates(t *testing.T) {
	folder := t.TempDir()
	bundle := folder + bundles[0]
	if err := os.MkdirAll(filepath.Dir(bundle), 0o755); err != nil {
		t.Fatal(err)
	}
	text := "theirs\n# Warren: this sandbox's certificate authority\nours\n# Warren: end\nmore of theirs\n"
	if err := os.WriteFile(bundle, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(folder+"/else", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(asLayer(t, folder), "\n")
	if !strings.Contains(got, `"theirs\nmore of theirs\n"`) || strings.Count(got, "ours\\n#") != 1 {
		t.Errorf("got\n%s", got)
	}
}

// tarOf makes a tar; a name that ends in "/" is a folder, a content that begins with "->" a symlink.
func tarOf(t *testing.T, entries ...[2]string) *tar.Reader {
	t.Helper()
	var packed bytes.Buffer
	to := tar.NewWriter(&packed)
	for _, entry := range entries {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: entry[0], Mode: 0o644, Size: int64(len(entry[1])), Uid: os.Getuid(), Gid: os.Getgid()}
		target, isLink := strings.CutPrefix(entry[1], "->")
		switch {
		case strings.HasSuffix(entry[0], "/"):
			header.Typeflag, header.Mode, header.Size = tar.TypeDir, 0o755, 0
		case isLink:
			header.Typeflag, header.Linkname, header.Size = tar.TypeSymlink, target, 0
		}
		if err := to.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if header.Size > 0 {
			_, _ = to.Write([]byte(entry[1]))
		}
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return tar.NewReader(&packed)
}

func copyInto(t *testing.T, root string, meant copying, entries ...[2]string) error {
	t.Helper()
	if meant.Stage == "" {
		meant.Stage = "s"
	}
	s := &Service{stages: map[string]*stage{"s": {name: "s", step: &step{folder: t.TempDir(), root: root}}}}
	return s.apply(meant, tarOf(t, entries...))
}

func files(t *testing.T, root string) string {
	t.Helper()
	found := []string{}
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			content, _ := os.ReadFile(path)
			found = append(found, strings.TrimPrefix(path, root)+"="+string(content))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(found, " ")
}

func TestACopyGoesWhereContainerEnginesPutIt(t *testing.T) {
	one := []copied{{Name: "a"}}
	for _, row := range []struct {
		what    string
		there   []string // folders
		meant   copying
		entries [][2]string
		want    string
	}{
		{"a file to a new name", nil, copying{Dest: "/x/y", Sources: one}, [][2]string{{"0", "1"}}, "/x/y=1"},
		{"a file into a folder that is there", []string{"x"}, copying{Dest: "/x", Sources: one}, [][2]string{{"0", "1"}}, "/x/a=1"},
		{"a file into a folder by its slash", nil, copying{Dest: "/x/", Folder: true, Sources: one}, [][2]string{{"0", "1"}}, "/x/a=1"},
		{"a folder's contents", nil, copying{Dest: "/x", Sources: one}, [][2]string{{"0/", ""}, {"0/b", "1"}, {"0/c/", ""}, {"0/c/d", "2"}}, "/x/b=1 /x/c/d=2"},
		{"two sources", nil, copying{Dest: "/x/", Folder: true, Sources: []copied{{Name: "a"}, {Name: "b"}}}, [][2]string{{"0", "1"}, {"1/", ""}, {"1/c", "2"}}, "/x/a=1 /x/c=2"},
		{"to the root", nil, copying{Dest: "/", Folder: true, Sources: one}, [][2]string{{"0", "1"}}, "/a=1"},
	} {
		root := t.TempDir()
		for _, folder := range row.there {
			_ = os.Mkdir(filepath.Join(root, folder), 0o755)
		}
		if err := copyInto(t, root, row.meant, row.entries...); err != nil {
			t.Errorf("%s: %v", row.what, err)
		} else if got := files(t, root); got != row.want {
			t.Errorf("%s: got %q, want %q", row.what, got, row.want)
		}
	}
}

func TestAnArchiveIsUnpackedHoweverItIsCompressed(t *testing.T) {
	var plain bytes.Buffer
	entries := tar.NewWriter(&plain)
	if err := entries.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "d/f", Mode: 0o644, Size: 1, Uid: os.Getuid(), Gid: os.Getgid()}); err != nil {
		t.Fatal(err)
	}
	_, _ = entries.Write([]byte("1"))
	if err := entries.Close(); err != nil {
		t.Fatal(err)
	}
	compress := func(open func(io.Writer) (io.WriteCloser, error)) string {
		var out bytes.Buffer
		to, err := open(&out)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = to.Write(plain.Bytes())
		if err := to.Close(); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	zipped := compress(func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil })
	xzed := compress(func(w io.Writer) (io.WriteCloser, error) { return xz.NewWriter(w) })
	for kind, archive := range map[string]string{
		"tar": plain.String(), "gzip": zipped, "xz": xzed,
		"zstd": compress(func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }),
	} {
		root := t.TempDir()
		meant := copying{Dest: "/x/", Folder: true, Sources: []copied{{Name: "a", Extract: true}}}
		if err := copyInto(t, root, meant, [2]string{"0", archive}); err != nil {
			t.Errorf("%s: %v", kind, err)
		} else if got := files(t, root); got != "/x/d/f=1" {
			t.Errorf("%s: got %q", kind, got)
		}
	}
	// What only begins as one is a file.
	for _, broken := range []string{xzed[:20], "\x28\xb5\x2f\xfd", "\xfd7zXZ\x00", zipped[:8]} {
		root := t.TempDir()
		meant := copying{Dest: "/x/", Folder: true, Sources: []copied{{Name: "a", Extract: true}}}
		if err := copyInto(t, root, meant, [2]string{"0", broken}); err != nil {
			t.Errorf("%q: %v", broken, err)
		} else if got := files(t, root); got != "/x/a="+broken {
			t.Errorf("got %q, want %q", got, broken)
		}
	}
}

func TestExcludesAreReadAsThoseOfDockerignore(t *testing.T) {
	for _, row := range []struct {
		patterns []string
		path     string
		want     bool
	}{
		{[]string{"a"}, "a", true}, {[]string{"a"}, "a/b", true}, {[]string{"a"}, "ab", false}, {[]string{"a"}, "b/a", false},
		{[]string{"*.o"}, "x.o", true}, {[]string{"*.o"}, "d/x.o", false}, {[]string{"**/*.o"}, "d/e/x.o", true}, {[]string{"**/*.o"}, "x.o", true},
		{[]string{"d/**"}, "d/e/f", true}, {[]string{"d/**"}, "d", false}, {[]string{"?[a-c]"}, "xb", true}, {[]string{"?[a-c]"}, "xd", false},
		{[]string{`\*`}, "*", true}, {[]string{`\*`}, "x", false}, {[]string{"a", "!a/b"}, "a/b", false}, {[]string{"a", "!a/b"}, "a/c", true},
		{[]string{" a/ "}, "a", true}, {nil, "a", false}, {[]string{"ü*"}, "üx", true}, {[]string{"a.b"}, "axb", false},
	} {
		all, err := parseExcludes(row.patterns)
		if err != nil {
			t.Fatal(err)
		}
		if got := all.match(row.path); got != row.want {
			t.Errorf("%q of %q: %v, want %v", row.path, row.patterns, got, row.want)
		}
	}
	if _, err := parseExcludes([]string{"[a"}); err == nil {
		t.Error("an open bracket was taken for a pattern")
	}
}

func TestACopyNeverLeavesTheTree(t *testing.T) {
	outside := t.TempDir()
	root := t.TempDir()
	_ = os.Symlink(outside, root+"/out")
	_ = os.Symlink("../../../../../../.."+outside, root+"/up")
	one := []copied{{Name: "a"}}
	for _, meant := range []copying{
		{Dest: "/out/x", Sources: one}, {Dest: "/up/x", Sources: one}, {Dest: "/../../../x", Sources: one}, {Dest: "/out", Folder: true, Sources: one},
	} {
		_ = copyInto(t, root, meant, [2]string{"0", "1"})
	}
	for _, name := range []string{"0/../../../../x", "0/out/x", "0/l/x"} {
		_ = copyInto(t, root, copying{Dest: "/d", Sources: one}, [2]string{"0/", ""}, [2]string{"0/l", "->" + outside}, [2]string{name, "1"})
	}
	if left := files(t, outside); left != "" {
		t.Errorf("outside is %s", left)
	}
}

func TestSourcesAreFoundByPatterns(t *testing.T) {
	tree := t.TempDir()
	for _, name := range []string{"a/x.c", "a/y.c", "b/z.c", "b/k/w.c"} {
		_ = os.MkdirAll(filepath.Dir(filepath.Join(tree, name)), 0o755)
		_ = os.WriteFile(filepath.Join(tree, name), nil, 0o644)
	}
	_ = os.Symlink("/a", tree+"/link")
	for pattern, want := range map[string]string{
		"/a/*.c": "/a/x.c /a/y.c", "/*/z.c": "/b/z.c", "/link/x*": "/link/x.c", "/b": "/b", "/[ab]/[xz].c": "/a/x.c /b/z.c",
	} {
		found, err := matches(tree, []string{pattern})
		if err != nil || strings.Join(found, " ") != want {
			t.Errorf("%s: %v %v, want %s", pattern, found, err, want)
		}
	}
	for _, pattern := range []string{"/nothing", "/a/*.d", "/../../../etc/passwd", "/a/[", "/link/../../../../etc/host*"} {
		if found, err := matches(tree, []string{pattern}); err == nil {
			t.Errorf("%s found %v", pattern, found)
		}
	}
}
