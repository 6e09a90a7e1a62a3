//go:build !go1.24

package egress

import "net/http"

func limitWindows(*http.Transport) {}
