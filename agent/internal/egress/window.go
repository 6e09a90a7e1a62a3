package egress

import (
	"net/http"

	"golang.org/x/net/http2"
)

func newTransport() *http2.Transport {
	under := &http.Transport{DisableCompression: true}
	limitWindows(under)
	transport, err := http2.ConfigureTransports(under)
	if err != nil {
		transport = &http2.Transport{DisableCompression: true}
	}
	transport.AllowHTTP = true
	transport.MaxReadFrameSize = frameBytes
	transport.StrictMaxConcurrentStreams = true // more than the host takes wait
	return transport
}
