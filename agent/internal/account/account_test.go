package account

import (
	"slices"
	"testing"
)

// The computer that tests run on has root, and no uid 4000123.
func TestLookup(t *testing.T) {
	for spec, want := range map[string]User{
		"root":            {Name: "root", Home: "/root", Uid: 0, Gid: 0},
		"0":               {Name: "root", Home: "/root", Uid: 0, Gid: 0},
		"0:0":             {Name: "root", Home: "/root", Uid: 0, Gid: 0, Groups: []uint32{0}},
		"root:4000124":    {Name: "root", Home: "/root", Uid: 0, Gid: 4000124, Groups: []uint32{4000124}},
		"4000123":         {Name: "4000123", Home: "/", Uid: 4000123, Gid: 0, Groups: []uint32{0}},
		"4000123:root":    {Name: "4000123", Home: "/", Uid: 4000123, Gid: 0, Groups: []uint32{0}},
		"4000123:4000124": {Name: "4000123", Home: "/", Uid: 4000123, Gid: 4000124, Groups: []uint32{4000124}},
	} {
		got, err := Lookup(spec)
		if err != nil || got.Name != want.Name || got.Home != want.Home || got.Uid != want.Uid || got.Gid != want.Gid {
			t.Errorf("Lookup(%q) = %+v, %v; want %+v", spec, got, err, want)
		}
		if want.Groups != nil && !slices.Equal(got.Groups, want.Groups) {
			t.Errorf("Lookup(%q) has groups %v; want %v", spec, got.Groups, want.Groups)
		}
	}
	for _, spec := range []string{"", "no-such-user", "-1", "4294967296", "0:no-such-group", "0:-1", "0:", "1:2:3", "+0"} {
		if got, err := Lookup(spec); err == nil {
			t.Errorf("Lookup(%q) = %+v; want an error", spec, got)
		}
	}
}
