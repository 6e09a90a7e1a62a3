//go:build go1.24

package egress

import "net/http"

// limitWindows bounds what the agent holds of answers that programs do not read. An older Go has no word for it: there
// the limit is the library's, 4 MiB for each flow.
func limitWindows(transport *http.Transport) {
	transport.HTTP2 = &http.HTTP2Config{
		MaxReceiveBufferPerStream:     streamWindowBytes,
		MaxReceiveBufferPerConnection: connectionWindowBytes,
	}
}
