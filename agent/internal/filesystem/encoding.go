package filesystem

import (
	"net/http"
	"strconv"
	"strings"
)

type encoding int

const (
	notAcceptable encoding = iota
	identity
	gzipped
)

// chooseEncoding reads Accept-Encoding (RFC 9110, 12.5.3). What an answer in parts or under a condition is about is
// the file itself, never its gzip.
func chooseEncoding(header http.Header) encoding {
	weights := map[string]float64{}
	for _, each := range strings.Split(strings.Join(header.Values("Accept-Encoding"), ","), ",") {
		name, parameters, _ := strings.Cut(strings.TrimSpace(each), ";")
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "" {
			continue
		}
		weights[name] = 1
		if value, found := strings.CutPrefix(strings.ReplaceAll(parameters, " ", ""), "q="); found {
			if q, err := strconv.ParseFloat(value, 64); err == nil {
				weights[name] = q
			}
		}
	}
	plain, named := weights["identity"]
	if !named {
		any, starred := weights["*"]
		plain = 1e-9 // acceptable unless excluded, but less welcome than what is named
		if starred {
			plain = any
		}
	}
	for _, partial := range []string{"Range", "If-Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"} {
		if header.Get(partial) != "" {
			weights["gzip"] = 0
		}
	}
	switch zipped := weights["gzip"]; {
	case zipped > 0 && zipped >= plain:
		return gzipped
	case plain > 0:
		return identity
	case zipped > 0:
		return gzipped
	}
	return notAcceptable
}
