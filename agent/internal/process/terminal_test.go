package process

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func (c *client) typeIn(e *events, text string) {
	c.t.Helper()
	c.must("SendInput", `{"process":{"pid":%d},"input":{"pty":"%s"}}`, e.pid, b64(text))
}

// bash is a terminal as the SDK asks for one; PS1 is what tests wait for.
func (c *client) bash() *events {
	c.t.Helper()
	if _, err := os.Stat("/bin/bash"); err != nil {
		c.t.Skip("there is no bash here")
	}
	e := c.start(`{"process":{"cmd":"/bin/bash","args":["--norc","--noprofile","-i"],"envs":{"TERM":"dumb","PS1":"ready> ","HISTFILE":""}},"pty":{"size":{"cols":100,"rows":30}}}`)
	e.until("ready> ")
	return e
}

func waitForChild(t *testing.T, pid int) {
	t.Helper()
	for {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
		if err != nil {
			t.Skipf("this kernel does not tell children: %v", err)
		}
		// A child that has exec'd no longer has the shell's name.
		if child := strings.TrimSpace(string(children)); child != "" {
			if name, _ := os.ReadFile("/proc/" + child + "/comm"); string(name) == "sleep\n" {
				return
			}
		}
	}
}

func TestTerminal(t *testing.T) {
	c := newClient(t)
	e := c.bash()
	c.typeIn(e, "stty size; tty; echo err >&2\n")
	seen := e.until("\nerr\r\n")
	if !strings.Contains(seen, "30 100") || !strings.Contains(seen, "/dev/pts/") {
		t.Fatalf("%q", seen)
	}
	c.must("Update", `{"process":{"pid":%d},"pty":{"size":{"cols":132,"rows":50}}}`, e.pid)
	c.typeIn(e, "stty size; echo $COLUMNS done\n")
	if seen := e.until("132 done"); !strings.Contains(seen, "50 132") {
		t.Fatalf("%q", seen)
	}
	if _, code := c.call("CloseStdin", fmt.Sprintf(`{"process":{"pid":%d}}`, e.pid)); code != "failed_precondition" {
		t.Fatal(code)
	}
	// A control character that comes before the shell has the terminal again may be lost.
	e.until("ready> ")
	c.typeIn(e, "\x04")
	e.expectEnd(0, "exit status 0")
	if _, code := c.call("SendInput", fmt.Sprintf(`{"process":{"pid":%d},"input":{"pty":"YQ=="}}`, e.pid)); code != "internal" {
		t.Fatal(code)
	}
}

func TestUpdateWithoutATerminal(t *testing.T) {
	c := newClient(t)
	e := c.sh("read x")
	if _, code := c.call("Update", fmt.Sprintf(`{"process":{"pid":%d},"pty":{"size":{}}}`, e.pid)); code != "failed_precondition" {
		t.Fatal(code)
	}
	c.must("Update", `{"process":{"pid":%d}}`, e.pid)
}

// The foreground process learns of a resize, and of Ctrl-C; the shell goes on.
func TestTerminalSignals(t *testing.T) {
	c := newClient(t)
	e := c.bash()
	c.typeIn(e, "sh -c 'trap \"stty size\" WINCH; echo w$((1))w; while :; do sleep 0.05; done'\n")
	e.until("w1w")
	c.must("Update", `{"process":{"pid":%d},"pty":{"size":{"cols":70,"rows":20}}}`, e.pid)
	e.until("20 70")
	c.typeIn(e, "\x03")
	e.until("ready> ")
	c.typeIn(e, "echo status $?\n")
	e.until("status 130")
	c.typeIn(e, "exit 4\n")
	e.expectEnd(4, "exit status 4")
}

func TestJobControl(t *testing.T) {
	c := newClient(t)
	e := c.bash()
	// Once it prints, it is the terminal's foreground.
	c.typeIn(e, "sh -c 'echo up$((0)); exec sleep 1000'\n")
	e.until("up0")
	c.typeIn(e, "\x1a")
	e.until("Stopped")
	e.until("ready> ")
	c.typeIn(e, "bg; jobs\n")
	e.until("Running")
	c.typeIn(e, "kill -9 %1; echo no$((0))more\n")
	e.until("no0more")
	// What is typed while the shell takes the terminal back, and is a control character, may be lost.
	e.until("ready> ")
	c.typeIn(e, "\x04")
	e.rest()
}

// Characters cut anywhere in the stream arrive as the bytes that they are.
func TestUTF8AcrossChunks(t *testing.T) {
	c := newClient(t)
	const line = "aé漢🐇"
	script := fmt.Sprintf(`i=0; while [ $i -lt 4000 ]; do printf '%s'; i=$((i+1)); done`, line)
	if r := c.sh(script).expectEnd(0, "exit status 0"); r.stdout != strings.Repeat(line, 4000) {
		t.Fatal(len(r.stdout))
	}
	if r := c.start(shell(script, `,"pty":{}`)).expectEnd(0, "exit status 0"); r.pty != strings.Repeat(line, 4000) {
		t.Fatal(len(r.pty))
	}
	e := c.sh(`printf '\360\237'; read x; printf '\220\207'`)
	e.until("\xf0\x9f")
	c.must("CloseStdin", `{"process":{"pid":%d}}`, e.pid)
	if r := e.rest(); r.stdout != "\x90\x87" {
		t.Fatalf("%q", r.stdout)
	}
}
