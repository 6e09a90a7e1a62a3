package metrics

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	now, err := parseStat("cpu  100 20 30 800 40 5 5 0 70 8\ncpu0 1 2 3\n")
	if err != nil || now != (cpuTime{160, 1000}) {
		t.Errorf("%+v %v", now, err)
	}
	memory1, err := parseMeminfo("MemTotal:        1000 kB\nMemFree: 1 kB\nMemAvailable:     400 kB\nCached:  200 kB\nHugePages_Total:       0\n")
	if err != nil || memory1 != (memory{1000 << 10, 600 << 10, 200 << 10}) {
		t.Errorf("%+v %v", memory1, err)
	}
	for _, broken := range []string{"", "cpu 1 2 3", "cpu a b c d e f g h", "intr 1 2 3 4 5 6 7 8"} {
		if _, err := parseStat(broken); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
	if _, err := parseMeminfo("MemTotal: 1 kB\nMemAvailable: 2 kB"); err == nil {
		t.Error("more memory than there is was read")
	}
}

func TestUsed(t *testing.T) {
	s := &service{}
	for _, step := range []struct {
		now  cpuTime
		want float64
	}{
		{cpuTime{250, 1000}, 25}, {cpuTime{250, 1000}, 25}, {cpuTime{350, 1300}, 33.33}, {cpuTime{10, 100}, 0}, {cpuTime{110, 200}, 100},
	} {
		if got := s.used(step.now); got != step.want {
			t.Errorf("%+v: %v", step.now, got)
		}
	}
}

func TestMetrics(t *testing.T) {
	mux := http.NewServeMux()
	Register(mux)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var got map[string]float64
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if ago := float64(time.Now().Unix()) - got["ts"]; ago < 0 || ago > 60 {
		t.Errorf("ts is %v s ago", ago)
	}
	for _, name := range []string{"cpu_count", "mem_total", "mem_used", "mem_cache", "mem_total_mib", "mem_used_mib", "disk_used", "disk_total"} {
		if got[name] <= 0 {
			t.Errorf("%s is %v", name, got[name])
		}
	}
	if got["mem_used"] > got["mem_total"] || got["disk_used"] > got["disk_total"] || got["mem_total_mib"] != float64(uint64(got["mem_total"])>>20) {
		t.Errorf("%v", got)
	}
}
