package server

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// unsigned answers why a request to /files may not be served, or "". The signature is E2B's:
// v1_ + base64(sha256("path:read|write:username:token[:expiration]")) without padding.
func unsigned(r *http.Request, token string, now time.Time) string {
	if r.Header.Get("X-Access-Token") != "" {
		return "access token present in header but does not match"
	}
	query := r.URL.Query()
	if !query.Has("signature") {
		return "missing signature query parameter"
	}
	operation := "read"
	if r.Method == http.MethodPost {
		operation = "write"
	}
	signed := []string{query.Get("path"), operation, query.Get("username"), token}
	if query.Has("signature_expiration") {
		signed = append(signed, query.Get("signature_expiration"))
	}
	sum := sha256.Sum256([]byte(strings.Join(signed, ":")))
	want := "v1_" + base64.RawStdEncoding.EncodeToString(sum[:])
	if subtle.ConstantTimeCompare([]byte(want), []byte(query.Get("signature"))) != 1 {
		return "invalid signature"
	}
	if query.Has("signature_expiration") {
		until, err := strconv.ParseInt(query.Get("signature_expiration"), 10, 64)
		if err != nil || until < now.Unix() {
			return "signature is already expired"
		}
	}
	return ""
}
