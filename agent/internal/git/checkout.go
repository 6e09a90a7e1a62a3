package git

import (
	"context"
	"path/filepath"
	"strings"
)

// Fills the working trees. `read-tree -u` onto an empty index is the shortest way: it writes files from several
// workers and never looks at what is there; a second one, without -u, gives the index its own tree and keeps
// what it knows about the files.

func (c *cloning) checkOutAll(ctx context.Context) error {
	for i := range c.manifest.Repositories {
		r := &c.manifest.Repositories[i]
		if r.Path != "" {
			if err := c.linkWorktree(r); err != nil {
				return err
			}
		}
		if err := c.checkOut(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func (c *cloning) checkOut(ctx context.Context, r *repository) error {
	index := deref(r.Index)
	if index == "" {
		index = deref(r.Head)
	}
	worktree := deref(r.Worktree)
	if worktree == "" {
		worktree = index
	}
	if worktree == "" {
		return nil
	}
	// Zero workers: as many as there are processors.
	settings := []string{"-c", "checkout.workers=0", "-c", "submodule.recurse=false"}
	fill := append(settings, "read-tree", "--reset", "-u", worktree)
	if _, err := c.git(ctx, c.command(r, fill)); err != nil {
		return err
	}
	if index == worktree {
		return nil
	}
	_, err := c.git(ctx, c.command(r, []string{"read-tree", "-m", index}))
	return err
}

func (c *cloning) command(r *repository, args []string) command {
	return command{user: c.user, dir: c.worktree(r), args: args, timeout: clonedTimeout}
}

// linkWorktree puts the .git file of a submodule into the folder that its parent's checkout made.
func (c *cloning) linkWorktree(r *repository) error {
	at := c.worktree(c.holderOf(r))
	inside, err := filepath.Rel(at, c.worktree(r))
	if err != nil {
		return err
	}
	if err := c.folders.make(at, strings.Split(inside, "/")...); err != nil {
		return err
	}
	gitDir, err := filepath.Rel(c.worktree(r), c.gitDir(r))
	if err != nil {
		return err
	}
	return c.folders.write(filepath.Join(c.worktree(r), ".git"), 0o644, "gitdir: "+gitDir+"\n")
}
