// Command warren-agent is PID 1 of a machine and the server on its channel. With -listen it is a plain process
// that speaks the same over unix sockets: for tests without a VM.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"warren.dev/agent/internal/boot"
	"warren.dev/agent/internal/channel"
	"warren.dev/agent/internal/reap"
	"warren.dev/agent/internal/server"
)

var version = "dev"

// inMachine is what PID 1 starts its child with.
const inMachine = "-in-machine"

func main() {
	if os.Getpid() == 1 { // what the kernel does not know of its parameters comes as arguments: not ours
		if err := boot.Up(); err != nil {
			reap.Fatal("%v", err)
		}
		reap.Run(inMachine)
	}
	listen := flag.String("listen", "", "serve on unix sockets in this `folder` instead of virtio ports")
	machine := flag.Bool(inMachine[1:], false, "serve on the ports of the machine")
	showVersion := flag.Bool("version", false, "print the version")
	flag.Parse()
	switch {
	case *showVersion:
		fmt.Println(version)
	case *listen != "":
		exit(onSockets(*listen))
	case *machine:
		exit(onPorts())
	default:
		flag.Usage()
		os.Exit(2)
	}
}

func onPorts() error {
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("-1000"), 0)
	agent, err := channel.OpenPort("warren.agent")
	if err != nil {
		return err
	}
	egress, err := channel.OpenPort("warren.egress")
	if err != nil {
		return err
	}
	s := server.New(version, true)
	if err := s.OpenEgress(); err != nil {
		fmt.Fprintln(os.Stderr, "warren-agent: egress:", err)
	}
	go func() { _ = channel.Serve(egress, server.Generation, s.EgressAttached) }()
	return channel.Serve(agent, server.Generation, s.Attached)
}

func onSockets(folder string) error {
	s := server.New(version, false)
	go func() {
		exit(channel.ServeListener(filepath.Join(folder, "egress"), server.Generation, s.EgressAttached))
	}()
	return channel.ServeListener(filepath.Join(folder, "agent"), server.Generation, s.Attached)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "warren-agent:", err)
		os.Exit(1)
	}
}
