package git

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/account"
)

// git/clone: the tar is stored while it arrives, so its size does not matter to memory. Either the clone
// stands whole at the end, or nothing is left of it, nor of the folders made for it.

const (
	clonedTimeout  = time.Hour
	carriedMaxFile = 1 << 30
)

type cloning struct {
	*service
	user     account.User
	manifest *manifest
	folders  *folders
}

// taking makes a handler of what takes a tar of the host and answers where the repository stands then.
func (s *service) taking(take func(context.Context, io.Reader) (head *string, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), clonedTimeout)
		defer cancel()
		head, err := take(ctx, r.Body)
		if err != nil {
			s.env.Logf("%s: %v", r.URL.Path, err)
			writeFailure(w, err)
			return
		}
		writeJSON(w, http.StatusOK, map[string]*string{"head": head})
	}
}

func (s *service) cloneFrom(ctx context.Context, body io.Reader) (head *string, err error) {
	entries := tar.NewReader(body)
	c, err := s.openCloning(entries)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.folders.undo()
		}
	}()
	if err := c.folders.makeTop(c.manifest.Path); err != nil {
		return nil, err
	}
	repositories := c.manifest.Repositories
	for i := range repositories {
		if err := c.layOut(&repositories[i]); err != nil {
			return nil, err
		}
	}
	if err := c.takeEntries(ctx, entries, c.checkOutAll); err != nil {
		return nil, err
	}
	// The work is on its disk soon, also when the machine is killed; nobody waits for it.
	go unix.Sync()
	return repositories[0].Head, ctx.Err()
}

// openCloning reads whom and what it is for; nothing is made yet.
func (s *service) openCloning(entries *tar.Reader) (*cloning, error) {
	m, err := readManifest(entries)
	if err != nil {
		return nil, err
	}
	user, err := s.lookup(m.User)
	if err != nil {
		return nil, err
	}
	if find("git", searchPath()) == "" {
		return nil, errNoGit()
	}
	return &cloning{s, user, m, &folders{user: user}}, nil
}

func readManifest(entries *tar.Reader) (*manifest, error) {
	header, err := entries.Next()
	if err != nil {
		return nil, invalid("the body is not a tar: %v", err)
	}
	if header.Name != "clone.json" || header.Size > manifestMaxBytes {
		return nil, invalid("the tar starts with %q of %d bytes: clone.json of at most %d is wanted", header.Name, header.Size, manifestMaxBytes)
	}
	data, err := io.ReadAll(entries)
	if err != nil {
		return nil, invalid("cannot read clone.json: %v", err)
	}
	return parseManifest(data)
}

// takeEntries stores the packs, fills the working trees when they are complete, then stores carried files over that.
func (c *cloning) takeEntries(ctx context.Context, entries *tar.Reader, fill func(context.Context) error) error {
	files := c.packFiles()
	checkedOut := false
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fail("canceled", "the tar ended early: %v", err)
		}
		if header.Typeflag != tar.TypeReg {
			return invalid("%q in the tar is not a plain file", header.Name)
		}
		if len(files) > 0 {
			if header.Name != files[0].name {
				return invalid("the tar holds %q where %q belongs", header.Name, files[0].name)
			}
			if err := files[0].store(entries); err != nil {
				return err
			}
			files = files[1:]
			continue
		}
		if !checkedOut {
			if err := fill(ctx); err != nil {
				return err
			}
			checkedOut = true
		}
		if err := c.storeCarried(header, entries); err != nil {
			return err
		}
	}
	if len(files) > 0 {
		return invalid("the tar ended without %q", files[0].name)
	}
	if checkedOut {
		return nil
	}
	return fill(ctx)
}

type packFile struct {
	name  string
	store func(io.Reader) error
}

func (c *cloning) packFiles() []packFile {
	var files []packFile
	for i := range c.manifest.Repositories {
		r := &c.manifest.Repositories[i]
		if r.Pack == nil {
			continue
		}
		target := &storedPack{folders: c.folders, folder: filepath.Join(c.gitDir(r), "objects", "pack"), hashBytes: 20}
		if r.ObjectFormat == "sha256" {
			target.hashBytes = 32
		}
		name := "pack-" + strconv.Itoa(*r.Pack)
		files = append(files, packFile{name + ".pack", target.storePack}, packFile{name + ".idx", target.storeIndex})
	}
	return files
}

func (c *cloning) storeCarried(header *tar.Header, content io.Reader) error {
	name, found := strings.CutPrefix(header.Name, "carry/")
	if !found || !safeRelative(name) || header.Size > carriedMaxFile {
		return invalid("cannot carry %q: its path leads out, or it is too large", header.Name)
	}
	at := c.manifest.Path
	parts := strings.Split(name, "/")
	for _, part := range parts[:len(parts)-1] {
		at = filepath.Join(at, part)
		if err := c.folders.ensureReal(at); err != nil {
			return err
		}
	}
	mode := os.FileMode(0o600)
	if header.Mode&0o100 != 0 {
		mode = 0o700
	}
	at = filepath.Join(at, parts[len(parts)-1])
	if err := os.Remove(at); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return c.folders.writeFrom(at, mode, content)
}
