package git

import (
	"path/filepath"
	"strings"
)

// Writes the folders and files of a repository as `git init` would, by hand: each program that is started
// costs tens of milliseconds in an emulated machine, and all of this is documented in gitrepository-layout.

const excludeFile = "# Patterns that only this repository ignores, one on a line.\n"

func (c *cloning) gitDir(r *repository) string {
	if r.Path == "" {
		return filepath.Join(c.manifest.Path, ".git")
	}
	return filepath.Join(c.gitDir(c.holderOf(r)), "modules", r.Name)
}

func (c *cloning) worktree(r *repository) string {
	return filepath.Join(c.manifest.Path, r.Path)
}

// holderOf is the repository that a submodule is a gitlink of: the one with the longest path above it.
func (c *cloning) holderOf(r *repository) *repository {
	holder := &c.manifest.Repositories[0]
	for i := range c.manifest.Repositories {
		other := &c.manifest.Repositories[i]
		if other.Path != "" && strings.HasPrefix(r.Path, other.Path+"/") && len(other.Path) > len(holder.Path) {
			holder = other
		}
	}
	return holder
}

func (c *cloning) layOut(r *repository) error {
	gitDir := c.gitDir(r)
	if r.Path == "" {
		if err := c.folders.make(c.manifest.Path, ".git"); err != nil {
			return err
		}
	} else {
		holder := c.gitDir(c.holderOf(r))
		if err := c.folders.make(holder, append([]string{"modules"}, strings.Split(r.Name, "/")...)...); err != nil {
			return err
		}
	}
	for _, parts := range [][]string{{"objects", "pack"}, {"objects", "info"}, {"refs", "heads"}, {"refs", "tags"}, {"info"}} {
		if err := c.folders.make(gitDir, parts...); err != nil {
			return err
		}
	}
	files := map[string]string{"HEAD": r.headFile(), "config": c.configFile(r), "info/exclude": excludeFile}
	if refs := r.packedRefs(); refs != "" {
		files["packed-refs"] = refs
	}
	if len(r.Shallow) > 0 {
		files["shallow"] = strings.Join(r.Shallow, "\n") + "\n"
	}
	for name, content := range files {
		if err := c.folders.write(filepath.Join(gitDir, name), 0o644, content); err != nil {
			return err
		}
	}
	return nil
}

func (r *repository) headFile() string {
	if r.Branch != nil {
		return "ref: refs/heads/" + *r.Branch + "\n"
	}
	return *r.Head + "\n"
}

func (r *repository) packedRefs() string {
	if r.Head == nil {
		return ""
	}
	refs := *r.Head + " refs/warren/base\n"
	if r.Branch != nil {
		refs = *r.Head + " refs/heads/" + *r.Branch + "\n" + refs
	}
	return "# pack-refs with: peeled fully-peeled sorted \n" + refs
}

func (c *cloning) configFile(r *repository) string {
	version := "0"
	if r.ObjectFormat == "sha256" {
		version = "1"
	}
	rows := []string{"[core]", "repositoryformatversion = " + version, "filemode = true", "bare = false", "logallrefupdates = true"}
	if r.Path != "" {
		up, err := filepath.Rel(c.gitDir(r), c.worktree(r))
		if err == nil {
			rows = append(rows, "worktree = "+quote(up))
		}
	}
	if version == "1" {
		rows = append(rows, "[extensions]", "objectformat = sha256")
	}
	if id := c.manifest.Identity; id != nil {
		rows = append(rows, "[user]", "name = "+quote(id.Name), "email = "+quote(id.Email))
	}
	for i := range c.manifest.Repositories {
		inner := &c.manifest.Repositories[i]
		if inner.Path == "" || c.holderOf(inner) != r {
			continue
		}
		rows = append(rows, "[submodule "+quote(inner.Name)+"]", "active = true")
		if inner.URL != nil {
			rows = append(rows, "url = "+quote(*inner.URL))
		}
	}
	for i, row := range rows {
		if !strings.HasPrefix(row, "[") {
			rows[i] = "\t" + row
		}
	}
	return strings.Join(rows, "\n") + "\n"
}

// quote writes a value, or the name of a section, as git's configuration wants it.
func quote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}
