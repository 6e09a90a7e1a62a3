package git

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"warren.dev/agent/internal/account"
)

// git/status: what the clone has that the host has not. Rows are limited, totals are not.

type statusRequest struct {
	place
	Base  *string `json:"base"`
	Limit int     `json:"limit"`
}

type statusResponse struct {
	Branch       *string     `json:"branch"`
	Head         *string     `json:"head"`
	Descends     bool        `json:"descends"`
	Ahead        int         `json:"ahead"`
	Commits      []commitRow `json:"commits"`
	Changes      []changeRow `json:"changes"`
	ChangesTotal int         `json:"changesTotal"`
	Submodules   []submodule `json:"submodules"`
}

type commitRow struct {
	ID       string `json:"id"`
	Author   string `json:"author"`
	Email    string `json:"email"`
	TimeUnix int64  `json:"timeUnix"`
	Subject  string `json:"subject"`
}

type changeRow struct {
	Status string `json:"status"`
	Path   string `json:"path"`
}

type submodule struct {
	Path string  `json:"path"`
	Head *string `json:"head"`
}

const (
	rowsMax        = 1000
	subjectMaxByte = 4096
)

func (s *service) status(ctx context.Context, request statusRequest) (*statusResponse, error) {
	user, err := s.find(request.place)
	if err != nil {
		return nil, err
	}
	if request.Limit <= 0 || request.Limit > rowsMax {
		request.Limit = rowsMax
	}
	base := deref(request.Base)
	if base != "" && !isObjectID(base, "sha1") && !isObjectID(base, "sha256") {
		return nil, invalid("base %q is not an object id", base)
	}
	response := &statusResponse{Commits: []commitRow{}, Changes: []changeRow{}, Submodules: []submodule{}}
	rows := &statusRows{response: response, limit: request.Limit}
	args := []string{"status", "--porcelain=v2", "--branch", "-z", "--no-renames", "--untracked-files=normal", "--ignore-submodules=none"}
	in := command{user: user, dir: request.Path}
	if err := s.requireFolder(request.Path); err != nil {
		return nil, err
	}
	if _, err := s.git(ctx, with(in, rows, args...)); err != nil {
		return nil, explainRepository(request.Path, err)
	}
	if err := s.compare(ctx, in, base, request.Limit, response); err != nil {
		return nil, err
	}
	response.Submodules, err = s.submodules(ctx, user, request.Path, request.Limit)
	return response, err
}

// compare fills in the commits that head has and base has not.
func (s *service) compare(ctx context.Context, in command, base string, limit int, response *statusResponse) error {
	response.Descends = base == ""
	if response.Head == nil {
		return nil
	}
	head := *response.Head
	if base == head {
		response.Descends = true
		return nil
	}
	span := []string{head}
	if base != "" {
		_, err := s.git(ctx, with(in, nil, "merge-base", "--is-ancestor", base, head))
		response.Descends = err == nil
		switch exitCode(err) {
		case -1, 1:
			span = append(span, "^"+base)
		}
		// Any other code: the guest does not have base any more, so all of its commits are news.
	}
	args := append([]string{"-c", "i18n.logOutputEncoding=UTF-8", "log", "-z", "--no-show-signature", "--no-color",
		"--no-notes", "--format=%H%x00%an%x00%ae%x00%ct%x00%s", "--max-count=" + strconv.Itoa(limit)}, append(span, "--")...)
	out, err := s.git(ctx, with(in, nil, args...))
	if err != nil {
		return err
	}
	fields := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	for ; len(fields) >= 5; fields = fields[5:] {
		at, _ := strconv.ParseInt(fields[3], 10, 64)
		response.Commits = append(response.Commits, commitRow{fields[0], text(fields[1]), text(fields[2]), at, text(fields[4])})
	}
	response.Ahead = len(response.Commits)
	if response.Ahead < limit {
		return nil
	}
	count, err := s.line(ctx, with(in, nil, append([]string{"rev-list", "--count"}, append(span, "--")...)...))
	response.Ahead, _ = strconv.Atoi(count)
	return err
}

// submodules lists the checked-out ones, also those inside others.
func (s *service) submodules(ctx context.Context, user account.User, top string, limit int) ([]submodule, error) {
	found := []submodule{}
	queue := []string{""}
	for len(queue) > 0 && len(found) < limit {
		at := queue[0]
		queue = queue[1:]
		folder := filepath.Join(top, at)
		if _, err := os.Lstat(filepath.Join(folder, ".gitmodules")); err != nil && at == "" {
			if _, err := os.Lstat(filepath.Join(folder, ".git", "modules")); err != nil {
				break
			}
		}
		out, err := s.git(ctx, command{user: user, dir: folder, args: []string{"ls-files", "--stage", "-z"}})
		if err != nil {
			return nil, err
		}
		for _, row := range bytes.Split(out, []byte{0}) {
			name, found160 := strings.CutPrefix(string(row), "160000 ")
			_, name, tab := strings.Cut(name, "\t")
			inner := filepath.Join(at, name)
			if !found160 || !tab || len(found) >= limit {
				continue
			}
			if _, err := os.Lstat(filepath.Join(top, inner, ".git")); err != nil {
				continue
			}
			args := []string{"rev-parse", "--verify", "--quiet", "HEAD^{commit}"}
			head, err := s.line(ctx, command{user: user, dir: filepath.Join(top, inner), args: args}, 1, 128)
			if err != nil {
				return nil, err
			}
			found = append(found, submodule{text(inner), orNil(head)})
			queue = append(queue, inner)
		}
	}
	return found, nil
}

func (s *service) requireFolder(path string) error {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return fail("not_found", "there is no folder %q", path)
	}
	return nil
}

func explainRepository(path string, err error) error {
	if exitCode(err) == 128 {
		return fail("failed_precondition", "cannot use git in %q: %v", path, err)
	}
	return err
}

// text makes the guest's bytes fit for JSON.
func text(value string) string {
	if len(value) > subjectMaxByte {
		value = value[:subjectMaxByte]
	}
	return strings.ToValidUTF8(value, "\uFFFD")
}

func orNil(value string) *string {
	if value == "" {
		return nil
	}
	return &value
}
