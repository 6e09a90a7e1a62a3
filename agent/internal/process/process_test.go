package process

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"warren.dev/agent/internal/connect"
)

func b64(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestExitCodesAndSignals(t *testing.T) {
	c := newClient(t)
	for script, want := range map[string]end{
		"true":                      {0, true, "exit status 0", ""},
		"exit 3":                    {3, true, "exit status 3", "exit status 3"},
		"exit 255":                  {255, true, "exit status 255", "exit status 255"},
		"kill -KILL $$":             {-1, false, "signal: killed", "signal: killed"},
		"kill -TERM $$":             {-1, false, "signal: terminated", "signal: terminated"},
		"nosuchcommand 2>/dev/null": {127, true, "exit status 127", "exit status 127"},
	} {
		if r := c.sh(script).rest(); r.failed != nil || r.end == nil || *r.end != want {
			t.Errorf("%s: %+v %v", script, r.end, r.failed)
		}
	}
}

func TestOutputsAreApart(t *testing.T) {
	r := newClient(t).sh("printf out; printf err >&2").expectEnd(0, "exit status 0")
	if r.stdout != "out" || r.stderr != "err" || r.pty != "" {
		t.Fatalf("%+v", r)
	}
}

// What cannot start ends the stream with a code, and leaves no descriptor open.
func TestCannotStart(t *testing.T) {
	c := newClient(t)
	folder := t.TempDir()
	plain := filepath.Join(folder, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	noFormat := filepath.Join(folder, "noformat")
	if err := os.WriteFile(noFormat, []byte("\x01\x02"), 0o755); err != nil {
		t.Fatal(err)
	}
	huge := strings.Repeat("x", 200_000)
	cases := map[string]struct{ request, code, says string }{
		"no command":       {`{}`, "invalid_argument", "empty"},
		"missing command":  {`{"process":{"cmd":"no-such-command"}}`, "invalid_argument", "command not found"},
		"missing path":     {`{"process":{"cmd":"/no/such"}}`, "invalid_argument", "no such file"},
		"a folder":         {`{"process":{"cmd":"/etc"}}`, "invalid_argument", "folder"},
		"not executable":   {`{"process":{"cmd":"` + plain + `"}}`, "invalid_argument", "permission denied"},
		"no format":        {`{"process":{"cmd":"` + noFormat + `"}}`, "invalid_argument", "exec format error"},
		"no format on pty": {`{"process":{"cmd":"` + noFormat + `"},"pty":{}}`, "invalid_argument", "exec format error"},
		"missing cwd":      {`{"process":{"cmd":"true","cwd":"/no/such"}}`, "invalid_argument", "cwd '/no/such' does not exist"},
		"cwd is a file":    {`{"process":{"cmd":"true","cwd":"` + plain + `"}}`, "invalid_argument", "does not exist"},
		"NUL in cwd":       {`{"process":{"cmd":"true","cwd":"/\u0000"}}`, "invalid_argument", "does not exist"},
		"NUL in command":   {`{"process":{"cmd":"/bin/true\u0000"}}`, "invalid_argument", ""},
		"NUL in argument":  {`{"process":{"cmd":"true","args":["a\u0000b"]}}`, "invalid_argument", "invalid argument"},
		"NUL in variable":  {`{"process":{"cmd":"true","envs":{"A":"a\u0000b"}}}`, "invalid_argument", "NUL"},
		"huge variable":    {`{"process":{"cmd":"true","envs":{"A":"` + huge + `"}}}`, "invalid_argument", "argument list too long"},
		"huge argument":    {`{"process":{"cmd":"true","args":["` + huge + `"]}}`, "invalid_argument", "argument list too long"},
		"no JSON":          {`{`, "invalid_argument", ""},
		"another type":     {`{"process":{"cmd":1}}`, "invalid_argument", ""},
	}
	// Twice, so that what is opened once for all is open before counting.
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := 0
	for round := range 2 {
		if round == 1 {
			before = descriptors()
		}
		for name, try := range cases {
			if next, failed := c.open("Start", try.request).next(); next != nil || failed == nil || failed.Code != try.code || !strings.Contains(failed.Message, try.says) {
				t.Errorf("%s: %+v %+v", name, next, failed)
			}
		}
	}
	if after := descriptors(); after > before {
		t.Fatalf("%d descriptors were open, now %d", before, after)
	}
	c.user = "no-such-user"
	if _, failed := c.open("Start", `{"process":{"cmd":"true"}}`).next(); failed == nil || failed.Code != "unauthenticated" || !strings.Contains(failed.Message, "invalid username: 'no-such-user'") {
		t.Errorf("missing user: %+v", failed)
	}
	c.user = ""
	if _, failed := c.open("Start", `{"process":{"cmd":"true"}}`, "Asleep", "1").next(); failed == nil || failed.Code != "failed_precondition" {
		t.Errorf("asleep: %+v", failed)
	}
	for _, call := range []string{"Start", "Connect"} {
		answer := c.post(c.ctx, call, "application/connect+json", nil)
		if _, failed := (&events{t: t, body: answer.Body}).next(); failed == nil || failed.Code != "invalid_argument" {
			t.Errorf("%s without a message: %+v", call, failed)
		}
	}
}

func TestManyVariables(t *testing.T) {
	var envs strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&envs, `"V%d":"%s",`, i, strings.Repeat("v", 500))
	}
	request := `{"process":{"cmd":"sh","args":["-c","echo $HOME $GLOBAL $OWN ${#V0} ${#V1499} $(env | grep -c ^V)"],"envs":{` + envs.String() + `"OWN":"ä","HOME":"/h"}}}`
	if r := newClient(t).start(request).expectEnd(0, "exit status 0"); r.stdout != "/h g ä 500 500 1500\n" {
		t.Fatal(r.stdout)
	}
}

func TestCommandIsFoundInTheChildsPath(t *testing.T) {
	c := newClient(t)
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "bin", "mine"), []byte("#!/bin/sh\necho mine in $(pwd)\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{folder + "/bin", "bin", "/no/such:bin:/bin"} {
		request := fmt.Sprintf(`{"process":{"cmd":"mine","cwd":%q,"envs":{"PATH":%q}}}`, folder, path+":/bin:/usr/bin")
		if r := c.start(request).expectEnd(0, "exit status 0"); r.stdout != "mine in "+folder+"\n" {
			t.Errorf("%s: %q", path, r.stdout)
		}
	}
}

func TestStdin(t *testing.T) {
	c := newClient(t)
	e := c.sh("cat; echo over")
	c.must("SendInput", `{"process":{"pid":%d},"input":{"stdin":"%s"}}`, e.pid, b64("one "))
	e.until("one ")
	c.must("SendInput", `{"process":{"pid":%d},"input":{"stdin":"%s"}}`, e.pid, b64("two\x00\xff"))
	c.must("CloseStdin", `{"process":{"pid":%d}}`, e.pid)
	c.must("CloseStdin", `{"process":{"pid":%d}}`, e.pid)
	if r := e.expectEnd(0, "exit status 0"); r.stdout != "two\x00\xffover\n" {
		t.Fatalf("%q", r.stdout)
	}
	if _, code := c.call("SendInput", fmt.Sprintf(`{"process":{"pid":%d},"input":{"stdin":"YQ=="}}`, e.pid)); code != "internal" {
		t.Fatal(code)
	}
	none := c.start(shell("cat; read x || echo none; read y", `,"stdin":false`))
	none.expectEnd(1, "exit status 1")
	waits := c.sh("read line; echo got $line")
	if _, code := c.call("SendInput", fmt.Sprintf(`{"process":{"pid":%d},"input":{"pty":"YQ=="}}`, waits.pid)); code != "internal" {
		t.Fatalf("input of a terminal where there is none: %q", code)
	}
	c.must("SendInput", `{"process":{"pid":%d},"input":{"stdin":"%s"}}`, waits.pid, b64("x\n"))
	if r := waits.expectEnd(0, "exit status 0"); r.stdout != "got x\n" {
		t.Fatal(r.stdout)
	}
}

// Input that nobody reads is given up when the session ends, even if a descendant keeps the pipe.
func TestInputThatNobodyReads(t *testing.T) {
	c := newClient(t)
	e := c.sh("sleep 1000 & echo $!; read line")
	child := strings.TrimSpace(e.until("\n"))
	t.Cleanup(func() { _ = exec.Command("kill", "-KILL", child).Run() })
	sent := make(chan string, 1)
	go func() {
		_, code := c.call("SendInput", fmt.Sprintf(`{"process":{"pid":%d},"input":{"stdin":"%s"}}`, e.pid, b64("\n"+strings.Repeat("x", 1<<20))))
		sent <- code
	}()
	e.expectEnd(0, "exit status 0")
	if code := <-sent; code != "internal" {
		t.Fatalf("%q", code)
	}
}

func TestStreamInput(t *testing.T) {
	c := newClient(t)
	e := c.start(shell("cat", `,"tag":"cat"`))
	var body []byte
	for _, message := range []string{
		`{"start":{"process":{"tag":"cat"}}}`, `{"data":{"input":{"stdin":"` + b64("a") + `"}}}`, `{"keepalive":{}}`,
		`{"data":{"input":{"stdin":"` + b64("b") + `"}}}`,
	} {
		body = append(body, connect.Envelope([]byte(message))...)
	}
	stream := func(body []byte) *events {
		return &events{t: t, body: c.post(c.ctx, "StreamInput", "application/connect+json", body).Body}
	}
	if r := stream(body).rest(); r.failed != nil {
		t.Fatal(r.failed)
	}
	c.must("CloseStdin", `{"process":{"tag":"cat"}}`)
	if r := e.expectEnd(0, "exit status 0"); r.stdout != "ab" {
		t.Fatal(r.stdout)
	}
	if r := stream(connect.Envelope([]byte(`{"data":{"input":{}}}`))).rest(); r.failed == nil || r.failed.Code != "invalid_argument" {
		t.Fatal(r.failed)
	}
	if r := stream(connect.Envelope([]byte(`{"start":{"process":{"pid":1}}}`))).rest(); r.failed == nil || r.failed.Code != "not_found" {
		t.Fatal(r.failed)
	}
}

func TestSendSignal(t *testing.T) {
	c := newClient(t)
	for name, want := range map[string]string{
		`"SIGNAL_SIGKILL"`: "signal: killed", `"SIGNAL_SIGTERM"`: "signal: terminated", `9`: "signal: killed", `"SIGNAL_SIGUSR1"`: "signal: user defined signal 1",
	} {
		e := c.sh("echo up; exec sleep 1000")
		e.until("up")
		c.must("SendSignal", `{"process":{"pid":%d},"signal":%s}`, e.pid, name)
		e.expectEnd(-1, want)
		if _, code := c.call("SendSignal", fmt.Sprintf(`{"process":{"pid":%d},"signal":"SIGNAL_SIGKILL"}`, e.pid)); code != "not_found" {
			t.Fatal(code)
		}
	}
	// A shell's children get it too.
	e := c.sh("sleep 1000; echo went on")
	waitForChild(t, e.pid)
	c.must("SendSignal", `{"process":{"pid":%d},"signal":15}`, e.pid)
	if r := e.expectEnd(-1, "signal: terminated"); r.stdout != "" {
		t.Fatal(r.stdout)
	}
	e = c.sh("sleep 1000")
	for _, bad := range []string{`"SIGNAL_UNSPECIFIED"`, `0`, `-9`, `65`, `null`, `"KILL"`} {
		if _, code := c.call("SendSignal", fmt.Sprintf(`{"process":{"pid":%d},"signal":%s}`, e.pid, bad)); code != "invalid_argument" {
			t.Errorf("%s: %q", bad, code)
		}
	}
}

func TestListAndTags(t *testing.T) {
	c := newClient(t)
	if body := c.must("List", `{}`); body != `{"processes":[]}` {
		t.Fatal(body)
	}
	first := c.start(shell("read x", `,"tag":"twin"`))
	want := fmt.Sprintf(`{"processes":[{"config":{"cmd":"/bin/sh","args":["-c","read x"],"envs":null},"pid":%d,"tag":"twin"}]}`, first.pid)
	if body := c.must("List", `{}`); body != want {
		t.Fatalf("%s, want %s", body, want)
	}
	c.must("CloseStdin", `{"process":{"tag":"twin"}}`)
	first.expectEnd(1, "exit status 1")
	if body := c.must("List", `{}`); body != `{"processes":[]}` {
		t.Fatal(body)
	}
	// One that has ended with the same tag is kept 30 s, and is not in the way.
	for range 10 {
		e := c.start(shell("read x", `,"tag":"twin"`))
		c.must("SendSignal", `{"process":{"tag":"twin"},"signal":9}`)
		e.expectEnd(-1, "signal: killed")
	}
	for _, call := range []string{"SendSignal", "SendInput", "CloseStdin", "Update"} {
		for _, who := range []string{`{"pid":1}`, `{"tag":"nobody"}`, `{}`} {
			if _, code := c.call(call, `{"process":`+who+`,"signal":9}`); code != "not_found" {
				t.Errorf("%s %s: %q", call, who, code)
			}
		}
	}
	if _, failed := c.open("Connect", `{"process":{"pid":1}}`).next(); failed == nil || failed.Code != "not_found" || failed.Message != "process with pid 1 not found" {
		t.Fatal(failed)
	}
}

func TestFiftySessionsAtOnce(t *testing.T) {
	c := newClient(t)
	var all sync.WaitGroup
	for i := range 50 {
		all.Add(1)
		go func() {
			defer all.Done()
			e := c.start(fmt.Sprintf(`{"process":{"cmd":"sh","args":["-c","read x; echo $x; exit %d"]}}`, i))
			c.must("SendInput", `{"process":{"pid":%d},"input":{"stdin":"%s"}}`, e.pid, b64(fmt.Sprintln(i)))
			status := fmt.Sprintf("exit status %d", i)
			if r := e.expectEnd(i, status); r.stdout != fmt.Sprintln(i) {
				t.Errorf("%d: %q", i, r.stdout)
			}
		}()
	}
	all.Wait()
}

func TestAsAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	c := newClient(t)
	c.user = "nobody"
	script := `id -un; id -G; echo $HOME $USER $LOGNAME; pwd; touch /root/x 2>/dev/null || echo refused; echo > /dev/stderr`
	r := c.start(`{"process":{"cmd":"sh","args":["-c",`+fmt.Sprintf("%q", script)+`],"cwd":"/"}}`).expectEnd(0, "exit status 0")
	groups, err := exec.Command("id", "-G", "nobody").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(r.stdout, "\n")
	if lines[0] != "nobody" || lines[1]+"\n" != string(groups) || !strings.HasSuffix(lines[2], " nobody nobody") || lines[3] != "/" || lines[4] != "refused" {
		t.Fatalf("%q %q", r.stdout, r.stderr)
	}
	if r := c.start(`{"process":{"cmd":"sh","args":["-c","echo > $(tty) && stat -c %U $(tty)"],"cwd":"/"},"pty":{}}`).expectEnd(0, "exit status 0"); !strings.Contains(r.pty, "nobody") {
		t.Fatalf("the terminal is not theirs: %q", r.pty)
	}
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, failed := c.open("Start", `{"process":{"cmd":"/bin/true","cwd":"`+closed+`"}}`).next(); failed == nil || failed.Code != "invalid_argument" || !strings.Contains(failed.Message, "permission denied") {
		t.Fatal(failed)
	}
}

// The agent may be started with signals ignored (PID 1 ignores them): sessions are not.
func TestSessionsStartWithDefaultSignals(t *testing.T) {
	const inner = "WARREN_TEST_IGNORING"
	if os.Getenv(inner) == "" {
		again := exec.Command("sh", "-c", `trap "" HUP INT TERM; exec "$0" -test.run='^TestSessionsStartWithDefaultSignals$'`, os.Args[0])
		again.Env = append(os.Environ(), inner+"=1")
		if output, err := again.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		return
	}
	r := newClient(t).start(`{"process":{"cmd":"grep","args":["SigIgn","/proc/self/status"]}}`).expectEnd(0, "exit status 0")
	if strings.Trim(strings.TrimPrefix(r.stdout, "SigIgn:"), " \t\n0") != "" {
		t.Fatalf("ignored: %s", r.stdout)
	}
}

// The first thing that a session does has a child's score already; the agent has its own again.
func TestScoreFromTheFirstMoment(t *testing.T) {
	c := newClient(t)
	own, err := os.ReadFile(ownOOMScore)
	if err != nil {
		t.Skipf("this kernel gives processes no score: %v", err)
	}
	for range 10 {
		if r := c.start(`{"process":{"cmd":"sh","args":["-c","cat /proc/self/oom_score_adj"]}}`).expectEnd(0, "exit status 0"); r.stdout != childOOMScore+"\n" {
			t.Fatal(r.stdout)
		}
	}
	if after, _ := os.ReadFile(ownOOMScore); string(after) != string(own) {
		t.Fatalf("the agent's own score was %q and is %q", own, after)
	}
}

func TestEndAll(t *testing.T) {
	c := newClient(t)
	polite := c.sh(`trap 'n=$((n+1)); echo term $n; sleep 0.3; exit 7' TERM; echo up; while :; do sleep 0.05; done`)
	rude := c.sh(`trap '' TERM; echo up; while :; do sleep 1000; done`)
	polite.until("up")
	rude.until("up")
	c.service.EndAll()
	if r := polite.expectEnd(7, "exit status 7"); r.stdout != "term 1\n" {
		t.Fatal(r.stdout)
	}
	rude.expectEnd(-1, "signal: killed")
}
