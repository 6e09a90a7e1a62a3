// Package account reads the guest's own users and groups, from the files of the image: no libc, no NSS.
package account

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"warren.dev/agent/internal/inroot"
)

// User is one line of /etc/passwd with the groups that name it.
type User struct {
	Name, Home, Shell string
	Uid, Gid          uint32
	Groups            []uint32
}

// Lookup finds a user of the guest as image configurations name them: USER or USER:GROUP, each a name or a number. A
// number needs no line in the image's files; a name does, but for root.
func Lookup(spec string) (User, error) { return LookupIn("", spec) }

// LookupIn finds a user of the tree at root, which may be "" for the agent's own.
func LookupIn(root, spec string) (User, error) {
	from := files(root)
	name, group, hasGroup := strings.Cut(spec, ":")
	user, err := from.user(name)
	if err != nil || !hasGroup {
		return user, err
	}
	gid, err := from.group(group)
	if err != nil {
		return User{}, err
	}
	user.Gid, user.Groups = gid, []uint32{gid}
	return user, nil
}

// GroupIn is the id of a group of the tree at root: a name or a number.
func GroupIn(root, group string) (uint32, error) { return files(root).group(group) }

// files are /etc/passwd and /etc/group of the tree at this path.
type files string

func (f files) user(name string) (User, error) {
	found, err := f.byName(name)
	if err == nil {
		return found, nil
	}
	uid, notNumber := strconv.ParseUint(name, 10, 32)
	if notNumber != nil {
		return User{}, err
	}
	if known := f.nameIn("/etc/passwd", uint32(uid)); known != name {
		return f.byName(known)
	}
	return User{Name: name, Home: "/", Shell: "/bin/sh", Uid: uint32(uid), Groups: []uint32{0}}, nil
}

func (f files) group(group string) (uint32, error) {
	var found *uint32
	_ = f.lines("/etc/group", func(fields []string) bool {
		if len(fields) < 3 || fields[0] != group {
			return true
		}
		if id, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
			gid := uint32(id)
			found = &gid
		}
		return false
	})
	if found != nil {
		return *found, nil
	}
	gid, err := strconv.ParseUint(group, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("invalid group: '%s'", group)
	}
	return uint32(gid), nil
}

func (f files) byName(name string) (User, error) {
	var found *User
	err := f.lines("/etc/passwd", func(fields []string) bool {
		if len(fields) < 7 || fields[0] != name {
			return true
		}
		uid, uidErr := strconv.ParseUint(fields[2], 10, 32)
		gid, gidErr := strconv.ParseUint(fields[3], 10, 32)
		if uidErr != nil || gidErr != nil {
			return true
		}
		found = &User{Name: name, Home: fields[5], Shell: fields[6], Uid: uint32(uid), Gid: uint32(gid)}
		return false
	})
	if found == nil && name == "root" {
		found = &User{Name: "root", Home: "/root", Shell: "/bin/sh"}
	}
	if found == nil {
		if err != nil && !os.IsNotExist(err) {
			return User{}, err
		}
		return User{}, fmt.Errorf("invalid username: '%s'", name)
	}
	found.Groups = f.groupsOf(name, found.Gid)
	return *found, nil
}

// Current is for tests without a VM, where the agent cannot become anyone else.
func Current(name string) (User, error) {
	home := os.Getenv("HOME")
	if home == "" {
		home = "/"
	}
	return User{Name: name, Home: home, Shell: "/bin/sh", Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}, nil
}

func (f files) groupsOf(name string, gid uint32) []uint32 {
	groups := []uint32{gid}
	_ = f.lines("/etc/group", func(fields []string) bool {
		if len(fields) < 4 {
			return true
		}
		id, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil || uint32(id) == gid {
			return true
		}
		for _, member := range strings.Split(fields[3], ",") {
			if member == name {
				groups = append(groups, uint32(id))
			}
		}
		return true
	})
	return groups
}

// NameOf is the user name of a uid, or the number itself.
func NameOf(uid uint32) string { return files("").nameIn("/etc/passwd", uid) }

// GroupNameOf is the group name of a gid, or the number itself.
func GroupNameOf(gid uint32) string { return files("").nameIn("/etc/group", gid) }

func (f files) nameIn(file string, id uint32) string {
	number := strconv.FormatUint(uint64(id), 10)
	name := number
	_ = f.lines(file, func(fields []string) bool {
		if len(fields) > 2 && fields[2] == number {
			name = fields[0]
			return false
		}
		return true
	})
	return name
}

// lines calls each with the fields of every line until it answers false.
func (f files) lines(file string, each func(fields []string) bool) error {
	// Not blocking: in a foreign tree it may be a pipe.
	open, err := inroot.Open(string(f), file, os.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	defer open.Close()
	scanner := bufio.NewScanner(open)
	for scanner.Scan() {
		if !each(strings.Split(scanner.Text(), ":")) {
			return nil
		}
	}
	return scanner.Err()
}
