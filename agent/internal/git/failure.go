package git

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// A refusal with the code that the other services of the agent use; the code decides the HTTP status.

type failure struct {
	code    string
	message string
}

func (f *failure) Error() string { return f.message }

func fail(code, format string, args ...any) error {
	return &failure{code, fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error { return fail("invalid_argument", format, args...) }

var statusOf = map[string]int{
	"invalid_argument":    http.StatusBadRequest,
	"failed_precondition": http.StatusBadRequest,
	"not_found":           http.StatusNotFound,
	"already_exists":      http.StatusConflict,
	"resource_exhausted":  http.StatusTooManyRequests,
	"deadline_exceeded":   http.StatusGatewayTimeout,
	"canceled":            499,
}

func writeFailure(w http.ResponseWriter, err error) {
	f := &failure{code: "internal", message: err.Error()}
	errors.As(err, &f)
	status, known := statusOf[f.code]
	if !known {
		status = http.StatusInternalServerError
	}
	writeJSON(w, status, map[string]string{"code": f.code, "message": f.message})
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(value)
}
