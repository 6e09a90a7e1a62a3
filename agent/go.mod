module warren.dev/agent

go 1.22

require (
	github.com/creack/pty v1.1.24
	github.com/fsnotify/fsnotify v1.9.0
	golang.org/x/net v0.33.0
	golang.org/x/sys v0.28.0
)

require golang.org/x/text v0.21.0 // indirect
