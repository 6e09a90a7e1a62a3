package build

import (
	"path"
	"regexp"
	"strings"

	"warren.dev/agent/internal/connect"
)

const excludesMax = 1000

// excludes are the patterns of COPY --exclude, as those of .dockerignore: the last one that speaks of a path decides, and
// what is said of a folder is said of all that lies in it. The host has read them before.
type excludes struct {
	patterns       []exclude
	haveExceptions bool
}

type exclude struct {
	matches     *regexp.Regexp
	isException bool
}

func parseExcludes(texts []string) (excludes, error) {
	all := excludes{}
	if len(texts) > excludesMax {
		return all, connect.Errorf("resource_exhausted", "a copy may have %d patterns to exclude", excludesMax)
	}
	for _, text := range texts {
		text = strings.TrimSpace(text)
		if text == "" {
			continue
		}
		text, isException := strings.CutPrefix(path.Clean(text), "!")
		matches, err := regexp.Compile(expression(text))
		if err != nil {
			return all, connect.Errorf("invalid_argument", "%q is no pattern", text)
		}
		all.patterns = append(all.patterns, exclude{matches, isException})
		all.haveExceptions = all.haveExceptions || isException
	}
	return all, nil
}

// match: path is relative and has no slashes at its ends.
func (all excludes) match(path string) bool {
	if len(all.patterns) == 0 {
		return false
	}
	excluded := false
	for _, each := range all.patterns {
		if each.isException == excluded && each.speaksOf(path) {
			excluded = !each.isException
		}
	}
	return excluded
}

func (each exclude) speaksOf(path string) bool {
	for end := range path {
		if path[end] == '/' && each.matches.MatchString(path[:end]) {
			return true
		}
	}
	return each.matches.MatchString(path)
}

// expression: `*` and `?` stay inside a folder, `**` crosses folders, brackets are classes.
func expression(pattern string) string {
	var out strings.Builder
	out.WriteString(`(?s)^`)
	for at := 0; at < len(pattern); at++ {
		switch each := pattern[at]; {
		case strings.HasPrefix(pattern[at:], "**/"):
			out.WriteString(`(?:.*/)?`)
			at += 2
		case strings.HasPrefix(pattern[at:], "**"):
			out.WriteString(`.*`)
			at++
		case each == '*':
			out.WriteString(`[^/]*`)
		case each == '?':
			out.WriteString(`[^/]`)
		case each == '[':
			end := classEnd(pattern, at)
			out.WriteString(pattern[at:end])
			at = end - 1
		case each == '\\' && at+1 < len(pattern):
			at++
			out.WriteString(regexp.QuoteMeta(pattern[at : at+1]))
		case each < 0x80:
			out.WriteString(regexp.QuoteMeta(string(rune(each))))
		default:
			out.WriteByte(each)
		}
	}
	out.WriteString(`$`)
	return out.String()
}

// classEnd answers what comes after a class's closing bracket; without one, the pattern's end.
func classEnd(pattern string, start int) int {
	for at := start + 1; at < len(pattern); at++ {
		switch {
		case pattern[at] == '\\':
			at++
		case pattern[at] == ']':
			return at + 1
		}
	}
	return len(pattern)
}
