package filesystem

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"syscall"

	"warren.dev/agent/internal/connect"
)

// failure is an error of envd's plain HTTP routes: its code is the status.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func (f *failure) Error() string { return f.Message }

func failed(status int, format string, args ...any) *failure {
	return &failure{status, fmt.Sprintf(format, args...)}
}

// Refuse answers a plain HTTP route with an error.
func Refuse(w http.ResponseWriter, status int, message string) {
	connect.WriteJSON(w, status, &failure{status, message})
}

func refuse(w http.ResponseWriter, err error) {
	var known *failure
	if !errors.As(err, &known) {
		known = failed(http.StatusInternalServerError, "%v", err)
	}
	Refuse(w, known.Code, known.Message)
}

// failedAt gives the kernel's reason its status.
func failedAt(what, path string, err error) error {
	status := http.StatusInternalServerError
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return failed(http.StatusInsufficientStorage, "cannot %s '%s': not enough disk space available", what, path)
	case errors.Is(err, os.ErrNotExist):
		return failed(http.StatusNotFound, "path '%s' does not exist", path)
	case errors.Is(err, syscall.EISDIR):
		return failed(http.StatusBadRequest, "path '%s' is a directory", path)
	case errors.Is(err, syscall.ENXIO):
		return failed(http.StatusBadRequest, "path '%s' is not a regular file", path)
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENAMETOOLONG):
		status = http.StatusBadRequest
	case errors.Is(err, os.ErrPermission):
		status = http.StatusForbidden
	}
	return failed(status, "cannot %s '%s': %v", what, path, err)
}
