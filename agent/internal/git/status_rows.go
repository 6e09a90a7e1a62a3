package git

import (
	"bytes"
	"io"
	"strings"
)

// Reads `git status --porcelain=v2 -z` as it comes: counts every row, keeps the first ones.

type statusRows struct {
	response *statusResponse
	limit    int
	rest     []byte
}

const rowMaxBytes = 1 << 20

func (r *statusRows) Write(data []byte) (int, error) {
	r.rest = append(r.rest, data...)
	for {
		end := bytes.IndexByte(r.rest, 0)
		if end < 0 {
			break
		}
		r.accept(string(r.rest[:end]))
		r.rest = r.rest[end+1:]
	}
	if len(r.rest) > rowMaxBytes {
		return 0, fail("resource_exhausted", "git status printed a row of more than %d bytes", rowMaxBytes)
	}
	return len(data), nil
}

func (r *statusRows) accept(row string) {
	kind, rest, _ := strings.Cut(row, " ")
	switch kind {
	case "#":
		key, value, _ := strings.Cut(rest, " ")
		switch {
		case key == "branch.oid" && value != "(initial)":
			r.response.Head = &value
		case key == "branch.head" && value != "(detached)":
			r.response.Branch = &value
		}
	case "1":
		r.change(rest, 7)
	case "u":
		r.change(rest, 9)
	case "?":
		r.add("??", rest)
	}
}

// change is a row whose path follows the two letters and as many fields as said.
func (r *statusRows) change(row string, fields int) {
	parts := strings.SplitN(row, " ", fields+1)
	if len(parts) == fields+1 {
		r.add(strings.Trim(strings.ReplaceAll(parts[0], ".", " "), " "), parts[fields])
	}
}

func (r *statusRows) add(status, path string) {
	r.response.ChangesTotal++
	if len(r.response.Changes) < r.limit {
		r.response.Changes = append(r.response.Changes, changeRow{status, text(path)})
	}
}

// with is the command with its arguments, and where its output goes.
func with(c command, stdout io.Writer, args ...string) command {
	c.args, c.stdout = args, stdout
	return c
}
