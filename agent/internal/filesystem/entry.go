package filesystem

import (
	"os"
	"path/filepath"
	"syscall"
	"time"

	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/place"
)

// entry is envd's EntryInfo in proto3 JSON. Of a symlink, type and mode are its target's, the rest is its own.
type entry struct {
	Name          string            `json:"name"`
	Type          string            `json:"type,omitempty"`
	Path          string            `json:"path"`
	Size          int64             `json:"size,string"`
	Mode          uint32            `json:"mode"`
	Permissions   string            `json:"permissions"`
	Owner         string            `json:"owner"`
	Group         string            `json:"group"`
	ModifiedTime  string            `json:"modifiedTime,omitempty"`
	SymlinkTarget string            `json:"symlinkTarget,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`
}

const (
	typeFile      = "FILE_TYPE_FILE"
	typeDirectory = "FILE_TYPE_DIRECTORY"
)

// names remembers the names of owners: a listing has few owners and many entries.
type names struct {
	users, groups map[uint32]string
}

func newNames() *names { return &names{map[uint32]string{}, map[uint32]string{}} }

func remembered(known map[uint32]string, id uint32, find func(uint32) string) string {
	name, found := known[id]
	if !found {
		name = find(id)
		known[id] = name
	}
	return name
}

func entryAt(what, path string) (entryResponse, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return entryResponse{}, place.Error(what, path, err)
	}
	made := newEntry(path, info, newNames())
	return entryResponse{&made}, nil
}

func newEntry(path string, info os.FileInfo, owners *names) entry {
	made := entry{
		Name: info.Name(), Path: path, Size: info.Size(), Permissions: info.Mode().String(),
		Type: typeOf(info.Mode()), Mode: uint32(info.Mode().Perm()), Metadata: readMetadata(path, info.Mode()),
	}
	// proto's Timestamp knows the years 1 to 9999 only.
	if modified := info.ModTime().UTC(); modified.Year() >= 1 && modified.Year() <= 9999 {
		made.ModifiedTime = modified.Format(time.RFC3339Nano)
	}
	if stat, known := info.Sys().(*syscall.Stat_t); known {
		made.Owner = remembered(owners.users, stat.Uid, account.NameOf)
		made.Group = remembered(owners.groups, stat.Gid, account.GroupNameOf)
	}
	if info.Mode()&os.ModeSymlink != 0 {
		made.followed(path)
	}
	return made
}

func (e *entry) followed(path string) {
	e.Type, e.Mode, e.SymlinkTarget = "", 0, path // as envd answers for a link that leads nowhere
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return
	}
	e.SymlinkTarget = target
	if found, err := os.Lstat(target); err == nil {
		e.Type, e.Mode = typeOf(found.Mode()), uint32(found.Mode().Perm())
	}
}

func typeOf(mode os.FileMode) string {
	switch {
	case mode.IsRegular():
		return typeFile
	case mode.IsDir():
		return typeDirectory
	}
	return "" // FILE_TYPE_UNSPECIFIED: a pipe, a socket, a device
}
