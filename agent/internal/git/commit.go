package git

import (
	"context"
	"strings"
	"time"
)

// git/commit: everything that is not ignored becomes one commit. Hooks, signatures and editors take no part; a
// user without an identity commits under their account's name.

type commitRequest struct {
	place
	Message string `json:"message"`
}

type commitResponse struct {
	Commit *string `json:"commit"`
}

const commitTimeout = 15 * time.Minute

func (s *service) commit(ctx context.Context, request commitRequest) (*commitResponse, error) {
	user, err := s.find(request.place)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(request.Message) == "" {
		return nil, invalid("a commit needs a message")
	}
	if err := s.requireFolder(request.Path); err != nil {
		return nil, err
	}
	in := command{user: user, dir: request.Path, timeout: commitTimeout}
	if _, err := s.git(ctx, with(in, nil, "-c", "advice.addEmbeddedRepo=false", "add", "--all", "--", ".")); err != nil {
		return nil, explainRepository(request.Path, err)
	}
	err = s.commitIndex(ctx, in, request.Message)
	if exitCode(err) == 128 && strings.Contains(err.Error(), "tell me who you are") {
		address := user.Name + "@localhost"
		in.env = []string{"GIT_AUTHOR_NAME=" + user.Name, "GIT_AUTHOR_EMAIL=" + address, "GIT_COMMITTER_NAME=" + user.Name, "GIT_COMMITTER_EMAIL=" + address}
		err = s.commitIndex(ctx, in, request.Message)
	}
	if exitCode(err) == 1 {
		if _, diffErr := s.git(ctx, with(in, nil, "diff", "--cached", "--quiet", "--no-ext-diff")); diffErr == nil {
			return &commitResponse{}, nil
		}
	}
	if err != nil {
		return nil, fail("failed_precondition", "cannot commit in %q: %v", request.Path, err)
	}
	head, err := s.line(ctx, with(in, nil, "rev-parse", "--verify", "HEAD"))
	return &commitResponse{&head}, err
}

func (s *service) commitIndex(ctx context.Context, in command, message string) error {
	in.stdin = strings.NewReader(message)
	_, err := s.git(ctx, with(in, nil, "commit", "--quiet", "--no-verify", "--no-gpg-sign", "--file=-"))
	return err
}
