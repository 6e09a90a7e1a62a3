package git

import (
	"context"
	"encoding/binary"
	"net/http"
	"strings"
	"time"
)

// git/pack: a thin pack of what a ref has and the host has not, streamed as git makes it. Once the first byte is
// out a failure can only reset the stream; a pack that ends well is whole.

type packRequest struct {
	place
	Ref  string   `json:"ref"`
	Have []string `json:"have"`
}

const (
	packTimeout = time.Hour
	haveMax     = 10_000
)

func (s *service) pack(w http.ResponseWriter, r *http.Request) {
	out := &lateHeader{w: w}
	if err := s.packTo(r, out); err != nil {
		s.env.Logf("%s: %v", r.URL.Path, err)
		if out.started {
			panic(http.ErrAbortHandler)
		}
		w.Header().Del("Warren-Tip")
		writeFailure(w, err)
	}
}

func (s *service) packTo(r *http.Request, out *lateHeader) error {
	var request packRequest
	if err := readJSON(r, &request); err != nil {
		return err
	}
	user, err := s.find(request.place)
	if err != nil {
		return err
	}
	if err := s.requireFolder(request.Path); err != nil {
		return err
	}
	ctx := r.Context()
	in := command{user: user, dir: request.Path, timeout: packTimeout}
	tip, have, err := s.ends(ctx, in, request.Ref, request.Have)
	if err != nil {
		return err
	}
	out.w.Header().Set("Warren-Tip", tip)
	revisions := tip + "\n"
	for _, id := range have {
		revisions += "^" + id + "\n"
	}
	out.w.Header().Set("Content-Type", "application/x-git-packed-objects")
	in.stdin = strings.NewReader(revisions)
	if _, err = s.git(ctx, with(in, out, "-c", "pack.packSizeLimit=0", "-c", "pack.island=", "pack-objects",
		"--revs", "--thin", "--stdout", "--delta-base-offset", "-q")); err != nil {
		return err
	}
	if !out.started {
		out.w.Header().Del("Content-Type")
		out.w.WriteHeader(http.StatusNoContent)
	}
	return nil
}

// ends finds where the pack ends and where it may begin: the commit at ref, and those of ids that this repository
// has, for what it does not know it cannot leave out. One git for both: starting one is most of what it costs.
func (s *service) ends(ctx context.Context, in command, ref string, ids []string) (tip string, have []string, err error) {
	name := strings.TrimPrefix(ref, "refs/heads/")
	if ref != "HEAD" && !isBranchName(name) {
		return "", nil, invalid("%q is not a branch name", ref)
	}
	if ref != "HEAD" {
		ref = "refs/heads/" + name
	}
	if len(ids) > haveMax {
		return "", nil, invalid("have lists %d commits, at most %d are allowed", len(ids), haveMax)
	}
	for _, id := range ids {
		if !isObjectID(id, "sha1") && !isObjectID(id, "sha256") {
			return "", nil, invalid("%q is not an object id", id)
		}
	}
	in.stdin = strings.NewReader(strings.Join(append([]string{ref + "^{commit}"}, ids...), "\n") + "\n")
	out, err := s.git(ctx, with(in, nil, "cat-file", "--batch-check=%(objectname) %(objecttype)"))
	if err != nil {
		return "", nil, explainRepository(in.dir, err)
	}
	first, rest, _ := strings.Cut(string(out), "\n")
	tip, found := strings.CutSuffix(first, " commit")
	if !found {
		return "", nil, fail("not_found", "there is no commit at %q", ref)
	}
	for _, row := range strings.Split(rest, "\n") {
		if id, found := strings.CutSuffix(row, " commit"); found {
			have = append(have, id)
		}
	}
	return tip, have, nil
}

// lateHeader sends the status line with the first bytes of a pack that holds something, so that an early failure can
// still be told in words, and an empty pack by its status.
type lateHeader struct {
	w       http.ResponseWriter
	head    []byte
	started bool
}

// packHeader is "PACK", a version and the number of objects: gitformat-pack(5).
const packHeader = 12

func (l *lateHeader) Write(data []byte) (int, error) {
	if l.started {
		return l.w.Write(data)
	}
	if len(l.head) < packHeader {
		l.head = append(l.head, data...)
	}
	if len(l.head) < packHeader || binary.BigEndian.Uint32(l.head[packHeader-4:]) == 0 {
		return len(data), nil
	}
	l.started = true
	if _, err := l.w.Write(l.head); err != nil {
		return 0, err
	}
	return len(data), nil
}
