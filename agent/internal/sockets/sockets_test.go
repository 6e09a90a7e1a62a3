package sockets

import (
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

func TestRows(t *testing.T) {
	four := "   0: 0100007F:1F90 0200A8C0:01BB 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0"
	row, ok := parseRow(four)
	want := Row{netip.MustParseAddrPort("127.0.0.1:8080"), netip.MustParseAddrPort("192.168.0.2:443"), StateListen, 1000, 4711}
	if !ok || row != want {
		t.Errorf("%+v", row)
	}
	six := "   1: 00000000000000000000000001000000:0BB8 0000000000000000FFFF00000100007F:0000 01 0:0 00:0 0 0 0 12 1"
	row, ok = parseRow(six)
	if !ok || row.Local.String() != "[::1]:3000" || row.Remote.String() != "127.0.0.1:0" {
		t.Errorf("%+v", row)
	}
	for _, bad := range []string{"", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", "0: x:1 0:0 0A 0 0 0 0 0 0"} {
		if _, ok := parseRow(bad); ok {
			t.Errorf("%q", bad)
		}
	}
}

// A host that is told of process 0 would write it down.
func TestWhatIsNotKnownIsNotTold(t *testing.T) {
	if text, err := json.Marshal(Process{UID: 1000}); err != nil || string(text) != `{"uid":1000}` {
		t.Fatalf("%s %v", text, err)
	}
}

func TestFindsItself(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp4", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	local, remote := netip.MustParseAddrPort(conn.LocalAddr().String()), netip.MustParseAddrPort(conn.RemoteAddr().String())
	process, found := Find(local, remote, 10*time.Second)
	if !found || process.PID != os.Getpid() || process.UID != uint32(os.Getuid()) || process.Comm == "" || process.Cmdline == "" {
		t.Fatalf("%+v %v", process, found)
	}
	started := time.Now()
	if process, _ := Find(local, remote, time.Nanosecond); process.PID != 0 || time.Since(started) > time.Second {
		t.Fatalf("%+v after its time", process)
	}
	if _, found := Find(remote, netip.MustParseAddrPort("192.0.2.1:1"), time.Second); found {
		t.Fatal("found what is not there")
	}
}
