package git

import (
	"context"
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
	tip, err := s.resolve(ctx, in, request.Ref)
	if err != nil {
		return explainRepository(request.Path, err)
	}
	have, err := s.present(ctx, in, request.Have)
	if err != nil {
		return err
	}
	out.w.Header().Set("Warren-Tip", tip)
	revisions := tip + "\n"
	for _, id := range have {
		revisions += "^" + id + "\n"
	}
	in.stdin = strings.NewReader(revisions)
	news, err := s.line(ctx, with(in, nil, "rev-list", "--max-count=1", "--stdin"))
	if err != nil {
		return err
	}
	if news == "" {
		out.w.WriteHeader(http.StatusNoContent)
		return nil
	}
	out.w.Header().Set("Content-Type", "application/x-git-packed-objects")
	in.stdin = strings.NewReader(revisions)
	_, err = s.git(ctx, with(in, out, "-c", "pack.packSizeLimit=0", "-c", "pack.island=", "pack-objects",
		"--revs", "--thin", "--stdout", "--delta-base-offset", "-q"))
	return err
}

func (s *service) resolve(ctx context.Context, in command, ref string) (string, error) {
	name := strings.TrimPrefix(ref, "refs/heads/")
	if ref != "HEAD" && !isBranchName(name) {
		return "", invalid("%q is not a branch name", ref)
	}
	if ref != "HEAD" {
		ref = "refs/heads/" + name
	}
	tip, err := s.line(ctx, with(in, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}"), 1)
	if err == nil && tip == "" {
		err = fail("not_found", "there is no commit at %q", ref)
	}
	return tip, err
}

// present keeps the commits that this repository has: what it does not know it cannot leave out.
func (s *service) present(ctx context.Context, in command, ids []string) ([]string, error) {
	if len(ids) > haveMax {
		return nil, invalid("have lists %d commits, at most %d are allowed", len(ids), haveMax)
	}
	for _, id := range ids {
		if !isObjectID(id, "sha1") && !isObjectID(id, "sha256") {
			return nil, invalid("%q is not an object id", id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	in.stdin = strings.NewReader(strings.Join(ids, "\n") + "\n")
	out, err := s.git(ctx, with(in, nil, "cat-file", "--batch-check=%(objectname) %(objecttype)"))
	if err != nil {
		return nil, err
	}
	var have []string
	for _, row := range strings.Split(string(out), "\n") {
		if id, found := strings.CutSuffix(row, " commit"); found {
			have = append(have, id)
		}
	}
	return have, nil
}

// lateHeader sends the status line with the first byte, so that an early failure can still be told in words.
type lateHeader struct {
	w       http.ResponseWriter
	started bool
}

func (l *lateHeader) Write(data []byte) (int, error) {
	l.started = true
	return l.w.Write(data)
}
