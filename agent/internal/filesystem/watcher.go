package filesystem

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/fsnotify/fsnotify"
	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/place"
)

const (
	// What a slow reader may leave unread; one more ends the watcher.
	queuedMax = 10_000
	// Each folder is one watch of the kernel, about 1 KiB.
	watchedFoldersMax = 100_000
)

type event struct {
	Name  string `json:"name"` // relative to the watched folder
	Type  string `json:"type"`
	Entry *entry `json:"entry,omitempty"`
}

// eventTypes are in the order in which several of one notice are told.
var eventTypes = []struct {
	operation fsnotify.Op
	name      string
}{
	{fsnotify.Create, "EVENT_TYPE_CREATE"},
	{fsnotify.Rename, "EVENT_TYPE_RENAME"},
	{fsnotify.Chmod, "EVENT_TYPE_CHMOD"},
	{fsnotify.Write, "EVENT_TYPE_WRITE"},
	{fsnotify.Remove, "EVENT_TYPE_REMOVE"},
}

const writeEvent = "EVENT_TYPE_WRITE"

// watcher collects the events of one folder until it is closed, or until it fails.
type watcher struct {
	path      string // as it was asked for
	real      string // without symlinks: what the kernel's notices are about
	recursive bool
	entries   bool
	notify    *fsnotify.Watcher
	folders   map[string]struct{} // that are watched; only of the goroutine that follows

	// changed has a value when there is something to take.
	changed chan struct{}

	lock   sync.Mutex
	queued []event
	failed error
}

func newWatcher(path string, request *watchRequest) (*watcher, error) {
	real, err := realFolder(path)
	if err != nil {
		return nil, err
	}
	if !request.AllowNetworkMounts && onNetwork(real) {
		return nil, connect.Errorf("invalid_argument", "cannot watch '%s': it is on a network file system, which does not tell of all changes", path)
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, place.Error("watch", path, err)
	}
	w := &watcher{
		path: path, real: real, recursive: request.Recursive, entries: request.IncludeEntry, notify: notify,
		folders: map[string]struct{}{}, changed: make(chan struct{}, 1),
	}
	go w.followErrors()
	err = w.add(real)
	if err == nil && w.recursive {
		err = w.addBelow(real, false)
	}
	if err != nil {
		notify.Close()
		return nil, err
	}
	go w.follow()
	return w, nil
}

func (w *watcher) close() { w.notify.Close() }

// take answers what has happened since the last time, and at the end of that what the watcher died of.
func (w *watcher) take() ([]event, error) {
	w.lock.Lock()
	defer w.lock.Unlock()
	taken := w.queued
	w.queued = nil
	if len(taken) > 0 {
		if w.failed != nil {
			w.wake()
		}
		return taken, nil
	}
	return nil, w.failed
}

// follow ends when the watcher is closed or has failed.
func (w *watcher) follow() {
	for notice := range w.notify.Events {
		if err := w.handle(notice); err != nil {
			w.fail(err)
			return
		}
	}
}

// followErrors is a goroutine of its own: fsnotify holds its lock while it tells an error, and handle wants that lock.
func (w *watcher) followErrors() {
	for err := range w.notify.Errors {
		switch {
		case errors.Is(err, fsnotify.ErrEventOverflow):
			w.fail(connect.Errorf("resource_exhausted", "cannot watch '%s': more happened than the kernel could tell", w.path))
		case errors.Is(err, unix.EINVAL): // a folder was moved and removed before its watch could be ended
		default:
			w.fail(place.Error("watch", w.path, err))
		}
	}
}

func (w *watcher) fail(err error) {
	go w.notify.Close() // it waits for its errors to be taken
	w.lock.Lock()
	defer w.lock.Unlock()
	if w.failed == nil {
		w.failed = err
	}
	w.wake()
}

func (w *watcher) handle(notice fsnotify.Event) error {
	if notice.Op.Has(fsnotify.Rename) {
		w.forgetMoved(notice.Name)
	}
	if notice.Op.Has(fsnotify.Remove) {
		delete(w.folders, notice.Name) // the kernel has forgotten it already
	}
	for _, each := range eventTypes {
		if notice.Op.Has(each.operation) {
			if err := w.tell(notice.Name, each.name); err != nil {
				return err
			}
		}
	}
	if notice.Op.Has(fsnotify.Create) && w.recursive {
		if found, err := os.Lstat(notice.Name); err == nil && found.IsDir() {
			if err := w.add(notice.Name); err != nil {
				return err
			}
			return w.addBelow(notice.Name, true)
		}
	}
	return nil
}

// add watches a folder. One that is gone already is no error, unless it is the top.
func (w *watcher) add(folder string) error {
	if len(w.folders) >= watchedFoldersMax {
		return connect.Errorf("resource_exhausted", "cannot watch '%s': it holds more than %d folders", w.path, watchedFoldersMax)
	}
	switch err := w.notify.Add(folder); {
	case err == nil:
		w.folders[folder] = struct{}{}
		return nil
	case errors.Is(err, unix.ENOENT) && folder != w.real:
		return nil
	case errors.Is(err, unix.ENOSPC):
		return connect.Errorf("resource_exhausted", "cannot watch '%s': the kernel watches no more folders (fs.inotify.max_user_watches)", w.path)
	default:
		return place.Error("watch", folder, err)
	}
}

// addBelow watches what is in a folder that is watched already. With tell, what is found is new: it came before the
// kernel was asked to watch. What comes in between is told twice.
func (w *watcher) addBelow(folder string, tell bool) error {
	return filepath.WalkDir(folder, func(at string, found fs.DirEntry, err error) error {
		if at == folder || err != nil { // unreadable or gone: nothing to be told of
			return nil
		}
		if tell {
			if err := w.tell(at, eventTypes[0].name); err != nil {
				return err
			}
		}
		if found.IsDir() {
			return w.add(at)
		}
		return nil
	})
}

// forgetMoved: the kernel follows a folder to its new place, where its notices would have the old names.
func (w *watcher) forgetMoved(name string) {
	if _, watched := w.folders[name]; !watched || name == w.real {
		return
	}
	for folder := range w.folders {
		if folder == name || strings.HasPrefix(folder, name+"/") {
			_ = w.notify.Remove(folder)
			delete(w.folders, folder)
		}
	}
}

func (w *watcher) tell(path, kind string) error {
	name, err := filepath.Rel(w.real, path)
	if err != nil {
		return nil
	}
	told := event{Name: name, Type: kind}
	if w.entries && kind != "EVENT_TYPE_REMOVE" && kind != "EVENT_TYPE_RENAME" {
		asked := filepath.Join(w.path, name)
		if info, err := os.Lstat(asked); err == nil {
			made := newEntry(asked, info, newNames())
			told.Entry = &made
		}
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	if last := len(w.queued) - 1; last >= 0 && kind == writeEvent && w.queued[last].Type == kind && w.queued[last].Name == name {
		w.queued[last] = told // a file that is written in many pieces
		return nil
	}
	if len(w.queued) == queuedMax {
		return connect.Errorf("resource_exhausted", "cannot watch '%s': %d events were not taken", w.path, queuedMax)
	}
	w.queued = append(w.queued, told)
	w.wake()
	return nil
}

func (w *watcher) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// onNetwork: there the kernel does not hear of what others change.
func onNetwork(path string) bool {
	var system unix.Statfs_t
	if unix.Statfs(path, &system) != nil {
		return false
	}
	const cifs, smb2, ceph = 0xff534d42, 0xfe534d42, 0x00c36400 // statfs(2)
	switch uint32(system.Type) {
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, cifs, smb2, ceph, unix.AFS_SUPER_MAGIC, unix.V9FS_MAGIC, unix.FUSE_SUPER_MAGIC:
		return true
	}
	return false
}
