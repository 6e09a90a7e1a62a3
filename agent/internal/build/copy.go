package build

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/connect"
	"warren.dev/agent/internal/place"
)

const (
	copyHead         = "copy.json" // the first entry of a copy's tar
	sourcesMax       = 100_000
	afterEndMaxBytes = 1 << 20
)

// copying is a COPY or ADD. The entries of source 3 are `3` when it is a file, `3/` and `3/…` when it is a folder.
type copying struct {
	Stage string `json:"stage"`
	Dest  string `json:"dest"`
	// Folder: the destination is one, whatever is there.
	Folder  bool     `json:"folder"`
	Sources []copied `json:"sources"`
	Chown   string   `json:"chown"`
	Chmod   string   `json:"chmod"`
}

type copied struct {
	// Name is what a file is called in a folder.
	Name string `json:"name"`
	// Extract: if it is an archive, what it holds is meant (ADD).
	Extract bool `json:"extract"`
	// Untimed: when it was changed last is not known.
	Untimed bool `json:"untimed"`
}

// folder makes a WORKDIR.
func (s *Service) folder(_ *http.Request, request *folderRequest) (nothing, error) {
	on, err := s.opened(request.Stage)
	if err != nil {
		return nothing{}, err
	}
	// As container engines have it: what belongs to nobody who is there is root's.
	by, err := parseOwner(on.root, request.User)
	if err != nil || by == nil {
		by = &owner{}
	}
	folder, err := makeFolders(on.root, request.Path, *by, nil)
	if err != nil {
		return nothing{}, place.Error("make", request.Path, err)
	}
	return nothing{}, folder.Close()
}

// copy takes a tar whose first entry says what is meant.
func (s *Service) copy(w http.ResponseWriter, r *http.Request) {
	err := func() error {
		entries := tar.NewReader(r.Body)
		head, err := entries.Next()
		if err != nil || head.Name != copyHead {
			return connect.Errorf("invalid_argument", "the first entry of a copy must be %s", copyHead)
		}
		var meant copying
		if err := json.NewDecoder(io.LimitReader(entries, connect.BodyMaxBytes)).Decode(&meant); err != nil {
			return connect.Errorf("invalid_argument", "cannot read %s: %v", copyHead, err)
		}
		if err := s.apply(meant, entries); err != nil {
			return err
		}
		_, _ = io.CopyN(io.Discard, r.Body, afterEndMaxBytes)
		return nil
	}()
	if err != nil {
		connect.WriteError(w, err)
		return
	}
	connect.WriteJSON(w, http.StatusOK, nothing{})
}

// apply stores the sources in the tree of the stage's open step.
func (s *Service) apply(meant copying, entries *tar.Reader) error {
	on, err := s.opened(meant.Stage)
	if err != nil {
		return err
	}
	if len(meant.Sources) > sourcesMax {
		return connect.Errorf("resource_exhausted", "a copy may have %d sources", sourcesMax)
	}
	by, err := parseOwner(on.root, meant.Chown)
	if err != nil {
		return err
	}
	mode, err := parseMode(meant.Chmod)
	if err != nil {
		return err
	}
	c := &copier{root: on.root, scratch: on.folder, meant: meant, by: by, mode: mode, buffer: make([]byte, copyBufferBytes)}
	defer c.leave()
	for {
		header, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return c.finish()
		}
		if err != nil {
			return connect.Errorf("invalid_argument", "the copy is broken: %v", err)
		}
		if err := c.entry(header, entries); err != nil {
			return err
		}
	}
}

type copier struct {
	root    string
	scratch string
	meant   copying
	by      *owner
	mode    changeMode
	buffer  []byte

	// The source whose entries come now, and where they go.
	number string
	into   *writer
}

func (c *copier) entry(header *tar.Header, content io.Reader) error {
	number, rest, nested := strings.Cut(header.Name, "/")
	var source copied
	if at, ok := index(number, len(c.meant.Sources)); ok {
		source = c.meant.Sources[at]
	} else {
		return connect.Errorf("invalid_argument", "%q belongs to no source", header.Name)
	}
	if !nested {
		return c.single(source, header, content)
	}
	if number != c.number {
		if err := c.finish(); err != nil {
			return err
		}
		into, err := c.enter(c.meant.Dest)
		if err != nil {
			return err
		}
		c.number, c.into = number, into
	}
	if rest == "" {
		if !source.Untimed {
			c.into.topTime = header.ModTime
		}
		return nil
	}
	header.Name = rest
	if header.Typeflag == tar.TypeLink {
		from, linked, _ := strings.Cut(header.Linkname, "/")
		if from != number {
			return connect.Errorf("invalid_argument", "the hard link %q leads elsewhere", rest)
		}
		header.Linkname = linked
	}
	return c.into.entry(header, content)
}

// enter opens the folder that a source's contents go to. As container engines have it, it looks as if it had been made
// for them; only its time is the source's.
func (c *copier) enter(dest string) (*writer, error) {
	folder, err := makeFolders(c.root, dest, c.owner(), c.mode)
	if err != nil {
		return nil, place.Error("copy to", dest, err)
	}
	return &writer{top: folder, by: c.by, mode: c.mode, buffer: c.buffer}, nil
}

func (c *copier) owner() owner {
	if c.by != nil {
		return *c.by
	}
	return owner{}
}

// single stores a source that is a file (or, in a tree, a symlink or device by itself).
func (c *copier) single(source copied, header *tar.Header, content io.Reader) error {
	if err := c.finish(); err != nil {
		return err
	}
	if source.Extract && header.Typeflag == tar.TypeReg {
		done, rest, err := c.extract(header, content)
		if done || err != nil {
			return err
		}
		defer rest.Close()
		content = rest
	}
	folder, name := path.Split(path.Clean(c.meant.Dest))
	if c.meant.Folder || c.meant.Dest == "/" || isFolder(c.root, c.meant.Dest) {
		folder, name = c.meant.Dest, source.Name
	}
	parent, err := makeFolders(c.root, folder, c.owner(), c.mode)
	if err != nil {
		return place.Error("copy to", c.meant.Dest, err)
	}
	into := &writer{top: parent, by: c.by, mode: c.mode, buffer: c.buffer}
	defer into.close()
	header.Name = name
	return into.entry(header, content)
}

func (c *copier) finish() error {
	if c.into == nil {
		return nil
	}
	err := c.into.finish()
	c.leave()
	return err
}

func (c *copier) leave() {
	if c.into != nil {
		c.into.close()
	}
	c.number, c.into = "", nil
}

// index reads a source's number.
func index(text string, below int) (int, bool) {
	number := 0
	for _, digit := range text {
		if digit < '0' || digit > '9' || number >= below {
			return 0, false
		}
		number = number*10 + int(digit-'0')
	}
	return number, text != "" && number < below
}

// tree keeps what the host sends as a tree of its own, for mounts of type bind: the body is a tar.
func (s *Service) tree(w http.ResponseWriter, r *http.Request) {
	err := func() error {
		name := r.URL.Query().Get("name")
		if !isName(name) {
			return connect.Errorf("invalid_argument", "%q is no name of a tree", name)
		}
		s.lock.Lock()
		folder := treeFolder(name)
		err := os.Mkdir(folder, folderMode)
		s.lock.Unlock()
		if err != nil {
			return place.Error("make the tree", name, err)
		}
		top, err := os.OpenFile(folder, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		into := &writer{top: top, buffer: make([]byte, copyBufferBytes)}
		defer into.close()
		if err := into.all(tar.NewReader(r.Body)); err != nil {
			return err
		}
		_, _ = io.CopyN(io.Discard, r.Body, afterEndMaxBytes)
		return into.finish()
	}()
	if err != nil {
		connect.WriteError(w, err)
		return
	}
	connect.WriteJSON(w, http.StatusOK, nothing{})
}
