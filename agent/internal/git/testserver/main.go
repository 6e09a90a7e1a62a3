// Testserver serves git/* on a unix socket for the host's tests, as the user that runs it. It is not shipped.
package main

import (
	"log"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"

	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/git"
)

func main() {
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	git.Register(mux, git.Environment{LookupUser: lookup, Logf: log.Printf})
	log.Fatal(http.Serve(listener, mux))
}

func lookup(name string) (account.User, error) {
	found, err := user.Lookup(name)
	if err != nil {
		return account.User{}, err
	}
	uid, _ := strconv.ParseUint(found.Uid, 10, 32)
	gid, _ := strconv.ParseUint(found.Gid, 10, 32)
	return account.User{Name: found.Username, Home: os.Getenv("HOME"), Uid: uint32(uid), Gid: uint32(gid)}, nil
}
