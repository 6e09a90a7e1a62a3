package filesystem

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func (s *server) files(method string, query url.Values, header http.Header, body []byte) (*http.Response, string) {
	s.Helper()
	request, err := http.NewRequest(method, s.url+"/files?"+query.Encode(), bytes.NewReader(body))
	must(s.T, err)
	if header != nil {
		request.Header = header
	}
	if request.Header.Get("Accept-Encoding") == "" {
		request.Header.Set("Accept-Encoding", "identity")
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	must(s.T, err)
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	must(s.T, err)
	return response, string(data)
}

func (s *server) send(path, content string, header http.Header) (int, string) {
	s.Helper()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", "application/octet-stream")
	response, body := s.files(http.MethodPost, url.Values{"path": {path}}, header, []byte(content))
	return response.StatusCode, body
}

func (s *server) holds(name, want string) {
	s.Helper()
	if content, err := os.ReadFile(s.home(name)); err != nil || string(content) != want {
		s.Errorf("%s holds %q, %v", name, content, err)
	}
}

func zip(text string) []byte {
	var zipped bytes.Buffer
	to := gzip.NewWriter(&zipped)
	_, _ = to.Write([]byte(text))
	to.Close()
	return zipped.Bytes()
}

func TestUploadOctetStream(t *testing.T) {
	s := start(t)
	status, body := s.send("new/deep/f", "hello", nil)
	want := fmt.Sprintf(`[{"name":"f","type":"file","path":%q}]`, s.home("new/deep/f"))
	if status != 200 || body != want {
		t.Errorf("%d %s", status, body)
	}
	s.holds("new/deep/f", "hello")
	for _, made := range []string{"new", "new/deep", "new/deep/f"} {
		s.owned(s.home(made))
	}
	if status, body := s.send("zipped", string(zip("unzipped")), http.Header{"Content-Encoding": {"gzip"}}); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	s.holds("zipped", "unzipped")
}

func TestUploadWritesInPlace(t *testing.T) {
	s := start(t)
	must(t, os.WriteFile(s.home("f"), []byte("longer than the new one"), 0o751))
	must(t, os.Link(s.home("f"), s.home("twin")))
	must(t, os.Symlink("f", s.home("link")))
	if status, body := s.send("link", "new", nil); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	s.holds("twin", "new")
	s.owned(s.home("f"))
	if found, _ := os.Stat(s.home("f")); found.Mode().Perm() != 0o751 {
		t.Error(found.Mode())
	}
}

func form(t *testing.T, names ...string) ([]byte, http.Header) {
	var body bytes.Buffer
	to := multipart.NewWriter(&body)
	must(t, to.WriteField("other", "left out"))
	for _, name := range names {
		part, err := to.CreatePart(textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name="file"; filename="%s"`, name)}})
		must(t, err)
		fmt.Fprint(part, "in ", name)
	}
	must(t, to.Close())
	return body.Bytes(), http.Header{"Content-Type": {to.FormDataContentType()}}
}

func TestUploadForm(t *testing.T) {
	s := start(t)
	body, header := form(t, "a/one", "two")
	response, text := s.files(http.MethodPost, url.Values{"username": {"someone"}}, header, body)
	var done []uploaded
	must(t, json.Unmarshal([]byte(text), &done))
	if response.StatusCode != 200 || len(done) != 2 || done[0].Path != s.home("a/one") || done[1].Name != "two" {
		t.Errorf("%d %s", response.StatusCode, text)
	}
	s.holds("a/one", "in a/one")
	s.holds("two", "in two")

	body, header = form(t, "ignored")
	header.Set("Content-Encoding", "gzip")
	if response, text := s.files(http.MethodPost, url.Values{"path": {"named"}}, header, zip(string(body))); response.StatusCode != 200 {
		t.Errorf("%d %s", response.StatusCode, text)
	}
	s.holds("named", "in ignored")

	body, header = form(t, "same", "same")
	if response, text := s.files(http.MethodPost, nil, header, body); response.StatusCode != 400 {
		t.Errorf("%d %s", response.StatusCode, text)
	}
}

func TestUploadErrors(t *testing.T) {
	s := start(t)
	must(t, os.Mkdir(s.home("folder"), 0o755))
	must(t, os.WriteFile(s.home("f"), nil, 0o644))
	must(t, syscall.Mkfifo(s.home("pipe"), 0o644))
	octets := http.Header{"Content-Type": {"application/octet-stream"}}
	for name, try := range map[string]struct {
		query  url.Values
		header http.Header
		status int
	}{
		"folder":       {url.Values{"path": {"folder"}}, octets, 400},
		"below a file": {url.Values{"path": {"f/below"}}, octets, 400},
		"pipe":         {url.Values{"path": {"pipe"}}, octets, 400},
		"no path":      {nil, octets, 400},
		"no type":      {url.Values{"path": {"x"}}, http.Header{}, 400},
		"nobody":       {url.Values{"path": {"x"}, "username": {"nobody else"}}, octets, 401},
		"encoding":     {url.Values{"path": {"x"}}, http.Header{"Content-Type": octets["Content-Type"], "Content-Encoding": {"br"}}, 400},
		"not zipped":   {url.Values{"path": {"x"}}, http.Header{"Content-Type": octets["Content-Type"], "Content-Encoding": {"gzip"}}, 400},
	} {
		response, text := s.files(http.MethodPost, try.query, try.header.Clone(), []byte("content"))
		var got failure
		must(t, json.Unmarshal([]byte(text), &got))
		if response.StatusCode != try.status || got.Code != try.status || got.Message == "" {
			t.Errorf("%s: %d %s", name, response.StatusCode, text)
		}
	}
}

func TestMetadata(t *testing.T) {
	s := start(t)
	if err := unix.Setxattr(s.user.Home, metadataPrefix+"try", []byte("1"), 0); errors.Is(err, unix.ENOTSUP) {
		t.Skip("the file system of the test keeps no attributes")
	}
	status, body := s.send("f", "x", http.Header{"X-Metadata-Made-By": {"me"}, "X-Metadata-Old": {"1"}})
	if status != 200 || !strings.Contains(body, `"metadata":{"made-by":"me","old":"1"}`) {
		t.Fatalf("%d %s", status, body)
	}
	s.send("f", "x", http.Header{"X-Metadata-Made-By": {"you"}})
	got := s.call("Stat", map[string]string{"path": "f"}).Entry.Metadata
	if len(got) != 1 || got["made-by"] != "you" {
		t.Errorf("%v", got)
	}
	for name, header := range map[string]http.Header{
		"long key":   {"X-Metadata-" + strings.Repeat("K", 247): {"v"}},
		"not ASCII":  {"X-Metadata-K": {"ü"}},
		"too much":   {"X-Metadata-K": {strings.Repeat("v", 4096)}},
		"without it": {"X-Metadata-": {"v"}},
	} {
		if status, body := s.send("g", "x", header); status != 400 {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
}

func TestDownload(t *testing.T) {
	s := start(t)
	must(t, os.WriteFile(s.home("f"), []byte("0123456789"), 0o600))
	must(t, os.Mkdir(s.home("folder"), 0o755))
	must(t, syscall.Mkfifo(s.home("pipe"), 0o644))
	get := func(path string, header http.Header) (*http.Response, string) {
		return s.files(http.MethodGet, url.Values{"path": {path}}, header, nil)
	}
	response, body := get("f", nil)
	if body != "0123456789" || response.Header.Get("Content-Type") != "application/octet-stream" ||
		response.Header.Get("Content-Disposition") != `inline; filename=f` || response.ContentLength != 10 {
		t.Errorf("%q %v", body, response.Header)
	}
	response, body = get("f", http.Header{"Accept-Encoding": {"gzip, deflate"}})
	if response.Header.Get("Content-Encoding") != "gzip" {
		t.Error(response.Header)
	}
	if unzipped, err := gzip.NewReader(strings.NewReader(body)); err != nil {
		t.Error(err)
	} else if content, err := io.ReadAll(unzipped); err != nil || string(content) != "0123456789" {
		t.Errorf("%q %v", content, err)
	}
	response, body = get("f", http.Header{"Accept-Encoding": {"gzip"}, "Range": {"bytes=2-4"}})
	if response.StatusCode != 206 || body != "234" || response.Header.Get("Content-Encoding") != "" {
		t.Errorf("%d %q %v", response.StatusCode, body, response.Header)
	}
	for path, want := range map[string]failure{
		"folder": {400, fmt.Sprintf("path '%s' is a directory", s.home("folder"))},
		"none":   {404, fmt.Sprintf("path '%s' does not exist", s.home("none"))},
		"pipe":   {400, fmt.Sprintf("path '%s' is not a regular file", s.home("pipe"))},
	} {
		response, body := get(path, nil)
		if response.StatusCode != want.Code || body != string(mustJSON(t, want)) {
			t.Errorf("%d %s", response.StatusCode, body)
		}
	}
	if response, _ := get("f", http.Header{"Accept-Encoding": {"identity;q=0, br"}}); response.StatusCode != 406 {
		t.Error(response.StatusCode)
	}
}

func TestChooseEncoding(t *testing.T) {
	for header, want := range map[string]encoding{
		"": identity, "gzip": gzipped, "GZIP;q=0.5": gzipped, "gzip;q=0": identity, "br": identity, "*": identity,
		"gzip, deflate, br": gzipped, "identity, gzip;q=0.5": identity, "identity;q=0.5, gzip": gzipped,
		"identity;q=0": notAcceptable, "*;q=0": notAcceptable, "gzip, *;q=0": gzipped,
	} {
		if got := chooseEncoding(http.Header{"Accept-Encoding": {header}}); got != want {
			t.Errorf("%q: %v", header, got)
		}
	}
	if got := chooseEncoding(http.Header{"Accept-Encoding": {"gzip, identity;q=0"}, "Range": {"bytes=0-1"}}); got != notAcceptable {
		t.Errorf("a part of a gzip: %v", got)
	}
}
