package git

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// git/update: a clone that is there already gets what is new and stands where the host stands. What git tracks becomes
// what the manifest says, whatever was done to it here; what git does not track stays: that is what the clone was
// prepared for. When it fails, the clone is in no state to be used.

const updating = ".warren-new"

func (s *service) updateFrom(ctx context.Context, body io.Reader) (*string, error) {
	entries := tar.NewReader(body)
	c, err := s.openCloning(entries)
	if err != nil {
		return nil, err
	}
	isNew := map[*repository]bool{}
	for i := range c.manifest.Repositories {
		r := &c.manifest.Repositories[i]
		info, err := os.Lstat(c.gitDir(r))
		if i > 0 && errors.Is(err, os.ErrNotExist) {
			// A submodule that was checked out on the host since.
			isNew[r] = true
			if err := c.layOut(r); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil || !info.IsDir() {
			return nil, fail("failed_precondition", "cannot update %q: there is no repository", c.worktree(r))
		}
		pack := filepath.Join(c.gitDir(r), "objects", "pack", incoming)
		if err := os.Remove(pack); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	moveAll := func(ctx context.Context) error { return c.moveAll(ctx, isNew) }
	if err := c.takeEntries(ctx, entries, moveAll); err != nil {
		return nil, err
	}
	go unix.Sync()
	return c.manifest.Repositories[0].Head, ctx.Err()
}

func (c *cloning) moveAll(ctx context.Context, isNew map[*repository]bool) error {
	for i := range c.manifest.Repositories {
		r := &c.manifest.Repositories[i]
		settle := c.move
		if isNew[r] {
			settle = func(r *repository) error { return c.adopt(ctx, r) }
		}
		if err := settle(r); err != nil {
			return err
		}
		if err := c.checkOut(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// adopt makes a new repository a submodule of the one that holds it.
func (c *cloning) adopt(ctx context.Context, r *repository) error {
	if err := c.linkWorktree(r); err != nil {
		return err
	}
	rows := [][]string{{"active", "true"}}
	if r.URL != nil {
		rows = append(rows, []string{"url", *r.URL})
	}
	for _, row := range rows {
		set := []string{"config", "submodule." + r.Name + "." + row[0], row[1]}
		if _, err := c.git(ctx, c.command(c.holderOf(r), set)); err != nil {
			return err
		}
	}
	return nil
}

// move sets the refs by hand, as layOut does: a loose ref is what counts, whatever packed-refs says.
func (c *cloning) move(r *repository) error {
	gitDir := c.gitDir(r)
	if r.Head != nil {
		refs := []string{"refs/warren/base"}
		if r.Branch != nil {
			refs = append(refs, "refs/heads/"+*r.Branch)
		}
		for _, ref := range refs {
			if err := c.replace(gitDir, ref, *r.Head+"\n"); err != nil {
				return err
			}
		}
	}
	if len(r.Shallow) > 0 {
		if err := c.replace(gitDir, "shallow", strings.Join(r.Shallow, "\n")+"\n"); err != nil {
			return err
		}
	} else if err := os.Remove(filepath.Join(gitDir, "shallow")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// What a git that was killed has left.
	for _, name := range []string{"index.lock", "HEAD.lock", "shallow.lock"} {
		os.Remove(filepath.Join(gitDir, name))
	}
	return c.replace(gitDir, "HEAD", r.headFile())
}

// replace puts a file in the place of whatever name is; folders between are made.
func (c *cloning) replace(gitDir, name, content string) error {
	parts := strings.Split(name, "/")
	last := len(parts) - 1
	if err := c.folders.make(gitDir, parts[:last]...); err != nil {
		return err
	}
	at := filepath.Join(append([]string{gitDir}, parts...)...)
	os.Remove(at + updating)
	if err := c.folders.write(at+updating, 0o644, content); err != nil {
		return err
	}
	return os.Rename(at+updating, at)
}
