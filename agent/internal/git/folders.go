package git

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"warren.dev/agent/internal/account"
)

// Makes folders and files that belong to the user, and remembers the ones above the clone so that a failed
// clone takes away all that it made and nothing else.

type folders struct {
	user    account.User
	top     string
	existed bool
	made    []string // parents of top, outermost first
}

// makeTop makes path with its parents. An empty folder that is there already will do.
func (f *folders) makeTop(path string) error {
	info, err := os.Lstat(path)
	if err == nil {
		entries, err := os.ReadDir(path)
		if !info.IsDir() || err != nil || len(entries) > 0 {
			return fail("already_exists", "cannot clone to %q: something is there already", path)
		}
		f.top, f.existed = path, true
		return f.own(path)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var missing []string
	for at := filepath.Dir(path); ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil {
			break
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
		missing = append([]string{at}, missing...)
	}
	for _, parent := range missing {
		if err := os.Mkdir(parent, 0o755); err != nil {
			return err
		}
		f.made = append(f.made, parent)
		if err := f.own(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		return err
	}
	f.top = path
	return f.own(path)
}

func (f *folders) undo() {
	if f.top != "" && !f.existed {
		os.RemoveAll(f.top)
	}
	if f.existed {
		entries, _ := os.ReadDir(f.top)
		for _, entry := range entries {
			os.RemoveAll(filepath.Join(f.top, entry.Name()))
		}
	}
	for i := len(f.made) - 1; i >= 0; i-- {
		os.Remove(f.made[i])
	}
}

// make makes path below a folder that is there, with what is missing between.
func (f *folders) make(base string, parts ...string) error {
	at := base
	for _, part := range parts {
		at = filepath.Join(at, part)
		if err := f.ensureReal(at); err != nil {
			return err
		}
	}
	return nil
}

// ensureReal makes the folder path unless it is there; a symlink in its place is refused.
func (f *folders) ensureReal(path string) error {
	err := os.Mkdir(path, 0o755)
	if err == nil {
		return f.own(path)
	}
	info, statErr := os.Lstat(path)
	if statErr != nil {
		return err
	}
	if !info.IsDir() {
		return fail("failed_precondition", "cannot use %q: it is not a folder", path)
	}
	return nil
}

func (f *folders) write(path string, mode os.FileMode, content string) error {
	return f.writeFrom(path, mode, stringReader(content))
}

// writeFrom makes a new file; one that is there already, or a symlink, is an error.
func (f *folders) writeFrom(path string, mode os.FileMode, content io.Reader) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if err := f.ownFile(file); err != nil {
		file.Close()
		return err
	}
	if _, err := io.Copy(file, content); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

func (f *folders) own(path string) error {
	if os.Getuid() != 0 {
		return nil
	}
	return os.Lchown(path, int(f.user.Uid), int(f.user.Gid))
}

func (f *folders) ownFile(file *os.File) error {
	if os.Getuid() != 0 {
		return nil
	}
	return file.Chown(int(f.user.Uid), int(f.user.Gid))
}
