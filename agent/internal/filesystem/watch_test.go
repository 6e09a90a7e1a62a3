package filesystem

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"warren.dev/agent/internal/connect"
)

const patience = 10 * time.Second

// watching is a WatchDir stream; it fails the test when nothing comes.
type watching struct {
	*server
	body io.ReadCloser
	end  context.CancelFunc
}

type message struct {
	Start, Keepalive *struct{}
	Filesystem       *event
	Error            *connect.Error
	ended            bool
}

func (s *server) watch(header http.Header, request map[string]any) *watching {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.Cleanup(cancel)
	asked, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/filesystem.Filesystem/WatchDir", bytes.NewReader(connect.Envelope(mustJSON(s.T, request))))
	must(s.T, err)
	if header != nil {
		asked.Header = header
	}
	response, err := http.DefaultClient.Do(asked)
	must(s.T, err)
	s.Cleanup(func() { response.Body.Close() })
	return &watching{s, response.Body, cancel}
}

func (w *watching) next() message {
	w.Helper()
	var head [5]byte
	_, err := io.ReadFull(w.body, head[:])
	must(w.T, err)
	data := make([]byte, binary.BigEndian.Uint32(head[1:]))
	_, err = io.ReadFull(w.body, data)
	must(w.T, err)
	got := message{ended: head[0] == 2}
	must(w.T, json.Unmarshal(data, &got))
	return got
}

// started reads the first message.
func (w *watching) started() *watching {
	w.Helper()
	if got := w.next(); got.Start == nil {
		w.Fatalf("the first message is %+v", got)
	}
	return w
}

// until reads to the wanted event, "CREATE a/b", and answers it and all before.
func (w *watching) until(wanted string) (event, []string) {
	w.Helper()
	var seen []string
	for {
		got := w.next()
		if got.Filesystem == nil {
			w.Fatalf("no event but %+v; seen: %q", got, seen)
		}
		seen = append(seen, strings.TrimPrefix(got.Filesystem.Type, "EVENT_TYPE_")+" "+got.Filesystem.Name)
		if seen[len(seen)-1] == wanted {
			return *got.Filesystem, seen
		}
	}
}

func TestWatchDir(t *testing.T) {
	s := start(t)
	must(t, os.MkdirAll(s.home("top/sub"), 0o755))
	must(t, os.Symlink("top", s.home("link")))
	w := s.watch(nil, map[string]any{"path": "link"}).started()
	must(t, os.WriteFile(s.home("top/sub/unseen"), nil, 0o644))
	must(t, os.WriteFile(s.home("top/f"), []byte("x"), 0o644))
	if told, seen := w.until("CREATE f"); len(seen) != 1 || told.Entry != nil {
		t.Errorf("%+v after %q", told, seen)
	}
	w.until("WRITE f")
	must(t, os.Chmod(s.home("top/f"), 0o600))
	w.until("CHMOD f")
	must(t, os.Rename(s.home("top/f"), s.home("top/g")))
	w.until("RENAME f")
	w.until("CREATE g")
	must(t, os.Remove(s.home("top/g")))
	w.until("REMOVE g")
}

func TestWatchDirWithEntries(t *testing.T) {
	s := start(t)
	w := s.watch(nil, map[string]any{"path": "", "includeEntry": true}).started()
	must(t, os.Mkdir(s.home("folder"), 0o755))
	told, _ := w.until("CREATE folder")
	if told.Entry == nil || told.Entry.Type != typeDirectory || told.Entry.Path != s.home("folder") {
		t.Errorf("%+v", told)
	}
	must(t, os.Remove(s.home("folder")))
	if told, _ := w.until("REMOVE folder"); told.Entry != nil {
		t.Errorf("%+v", told)
	}
}

func TestWatchDirRecursive(t *testing.T) {
	s := start(t)
	must(t, os.MkdirAll(s.home("old/er"), 0o755))
	w := s.watch(nil, map[string]any{"path": "~", "recursive": true}).started()
	must(t, os.WriteFile(s.home("old/er/f"), nil, 0o644))
	w.until("CREATE old/er/f")

	must(t, os.MkdirAll(s.home("new/a/b"), 0o755))
	must(t, os.WriteFile(s.home("new/a/b/f"), nil, 0o644))
	w.until("CREATE new/a/b/f")

	// Under its new name only, and at once a folder of the old name again.
	must(t, os.Rename(s.home("old"), s.home("moved")))
	must(t, os.MkdirAll(s.home("old/er"), 0o755))
	w.until("RENAME old")
	w.until("CREATE old/er")
	must(t, os.WriteFile(s.home("moved/er/g"), nil, 0o644))
	w.until("CREATE moved/er/g")
	must(t, os.WriteFile(s.home("old/er/h"), nil, 0o644))
	w.until("CREATE old/er/h")

	// Once it is outside, it is nobody's business.
	must(t, os.Rename(s.home("moved"), filepath.Join(t.TempDir(), "away")))
	w.until("RENAME moved")
	must(t, os.RemoveAll(s.home("new")))
	w.until("REMOVE new")
}

// A folder that is moved out and removed at once makes fsnotify tell an error while it holds its lock.
func TestWatchDirSurvivesMovesAndRemovals(t *testing.T) {
	s, outside := start(t), t.TempDir()
	w := s.watch(nil, map[string]any{"path": "~", "recursive": true}).started()
	for i := range 200 {
		name := fmt.Sprint(i)
		must(t, os.MkdirAll(s.home(name+"/a"), 0o755))
		must(t, os.Rename(s.home(name), filepath.Join(outside, name)))
		must(t, os.RemoveAll(filepath.Join(outside, name)))
	}
	must(t, os.WriteFile(s.home("last"), nil, 0o644))
	w.until("CREATE last")
}

func TestWatchDirErrors(t *testing.T) {
	s := start(t)
	must(t, os.WriteFile(s.home("f"), nil, 0o644))
	for path, code := range map[string]string{"none": "not_found", "f": "invalid_argument"} {
		got := s.watch(nil, map[string]any{"path": path}).next()
		if got.Error == nil || got.Error.Code != code || !got.ended {
			t.Errorf("%s: %+v", path, got.Error)
		}
		if got := s.call("CreateWatcher", map[string]string{"path": path}); got.Code != code {
			t.Errorf("%s: %s", path, got.raw)
		}
	}
	if open := s.service.watchers.open; open != 0 {
		t.Errorf("%d watchers are counted", open)
	}
}

func TestWatchDirKeepsAliveAndEnds(t *testing.T) {
	s := start(t)
	w := s.watch(http.Header{"Keepalive-Ping-Interval": {"1"}, "Connect-Timeout-Ms": {"4500"}}, map[string]any{"path": "~"}).started()
	// Four come where nobody is busy.
	got, keptAlive := w.next(), 0
	for ; got.Keepalive != nil; got = w.next() {
		keptAlive++
	}
	if keptAlive == 0 || got.Error == nil || got.Error.Code != "deadline_exceeded" {
		t.Errorf("%+v after %d", got, keptAlive)
	}
}

func (s *server) eventuallyOpen(want int) {
	s.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) { // the handler's end tells nobody
		s.service.watchers.lock.Lock()
		open := s.service.watchers.open
		s.service.watchers.lock.Unlock()
		if open == want && inotifies() == want {
			return
		}
		if time.Now().After(deadline) {
			s.Fatalf("%d watchers are counted and %d open: %d wanted", open, inotifies(), want)
		}
	}
}

func inotifies() (count int) {
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		if to, _ := os.Readlink(link); to == "anon_inode:inotify" {
			count++
		}
	}
	return count
}

func TestWatchersAreReleased(t *testing.T) {
	s := start(t)
	one, two := s.watch(nil, map[string]any{"path": "~"}).started(), s.watch(nil, map[string]any{"path": "~", "recursive": true}).started()
	s.eventuallyOpen(2)
	one.end()
	s.eventuallyOpen(1)
	two.end()
	s.eventuallyOpen(0)
}

func (w *watcher) wait(t *testing.T) {
	t.Helper()
	select {
	case <-w.changed:
	case <-time.After(patience):
		t.Fatal("the watcher has nothing to tell")
	}
}

func TestPolledWatchers(t *testing.T) {
	s := start(t)
	var made watcherResponse
	must(t, json.Unmarshal([]byte(s.call("CreateWatcher", map[string]any{"path": "~", "recursive": true}).raw), &made))
	ask := func() (events eventsResponse, code string) {
		got := s.call("GetWatcherEvents", watcherRequest{made.WatcherID})
		must(t, json.Unmarshal([]byte(got.raw), &events))
		return events, got.Code
	}
	if got := s.call("GetWatcherEvents", watcherRequest{made.WatcherID}); got.raw != `{"events":[]}` {
		t.Error(got.raw)
	}
	must(t, os.WriteFile(s.home("f"), nil, 0o644))
	s.service.watchers.polled[made.WatcherID].wait(t)
	if events, _ := ask(); len(events.Events) != 1 || events.Events[0].Name != "f" || events.Events[0].Type != "EVENT_TYPE_CREATE" {
		t.Errorf("%+v", events)
	}
	if events, _ := ask(); len(events.Events) != 0 {
		t.Errorf("told again: %+v", events)
	}
	if got := s.call("RemoveWatcher", watcherRequest{made.WatcherID}); got.Code != "" {
		t.Error(got.raw)
	}
	s.eventuallyOpen(0)
	if _, code := ask(); code != "not_found" {
		t.Error(code)
	}
	if got := s.call("RemoveWatcher", watcherRequest{made.WatcherID}); got.Code != "not_found" {
		t.Error(got.raw)
	}
}

func TestWatchersAreBounded(t *testing.T) {
	s := start(t)
	for range watchersMax {
		if got := s.call("CreateWatcher", map[string]string{"path": "~"}); got.Code != "" {
			t.Fatal(got.raw)
		}
	}
	if got := s.call("CreateWatcher", map[string]string{"path": "~"}); got.Code != "resource_exhausted" {
		t.Error(got.raw)
	}
	s.service.watchers.polled["w7"].asked = time.Now().Add(-forgottenAfter - time.Second)
	if got := s.call("CreateWatcher", map[string]string{"path": "~"}); got.Code != "" {
		t.Error(got.raw)
	}
	if got := s.call("GetWatcherEvents", watcherRequest{"w7"}); got.Code != "not_found" {
		t.Error(got.raw)
	}
	for id := range s.service.watchers.polled {
		s.call("RemoveWatcher", watcherRequest{id})
	}
	s.eventuallyOpen(0)
}

// What was told before stays; then comes the error, and the watcher is gone.
func TestQueueIsBounded(t *testing.T) {
	s := start(t)
	s.call("CreateWatcher", map[string]string{"path": "~"})
	w := s.service.watchers.polled["w1"].watcher
	for i := range queuedMax {
		must(t, w.tell(filepath.Join(w.real, fmt.Sprint(i)), "EVENT_TYPE_CREATE"))
	}
	must(t, os.WriteFile(s.home("one more"), nil, 0o644))
	for failed := false; !failed; {
		w.wait(t)
		w.lock.Lock()
		failed = w.failed != nil
		w.lock.Unlock()
	}
	var got eventsResponse
	must(t, json.Unmarshal([]byte(s.call("GetWatcherEvents", watcherRequest{"w1"}).raw), &got))
	if len(got.Events) != queuedMax {
		t.Errorf("%d events", len(got.Events))
	}
	if got := s.call("GetWatcherEvents", watcherRequest{"w1"}); got.Code != "resource_exhausted" {
		t.Error(got.raw)
	}
	s.eventuallyOpen(0)
}

func TestWritesAreToldOnce(t *testing.T) {
	w := &watcher{real: "/top", changed: make(chan struct{}, 1)}
	for _, told := range []string{"CREATE a", "WRITE a", "WRITE a", "WRITE b", "WRITE a"} {
		kind, name, _ := strings.Cut(told, " ")
		must(t, w.tell("/top/"+name, "EVENT_TYPE_"+kind))
	}
	if events, _ := w.take(); len(events) != 4 {
		t.Errorf("%+v", events)
	}
	w.failed = errors.New("broken")
	if _, err := w.take(); err == nil {
		t.Error("it is told of no failure")
	}
}
