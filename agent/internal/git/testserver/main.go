// Testserver serves git/* on a unix socket for the host's tests, as the user that runs it. It is not shipped.
package main

import (
	"log"
	"net"
	"net/http"
	"os"

	"warren.dev/agent/internal/account"
	"warren.dev/agent/internal/git"
)

func main() {
	listener, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	git.Register(mux, git.Environment{LookupUser: account.Current, Logf: log.Printf})
	log.Fatal(http.Serve(listener, mux))
}
