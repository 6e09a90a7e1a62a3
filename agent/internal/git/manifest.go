package git

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
)

// The first entry of the tar that git/clone takes, as docs/CHANNEL.md has it; src/repo/manifest.ts is its
// mirror. Parsing it is where every name in it becomes safe to join to a path or to write into a file.

type manifest struct {
	Path         string       `json:"path"`
	User         string       `json:"user"`
	ObjectFormat string       `json:"objectFormat"`
	Identity     *identity    `json:"identity"`
	Repositories []repository `json:"repositories"`
}

type identity struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

type repository struct {
	Path         string   `json:"path"`
	Name         string   `json:"name"`
	ObjectFormat string   `json:"objectFormat"`
	Branch       *string  `json:"branch"`
	Head         *string  `json:"head"`
	Index        *string  `json:"index"`
	Worktree     *string  `json:"worktree"`
	Shallow      []string `json:"shallow"`
	URL          *string  `json:"url"`
	Pack         *int     `json:"pack"`
}

const (
	manifestMaxBytes = 16 << 20
	repositoriesMax  = 1100
)

func parseManifest(data []byte) (*manifest, error) {
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, invalid("clone.json is not valid JSON: %v", err)
	}
	if !path.IsAbs(m.Path) || path.Clean(m.Path) != m.Path || m.Path == "/" || strings.ContainsRune(m.Path, 0) {
		return nil, invalid("cannot clone to %q: it must be a clean absolute path", m.Path)
	}
	if n := len(m.Repositories); n == 0 || n > repositoriesMax {
		return nil, invalid("clone.json names %d repositories, between 1 and %d are allowed", n, repositoriesMax)
	}
	seen := map[string]bool{}
	packs := 0
	for i := range m.Repositories {
		r := &m.Repositories[i]
		if err := r.check(i == 0); err != nil {
			return nil, invalid("clone.json, repository %q: %v", r.Path, err)
		}
		if seen[r.Path] {
			return nil, invalid("clone.json names repository %q twice", r.Path)
		}
		seen[r.Path] = true
		if r.Pack != nil {
			if *r.Pack != packs {
				return nil, invalid("clone.json, repository %q: pack %d is out of order", r.Path, *r.Pack)
			}
			packs++
		}
	}
	if id := m.Identity; id != nil && strings.ContainsAny(id.Name+id.Email, "\x00\n\r") {
		return nil, invalid("clone.json: the identity holds a line break")
	}
	return &m, nil
}

func (r *repository) check(first bool) error {
	if first != (r.Path == "") || first != (r.Name == "") {
		return fmt.Errorf("the first repository, and no other, has no path and no name")
	}
	if !first && (!safeRelative(r.Path) || !safeRelative(r.Name) || strings.ContainsAny(r.Name, "\n\r")) {
		return fmt.Errorf("its path or its name %q leads out of the repository", r.Name)
	}
	if r.ObjectFormat != "sha1" && r.ObjectFormat != "sha256" {
		return fmt.Errorf("its object format %q is unknown", r.ObjectFormat)
	}
	for _, id := range append([]string{deref(r.Head), deref(r.Index), deref(r.Worktree)}, r.Shallow...) {
		if id != "" && !isObjectID(id, r.ObjectFormat) {
			return fmt.Errorf("%q is not an object id", id)
		}
	}
	if r.Branch != nil && !isBranchName(*r.Branch) {
		return fmt.Errorf("%q is not a branch name", *r.Branch)
	}
	if r.Branch == nil && r.Head == nil {
		return fmt.Errorf("it has neither a branch nor a commit")
	}
	if r.URL != nil && strings.ContainsAny(*r.URL, "\x00\n\r") {
		return fmt.Errorf("its url holds a line break")
	}
	return nil
}

// safeRelative says whether name can be joined to a folder without leaving it, and without meeting a .git.
func safeRelative(name string) bool {
	if name == "" || strings.ContainsRune(name, 0) {
		return false
	}
	for _, part := range strings.Split(name, "/") {
		if part == "" || part == "." || part == ".." || strings.EqualFold(part, ".git") {
			return false
		}
	}
	return true
}

func isObjectID(id, format string) bool {
	if (format == "sha1" && len(id) != 40) || (format == "sha256" && len(id) != 64) {
		return false
	}
	return strings.Trim(id, "0123456789abcdef") == ""
}

// isBranchName follows git-check-ref-format, and is narrower where that costs nothing.
func isBranchName(name string) bool {
	if name == "" || len(name) > 200 || name[0] == '-' || name == "HEAD" ||
		strings.ContainsAny(name, " ~^:?*[\\\x7f") || strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return false
	}
	for _, c := range name {
		if c < 0x20 {
			return false
		}
	}
	for _, part := range strings.Split(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") || strings.HasSuffix(part, ".") {
			return false
		}
	}
	return true
}

func deref(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}
