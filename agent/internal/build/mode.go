package build

import (
	"strconv"
	"strings"

	"warren.dev/agent/internal/connect"
)

// changeMode answers a file's new mode.
type changeMode func(mode uint32, isFolder bool) uint32

// parseMode reads a --chmod: an octal number, or clauses as of chmod(1), such as `u=rwX,go-w`; nil leaves modes alone.
func parseMode(text string) (changeMode, error) {
	if text == "" {
		return nil, nil
	}
	if number, err := strconv.ParseUint(text, 8, 32); err == nil && number <= 0o7777 {
		return func(uint32, bool) uint32 { return uint32(number) }, nil
	}
	clauses := []changeMode{}
	for _, clause := range strings.Split(text, ",") {
		parsed, ok := parseClause(clause)
		if !ok {
			return nil, connect.Errorf("invalid_argument", "cannot change the mode to %.100q", text)
		}
		clauses = append(clauses, parsed...)
	}
	return func(mode uint32, isFolder bool) uint32 {
		for _, change := range clauses {
			mode = change(mode, isFolder)
		}
		return mode
	}, nil
}

func parseClause(clause string) ([]changeMode, bool) {
	rest := strings.TrimLeft(clause, "ugoa")
	who := whose(clause[:len(clause)-len(rest)])
	changes := []changeMode{}
	for rest != "" {
		operator := rest[0]
		if !strings.ContainsRune("+-=", rune(operator)) {
			return nil, false
		}
		rest = rest[1:]
		end := strings.IndexAny(rest, "+-=")
		if end < 0 {
			end = len(rest)
		}
		what := rest[:end]
		if strings.Trim(what, "rwxXst") != "" && !(len(what) == 1 && strings.Contains("ugo", what)) {
			return nil, false
		}
		changes = append(changes, clauseOf(who, operator, what))
		rest = rest[end:]
	}
	return changes, len(changes) > 0
}

// whose are the bits that a clause may touch.
func whose(letters string) uint32 {
	if letters == "" || strings.Contains(letters, "a") {
		return 0o7777
	}
	var mask uint32
	for _, letter := range letters {
		mask |= map[rune]uint32{'u': 0o4700, 'g': 0o2070, 'o': 0o1007}[letter]
	}
	return mask
}

func clauseOf(who uint32, operator byte, what string) changeMode {
	return func(mode uint32, isFolder bool) uint32 {
		bits := bitsOf(what, mode, isFolder) & who
		switch operator {
		case '+':
			return mode | bits
		case '-':
			return mode &^ bits
		}
		return mode&^(who&0o777) | bits
	}
}

func bitsOf(what string, mode uint32, isFolder bool) uint32 {
	var bits uint32
	for _, letter := range what {
		switch letter {
		case 'r':
			bits |= 0o444
		case 'w':
			bits |= 0o222
		case 'x':
			bits |= 0o111
		case 'X':
			if isFolder || mode&0o111 != 0 {
				bits |= 0o111
			}
		case 's':
			bits |= 0o6000
		case 't':
			bits |= 0o1000
		case 'u':
			bits |= (mode >> 6 & 7) * 0o111
		case 'g':
			bits |= (mode >> 3 & 7) * 0o111
		case 'o':
			bits |= (mode & 7) * 0o111
		}
	}
	return bits
}
