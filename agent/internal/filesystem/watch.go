package filesystem

import (
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"

	"warren.dev/agent/internal/connect"
)

// Watching by a stream (WatchDir), or by asking again and again (CreateWatcher, GetWatcherEvents, RemoveWatcher).

const (
	// Both kinds together: each is an inotify instance, of which the kernel gives root 128.
	watchersMax = 64
	// A watcher that nobody has asked for so long makes room for a new one.
	forgottenAfter   = 10 * time.Minute
	keepAliveDefault = 90 * time.Second
)

type watchRequest struct {
	Path               string `json:"path"`
	Recursive          bool   `json:"recursive"`
	IncludeEntry       bool   `json:"includeEntry"`
	AllowNetworkMounts bool   `json:"allowNetworkMounts"`
}

type watcherRequest struct {
	WatcherID string `json:"watcherId"`
}

type eventsResponse struct {
	Events []event `json:"events"`
}

// watchers are those of CreateWatcher, and the number of all.
type watchers struct {
	lock   sync.Mutex
	open   int
	number int
	polled map[string]*polled
}

type polled struct {
	*watcher
	asked time.Time
}

var (
	startMessage     = connect.Envelope([]byte(`{"start":{}}`))
	keepAliveMessage = connect.Envelope([]byte(`{"keepalive":{}}`))
)

func (s *Service) openWatcher(r *http.Request, request *watchRequest) (*watcher, error) {
	path, _, err := s.asked(r, request.Path)
	if err != nil {
		return nil, err
	}
	if err := s.watchers.reserve(time.Now()); err != nil {
		return nil, err
	}
	opened, err := newWatcher(path, request)
	if err != nil {
		s.watchers.release()
	}
	return opened, err
}

func (ws *watchers) reserve(now time.Time) error {
	ws.lock.Lock()
	defer ws.lock.Unlock()
	if ws.open == watchersMax {
		for id, each := range ws.polled {
			if now.Sub(each.asked) > forgottenAfter {
				ws.drop(id)
			}
		}
	}
	if ws.open == watchersMax {
		return connect.Errorf("resource_exhausted", "cannot watch: there are %d watchers already; remove some", watchersMax)
	}
	ws.open++
	return nil
}

func (ws *watchers) release() {
	ws.lock.Lock()
	ws.open--
	ws.lock.Unlock()
}

// drop is called with the lock held.
func (ws *watchers) drop(id string) {
	ws.polled[id].close()
	delete(ws.polled, id)
	ws.open--
}

func (s *Service) watchDir(w http.ResponseWriter, r *http.Request) {
	var request watchRequest
	var watched *watcher
	err := connect.ReadEnvelope(r.Body, &request)
	if err == nil {
		watched, err = s.openWatcher(r, &request)
	}
	stream := connect.OpenStream(w)
	if err != nil {
		stream.End(err)
		return
	}
	defer s.watchers.release()
	defer watched.close()
	s.stream(stream, r, watched)
}

// stream sends events until the host leaves, the time of the call is over, or the watcher fails.
func (s *Service) stream(stream *connect.Stream, r *http.Request, watched *watcher) {
	if stream.Send(startMessage) != nil {
		return
	}
	every := keepAliveDefault
	if seconds, err := strconv.Atoi(r.Header.Get("Keepalive-Ping-Interval")); err == nil && seconds > 0 {
		every = time.Duration(seconds) * time.Second
	}
	idle := time.NewTimer(every)
	defer idle.Stop()
	var deadline <-chan time.Time
	if ms, err := strconv.ParseInt(r.Header.Get("Connect-Timeout-Ms"), 10, 64); err == nil && ms > 0 {
		deadline = time.After(time.Duration(ms) * time.Millisecond)
	}
	for {
		message := keepAliveMessage
		select {
		case <-r.Context().Done():
			return
		case <-deadline:
			stream.End(connect.Errorf("deadline_exceeded", "the time limit of the call is over"))
			return
		case <-idle.C:
		case <-watched.changed:
			events, err := watched.take()
			if err != nil {
				stream.End(err)
				return
			}
			message = envelopes(events)
		}
		if stream.Send(message) != nil {
			return
		}
		idle.Reset(every)
	}
}

// envelopes are one message for each event, sent together.
func envelopes(events []event) []byte {
	var all []byte
	for i := range events {
		message, err := json.Marshal(map[string]*event{"filesystem": &events[i]})
		if err == nil {
			all = append(all, connect.Envelope(message)...)
		}
	}
	return all
}

type watcherResponse struct {
	WatcherID string `json:"watcherId"`
}

func (s *Service) createWatcher(r *http.Request, request *watchRequest) (watcherResponse, error) {
	opened, err := s.openWatcher(r, request)
	if err != nil {
		return watcherResponse{}, err
	}
	s.watchers.lock.Lock()
	defer s.watchers.lock.Unlock()
	s.watchers.number++
	id := "w" + strconv.Itoa(s.watchers.number)
	s.watchers.polled[id] = &polled{opened, time.Now()}
	return watcherResponse{id}, nil
}

// getWatcherEvents answers the reason once a watcher has failed; then it is gone.
func (s *Service) getWatcherEvents(_ *http.Request, request *watcherRequest) (eventsResponse, error) {
	s.watchers.lock.Lock()
	defer s.watchers.lock.Unlock()
	found, known := s.watchers.polled[request.WatcherID]
	if !known {
		return eventsResponse{}, unknownWatcher(request.WatcherID)
	}
	found.asked = time.Now()
	events, err := found.take()
	if err != nil {
		s.watchers.drop(request.WatcherID)
		return eventsResponse{}, err
	}
	if events == nil {
		events = []event{}
	}
	return eventsResponse{events}, nil
}

func (s *Service) removeWatcher(_ *http.Request, request *watcherRequest) (empty, error) {
	s.watchers.lock.Lock()
	defer s.watchers.lock.Unlock()
	if _, known := s.watchers.polled[request.WatcherID]; !known {
		return empty{}, unknownWatcher(request.WatcherID)
	}
	s.watchers.drop(request.WatcherID)
	return empty{}, nil
}

func unknownWatcher(id string) error {
	return connect.Errorf("not_found", "watcher with id %s not found", id)
}
